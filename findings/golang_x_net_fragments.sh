#!/usr/bin/env bash
# Version: golang.org/x/net/websocket, Debian's golang-golang-x-net-dev 1:0.7.0+dfsg-1. Seen: 2026-11-30, with Go 1.19.
#
# A client sends one text in two fragments, with a Ping between them; a whole text; and a Close. What does a server see that reads
# by `websocket.Message.Receive`, and what does the client get? And what does one get whose request has no Origin?
#
# Expected: two messages, "hello" and "whole", and a Pong and a Close; and a connection, for "Origin" is for browsers: "A request from
# a non-browser client may include" it (RFC 6455 section 4.1, item 8). What was seen: three messages, "hel", "lo" and "whole", which
# nothing tells apart; the Pong, and no Close: TCP ends. Without an Origin it is 403.
#
# It matters for clients that send in fragments what they do not have whole: the server takes each for a message, a broken JSON for
# instance. For such a server a message is one frame, and a request says where it comes from, though it be invented.
#
# Needs bash, apt-get, dpkg-deb, go and python3. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_debian golang-golang-x-net-dev=1:0.7.0+dfsg-1
cat > server.go <<'GO'
package main

import (
	"fmt"
	"net"
	"net/http"

	"golang.org/x/net/websocket"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, websocket.Handler(func(ws *websocket.Conn) {
		for {
			var text string
			if err := websocket.Message.Receive(ws, &text); err != nil {
				fmt.Println("the server sees", err)
				return
			}
			fmt.Printf("the server sees %q\n", text)
		}
	})))
}
GO
export GO111MODULE=off GOFLAGS="" GOPATH="$folder/usr/share/gocode" GOCACHE="$folder/cache" CGO_ENABLED=0
need go build -o server server.go
cat > client.py <<'PYTHON'
import signal
import socket
import subprocess
import sys

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))


def frame(first, payload):
    return bytes([first, 128 | len(payload)]) + bytes(4) + payload


def connect(port, origin):
    server = socket.create_connection(("127.0.0.1", port), 10)
    server.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{origin}Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += server.recv(1)
    return head.split()[1].decode(), server


with subprocess.Popen(["./server"], stdout=subprocess.PIPE, text=True) as process:
    port = int(process.stdout.readline())
    try:
        status, server = connect(port, "")
        server.close()
        print("without Origin:", status)
        status, server = connect(port, f"Origin: http://127.0.0.1:{port}\r\n")
        print("with Origin:", status)
        server.sendall(frame(0x01, b"hel") + frame(0x89, b"") + frame(0x80, b"lo") + frame(0x81, b"whole") + frame(0x88, b"\x03\xe8"))
        came = b""
        while data := server.recv(4096):
            came += data
        server.close()
        print("the client gets", {b"\x8a\x00": "a Pong, and the end of TCP"}.get(came, came.hex()))
        for _ in range(4):
            print(process.stdout.readline(), end="")
    finally:
        process.kill()
PYTHON
within 60 python3 client.py > seen
as_it_was <<'SEEN'
without Origin: 403
with Origin: 101
the client gets a Pong, and the end of TCP
the server sees "hel"
the server sees "lo"
the server sees "whole"
the server sees EOF
SEEN

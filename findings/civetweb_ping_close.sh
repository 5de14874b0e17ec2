#!/usr/bin/env bash
# Version: CivetWeb 1.15, Debian's libcivetweb-dev 1.15+dfsg-4. Seen: 2026-11-30.
#
# A program embeds this server with a handler for WebSockets, which takes each frame and, as the documentation has it, returns 0 to
# close the connection; the one here does at a Close. What does a client get for a Ping, and what for a Close?
#
# Expected: a Pong and a Close from the library. What was seen: nothing for a Ping, which goes to the program's handler. With the
# option `enable_websocket_ping_pong` the library answers Pings. A Close it never answers: TCP ends at once.
#
# It matters for clients of devices that have it: one that judges a server by its Pongs gives it up after its time limit, though it
# is well; and each orderly end reads as 1006.
#
# Needs bash, apt-get, dpkg-deb, gcc and python3. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_debian libcivetweb1=1.15+dfsg-4 libcivetweb-dev=1.15+dfsg-4
cat > server.c <<'C'
#include <civetweb.h>
#include <stdio.h>
#include <unistd.h>

static int connected(const struct mg_connection *connection, void *data) { return 0; }
static void ready(struct mg_connection *connection, void *data) {}
static void closed(const struct mg_connection *connection, void *data) {}

static int frame(struct mg_connection *connection, int first, char *payload, size_t size, void *data) {
    printf("handler: %02x, %zu bytes\n", first & 0xff, size);
    fflush(stdout);
    return (first & 15) != 8;
}

int main(int count, char **arguments) {
    const char *options[] = {"listening_ports", arguments[1], "enable_websocket_ping_pong", arguments[2], NULL};
    if (count < 3)
        options[2] = NULL;
    struct mg_context *context = mg_start(NULL, NULL, options);
    if (!context)
        return 1;
    mg_set_websocket_handler(context, "/", connected, ready, frame, closed, NULL);
    puts("ready");
    fflush(stdout);
    sleep(60);
}
C
library=$(dirname usr/lib/*/libcivetweb.so)
need gcc -I usr/include server.c -o server -L "$library" -lcivetweb
cat > client.py <<'PYTHON'
import os
import signal
import socket
import subprocess
import sys

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def seen(port, first, payload):
    with socket.create_connection(("127.0.0.1", port), 10) as server:
        server.sendall(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += server.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        server.sendall(bytes([first, 128 | len(payload)]) + bytes(4) + payload)
        server.settimeout(1)
        try:
            came = server.recv(4096)
            return {b"\x8a": "a Pong", b"\x88": "a Close", b"": "TCP ends"}[came[:1]]
        except TimeoutError:
            return "nothing"


for option in ((), ("yes",)):
    port = free_port()
    environment = {**os.environ, "LD_LIBRARY_PATH": sys.argv[1]}
    with subprocess.Popen(["./server", f"127.0.0.1:{port}", *option], env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            for name, first, payload in (("a Ping", 0x89, b"hi"), ("a Close", 0x88, b"\x03\xe8")):
                print(f"{'with' if option else 'without'} the option, {name}: {seen(port, first, payload)}")
        finally:
            server.kill()
        print(server.stdout.read(), end="")
PYTHON
within 60 python3 client.py "$library" > seen
as_it_was <<'SEEN'
without the option, a Ping: nothing
without the option, a Close: TCP ends
handler: 89, 2 bytes
handler: 88, 2 bytes
with the option, a Ping: a Pong
with the option, a Close: TCP ends
handler: 88, 2 bytes
SEEN

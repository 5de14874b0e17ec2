#!/usr/bin/env bash
# Version: Firefox 153.8.0esr, Debian's firefox-esr 153.8.0esr-1~deb12u1. Seen: 2026-11-30.
#
# Firefox's WebDriver BiDi (`--remote-debugging-port`) is a WebSocket server. A client sends it `session.status` in one frame, with
# one masking key or another. Which keys are taken?
#
# Expected: all. "The masking key is a 32-bit value chosen at random by the client." (RFC 6455 section 5.3), and each value is as
# likely as another. What was seen: all but 0. That one it takes for no mask, and ends TCP without a Close frame, whatever the frame
# says, a Ping or a Close too.
#
# It matters for clients that take 0 for every frame to save the work of masking, and for tests that do, so as to have payloads that
# can be read: they lose each connection at the first frame, and look for the fault in the payload. One that draws its keys at random
# meets it once in 4,294,967,296 frames.
#
# Needs bash, firefox-esr and python3. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_system 153.8.0esr firefox-esr --version
cat > client.py <<'PYTHON'
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))


def frame(opcode, payload, key):
    return bytes([0x80 | opcode, 128 | len(payload)]) + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def seen(url, sent):
    """What comes for a frame."""
    with socket.create_connection((url.hostname, url.port), 20) as server:
        server.sendall(
            f"GET /session HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = server.recv(1)
            assert byte, head
            head += byte
        assert head.startswith(b"HTTP/1.1 101 "), head
        server.sendall(sent)
        try:
            first = server.recv(4096)[:1]
        except ConnectionResetError:
            first = b""
        return {b"\x81": "a text", b"\x88": "a Close", b"\x8a": "a Pong", b"": "TCP ends"}[first]


command = ["firefox-esr", "--headless", "--no-remote", "--profile", sys.argv[1], "--remote-debugging-port", "0", "about:blank"]
environment = {**os.environ, "HOME": sys.argv[1]}
with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
    # It starts processes of its own, in the same group.
    end = lambda: os.killpg(process.pid, signal.SIGKILL)
    patience = threading.Timer(90, end)
    patience.start()
    try:
        url = next(found[0] for line in process.stderr if (found := re.search(r"ws://\S+", line)))
        for name, opcode, payload in (
            ("session.status", 1, b'{"id":1,"method":"session.status","params":{}}'),
            ("a Ping", 9, b"hello"),
            ("a Close", 8, b"\x03\xe8"),
        ):
            for key in ("00000001", "01000000", "ffffffff", "00000000"):
                print(f"{name} with the key {key}: {seen(urlsplit(url), frame(opcode, payload, bytes.fromhex(key)))}")
    finally:
        patience.cancel()
        end()
PYTHON
mkdir profile
within 120 python3 client.py "$folder/profile" > seen
for frame in "session.status a text" "a Ping a Pong" "a Close a Close"; do
    answer="a ${frame##* }"
    for key in 00000001 01000000 ffffffff; do
        echo "${frame% a *} with the key $key: $answer"
    done
    echo "${frame% a *} with the key 00000000: TCP ends"
done | as_it_was

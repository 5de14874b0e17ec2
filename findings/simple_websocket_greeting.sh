#!/usr/bin/env bash
# Version: simple-websocket 1.1.0 with wsproto 1.3.2 from PyPI. Seen: 2026-11-30, with Python 3.11.
#
# A server greets each client: it sends a text as soon as it has accepted the handshake. When does the client's `receive` return it?
#
# Expected: at once. What was seen: at once if the text comes in a TCP segment of its own. If it comes in the one that brings the
# server's 101, it stays in the client until something more comes, be it a Ping; and it is lost if TCP ends instead, though
# a Close came with it. The client then says 1005, whatever the Close said.
#
# It matters for servers that greet, and the more for those that write handshake and greeting at once: a client that waits for
# the greeting before it says anything sees nothing until the server's next Ping. Let the client speak first, or send a Ping
# some time after the greeting.
#
# Needs bash and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi simple-websocket==1.1.0 wsproto==1.3.2
cat > seen.py <<'PYTHON'
import base64
import hashlib
import re
import socket
import threading
import time

from simple_websocket import Client, ConnectionClosed

GREETING, PING, CLOSE = b"\x81\x05hello", b"\x89\x00", b"\x88\x02\x10\x05"


def serve(listener, writes, sent):
    """The first of the writes goes with the head, the others follow at intervals of two seconds; then TCP ends."""
    with listener.accept()[0] as client:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(4096)
        key = re.search(r"(?i)sec-websocket-key: *(\S+)", head.decode())[1]
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        for data in writes:
            sent.append(time.monotonic())
            client.sendall(head + data)
            head = b""
            time.sleep(2)


def seen(writes):
    """What `receive` returns, and after which of the writes."""
    sent = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, writes, sent))
        thread.start()
        # Without a path it raises "Illegal target characters".
        ws = Client("ws://127.0.0.1:%d/" % listener.getsockname()[1])
        try:
            message = ws.receive(timeout=10)
            return f"{message}, after write {len(sent)} of {len(writes)}"
        except ConnectionClosed as closed:
            return f"nothing, {int(closed.reason)}"
        finally:
            thread.join()


print("a segment of its own:", seen([b"", GREETING, PING]))
print("with the 101, then a Ping:", seen([GREETING, PING]))
print("with the 101, then the end of TCP:", seen([GREETING]))
print("with the 101 and a Close with 4101:", seen([GREETING + CLOSE]))
PYTHON
within 60 python/bin/python seen.py > seen
as_it_was <<'SEEN'
a segment of its own: hello, after write 2 of 3
with the 101, then a Ping: hello, after write 2 of 2
with the 101, then the end of TCP: nothing, 1005
with the 101 and a Close with 4101: nothing, 1005
SEEN

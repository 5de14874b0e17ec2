#!/usr/bin/env bash
# Version: gevent-websocket 0.10.1 with gevent 26.9.0 from PyPI. Seen: 2026-11-30, with Python 3.11 and a client of websockets 17.4.
#
# A client ends its connection by a Close with 1000 and the reason "bye". What Close does it get back?
#
# Expected: one with the same code, with the reason or without. What was seen: one without a code, whose payload is a Python expression
# for the reason: `bytearray(b'bye')`. Its first two letters, "by", stand where the code belongs and read as 25209, while codes end at
# 4999 (RFC 6455 section 7.4.2). So a client reports a protocol error for its own orderly goodbye. Without a reason the answer is
# an empty Close, and all is well.
#
# It matters for clients that give reasons: their logs blame the server's Close, and who counts clean closes counts none. There, close
# with the code alone.
#
# Needs bash and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi gevent-websocket==0.10.1 gevent==26.9.0 websockets==17.4
cat > server.py <<'PYTHON'
from geventwebsocket import Resource, WebSocketApplication, WebSocketServer

server = WebSocketServer(("127.0.0.1", 0), Resource([("/", WebSocketApplication)]), log=None)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
cat > client.py <<'PYTHON'
import signal
import socket
import subprocess
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))


def answered(port, reason):
    """The payload of the Close that comes for one with 1000."""
    payload = (1000).to_bytes(2, "big") + reason
    with socket.create_connection(("127.0.0.1", port), 10) as server:
        server.sendall(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += server.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        server.sendall(bytes([0x88, 0x80 | len(payload)]) + bytes(4) + payload)
        came = b"".join(iter(lambda: server.recv(4096), b""))
    assert came[0] == 0x88 and came[1] == len(came) - 2, came
    return came[2:]


def reported(port, reason):
    """How a client's library calls the end of a connection that it closed by 1000."""
    with connect(f"ws://127.0.0.1:{port}/") as ws:
        ws.close(1000, reason)
        try:
            ws.recv()
        except ConnectionClosed as closed:
            return f"{type(closed).__name__}, {ws.close_code}"


with subprocess.Popen([sys.executable, "server.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
    try:
        port = int(process.stdout.readline())
        for reason in ("", "bye"):
            print(f"'{reason}': {answered(port, reason.encode())}, {reported(port, reason)}")
    finally:
        process.kill()
PYTHON
within 60 python/bin/python client.py > seen
as_it_was <<'SEEN'
'': b'', ConnectionClosedOK, 1005
'bye': b"bytearray(b'bye')", ConnectionClosedError, 1006
SEEN

#!/usr/bin/env bash
# Version: websocket-client 1.9.2 from PyPI. Seen: 2026-11-30, with Python 3.11 and a server of websockets 17.4.
#
# A server sends an empty text, an empty binary message, and then a Close with 1001, 1013 or 4000 and a reason. What do the calls of
# `recv` return, and what does the server get back?
#
# Expected: two empty messages, and an exception that has the code, as at the end of TCP (WebSocketConnectionClosedException).
# What was seen: '' for the Close too, as for an empty text; only the call after that raises, without the code and the reason. The
# server gets 1000 back, whatever it sent. ("When sending a Close frame in response, the endpoint typically echos the status code it
# received.", RFC 6455 section 5.5.1)
#
# It matters for who reads with `recv`: an empty message gets into the data at each end of a connection, and a loop that ends at one
# takes an empty text for the end. `recv_data_frame` tells which is which, and the code. And a server that counts its clients' codes
# cannot see from 1000 whether this one noticed that it shall come again later.
#
# Needs bash and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi websocket-client==1.9.2 websockets==17.4
cat > seen.py <<'PYTHON'
import threading

import websocket
from websockets.sync.server import serve

answered = {}


def say(ws):
    code = int(ws.request.path[1:])
    ws.send("")
    ws.send(b"")
    ws.close(code, "later")
    answered[code] = ws.protocol.close_rcvd.code


with serve(say, "127.0.0.1", 0) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for code in (1001, 1013, 4000):
        ws = websocket.create_connection("ws://127.0.0.1:%d/%d" % (*server.socket.getsockname()[1:], code), timeout=10)
        returned = [ws.recv() for _ in range(3)]
        try:
            ws.recv()
        except websocket.WebSocketConnectionClosedException as error:
            print(f"closed by {code}: {returned}, then {error}")
        ws.close()
    server.shutdown()
print("answered by", answered)
PYTHON
within 60 python/bin/python seen.py > seen
as_it_was <<'SEEN'
closed by 1001: ['', b'', ''], then Connection to remote host was lost.
closed by 1013: ['', b'', ''], then Connection to remote host was lost.
closed by 4000: ['', b'', ''], then Connection to remote host was lost.
answered by {1001: 1000, 1013: 1000, 4000: 1000}
SEEN

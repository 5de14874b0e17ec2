#!/usr/bin/env bash
# Version: httpx-ws 0.9.0 with wsproto 1.3.2 from PyPI. Seen: 2026-11-30, with Python 3.11 and a server of websockets 17.4.
#
# A server sends a Pong that answers no Ping, and then a text. What does a client get?
#
# Expected: the text. "A Pong frame MAY be sent unsolicited. This serves as a unidirectional heartbeat. A response to an unsolicited
# Pong frame is not expected." (RFC 6455 section 5.5.3) What was seen: a KeyError, and the connection is gone. It looks the Pong's
# payload up among the Pings that it sent.
#
# It matters for servers whose heartbeat is a Pong: each connection fails at the first. A Ping in its place does no harm.
#
# Needs bash and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi httpx-ws==0.9.0 wsproto==1.3.2 websockets==17.4
cat > seen.py <<'PYTHON'
import asyncio
import logging

import httpx
from httpx_ws import aconnect_ws
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

logging.disable()


async def greet(ws):
    match ws.request.path:
        case "/ping":
            await ws.ping(b"hi")
        case "/pong":
            await ws.pong(b"hi")
        case "/empty_pong":
            await ws.pong()
    await ws.send("hello")
    await ws.wait_closed()


async def by_httpx_ws(url):
    async with httpx.AsyncClient() as client, aconnect_ws(url, client) as ws:
        return await ws.receive_text(timeout=5)


async def by_websockets(url):
    async with connect(url) as ws:
        return await ws.recv()


async def outcome(client, url):
    try:
        return await asyncio.wait_for(client(url), 10)
    except ExceptionGroup as group:
        return " and ".join(type(error).__name__ for error in group.exceptions)


async def main():
    async with serve(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for name, client in (("websockets", by_websockets), ("httpx-ws", by_httpx_ws)):
            for path in ("nothing", "ping", "pong", "empty_pong"):
                print(f"{name}, {path}: {await outcome(client, f'ws://127.0.0.1:{port}/{path}')}")


asyncio.run(main())
PYTHON
within 60 python/bin/python seen.py > seen
as_it_was <<'SEEN'
websockets, nothing: hello
websockets, ping: hello
websockets, pong: hello
websockets, empty_pong: hello
httpx-ws, nothing: hello
httpx-ws, ping: hello
httpx-ws, pong: KeyError
httpx-ws, empty_pong: KeyError
SEEN

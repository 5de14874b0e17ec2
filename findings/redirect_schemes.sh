#!/usr/bin/env bash
# Version: python websockets 17.4, aiohttp 3.14.5. Seen: 2026-11-30, with Python 3.11.
#
# A server answers a WebSocket's handshake with 302 and a `Location`: an absolute one with `ws://`, one with `http://`, which names
# the same place, or a path alone. Which clients follow?
#
# Expected: all follow all. A handshake is an HTTP request, frameworks write `http://` where they know nothing of WebSockets, and
# `ws://` is what the client was given itself. What was seen: each takes one of the two absolute ones, and not the same.
#
# | Location     | websockets            | aiohttp                          |
# | ws://..      | followed              | fails: NonHttpUrlRedirectClientError |
# | http://..    | fails: InvalidURI     | followed                         |
# | a path alone | followed              | followed                         |
#
# It matters for whoever moves a WebSocket by a redirect, from a load balancer for instance: a `Location` without a scheme and a host is
# the one that both follow.
#
# Needs bash and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi websockets==17.4 aiohttp==3.14.5
cat > seen.py <<'PYTHON'
import asyncio
from http import HTTPStatus

import aiohttp
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def by_websockets(url):
    async with connect(url) as ws:
        await ws.send("hello")
        return await ws.recv()


async def by_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
        await ws.send_str("hello")
        return await ws.receive_str()


async def outcome(client, url):
    try:
        return "followed" if await asyncio.wait_for(client(url), 10) == "hello" else "no echo"
    except Exception as error:
        return f"fails: {type(error).__name__}"


async def main():
    locations = {}

    def redirect(connection, request):
        if request.path in locations:
            response = connection.respond(HTTPStatus.FOUND, "")
            response.headers["Location"] = locations[request.path]
            return response

    async with serve(echo, "127.0.0.1", 0, process_request=redirect) as server:
        authority = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        locations.update({"/ws": f"ws://{authority}/new", "/http": f"http://{authority}/new", "/path": "/new"})
        for name, client in (("websockets", by_websockets), ("aiohttp", by_aiohttp)):
            for path in locations:
                print(f"{name}, {path[1:]}: {await outcome(client, f'ws://{authority}{path}')}")


asyncio.run(main())
PYTHON
within 60 python/bin/python seen.py > seen
as_it_was <<'SEEN'
websockets, ws: followed
websockets, http: fails: InvalidURI
websockets, path: followed
aiohttp, ws: fails: NonHttpUrlRedirectClientError
aiohttp, http: followed
aiohttp, path: followed
SEEN

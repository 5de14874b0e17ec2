#!/usr/bin/env bash
# Version: python websockets 17.4. Seen: 2026-11-30, with Python 3.11.
#
# `async for ws in connect(uri)` connects again, with exponential backoff, as its documentation says. A server accepts each connection
# and closes it at once, with 1001 (going away) or 1013 (try again later), as one does that is being stopped, or has too much to do.
# How long does the client wait?
#
# Expected: longer and longer, or for some seconds at least. What was seen: not at all. The backoff is for handshakes that fail;
# each one that succeeds begins it anew, so the next connection follows at once: some hundreds in a second on loopback, where one
# whose handshake is refused with 503 makes two attempts or three in that time.
#
# It matters for servers that tell their clients to go by a close code: those of this kind come back before the next poll. Refuse
# the handshake, by 503, for backoff to be used; and a client of one's own waits in the body of the loop.
#
# Needs bash and python3 with venv. Loopback only, for two seconds each. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi websockets==17.4
cat > seen.py <<'PYTHON'
import asyncio
import logging
from http import HTTPStatus

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

SECONDS, MOST = 2, 200
logging.disable()


async def attempts(code):
    """How many connections a client makes to a server that closes each with this code, or refuses it without one."""
    count, enough = 0, asyncio.Event()

    def counted():
        nonlocal count
        count += 1
        if count == MOST:
            enough.set()

    def refuse(connection, request):
        if code is None:
            counted()
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")

    async def leave(ws):
        counted()
        await ws.close(code)

    async def listen(uri):
        async for ws in connect(uri):
            try:
                async for _ in ws:
                    pass
            except ConnectionClosed:
                pass

    async with serve(leave, "127.0.0.1", 0, process_request=refuse) as server:
        client = asyncio.create_task(listen("ws://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]))
        try:
            await asyncio.wait_for(enough.wait(), SECONDS)
        except TimeoutError:
            pass
        client.cancel()
    return count


async def main():
    for code in (1001, 1013, None):
        count = await attempts(code)
        what = f"closed with {code}" if code else "refused with 503"
        print(f"{what}: {'200 connections and more' if count >= MOST else '1 to 5 attempts' if count <= 5 else count}")


asyncio.run(main())
PYTHON
within 60 python/bin/python seen.py > seen
as_it_was <<'SEEN'
closed with 1001: 200 connections and more
closed with 1013: 200 connections and more
refused with 503: 1 to 5 attempts
SEEN

#!/usr/bin/env bash
# Version: hypercorn 0.18.0 with wsproto 1.3.2 and h2 4.4.1, and uvicorn 0.54.0 from PyPI. Seen: 2026-11-30, with Python 3.11.
#
# A client closes its WebSocket by a Close with a code. What does an ASGI application get in `websocket.disconnect`? And if it is one
# over HTTP/2, by RFC 8441, how does its stream end?
#
# Expected: the code, as with uvicorn; and by END_STREAM, since "Orderly TCP-level closures are represented as END_STREAM flags" (RFC
# 8441 section 5). What was seen: 1006, whatever the client says; that is the code of a connection that was lost. And the stream does
# not end: the Close is answered, and then nothing comes, though the client ends its own side.
#
# It matters for applications that count codes, or keep for a while what a lost client may come back for; and for clients that wait for
# the end of the stream after the closing handshake: each `close` takes them seconds, and they have to reset the stream themselves.
#
# Needs bash and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi hypercorn==0.18.0 wsproto==1.3.2 h2==4.4.1 uvicorn==0.54.0 websockets==17.4
cat > seen.py <<'PYTHON'
import asyncio
import logging
import socket

import h2.config
import h2.connection
import h2.events
import hypercorn.asyncio
import hypercorn.config
import uvicorn
from websockets.asyncio.client import connect

logging.disable()
got = asyncio.Queue()


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        got.put_nowait((await receive())["code"])


async def told():
    """The code that the application gets within two seconds."""
    try:
        return await asyncio.wait_for(got.get(), 2)
    except TimeoutError:
        return "nothing"


async def over_http1(port):
    codes = []
    for code in (1000, 1001, 4000):
        async with connect(f"ws://127.0.0.1:{port}/") as ws:
            await ws.close(code)
        codes.append(f"{code} tells {await told()}")
    return ", ".join(codes)


async def over_http2(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    http2 = h2.connection.H2Connection(h2.config.H2Configuration())
    http2.initiate_connection()
    head = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/", ":authority": "localhost", "sec-websocket-version": "13"}

    async def until(wanted):
        """The events up to one of that kind, or until two seconds of silence."""
        events = []
        while not any(isinstance(event, wanted) for event in events):
            writer.write(http2.data_to_send())
            try:
                events += http2.receive_data(await asyncio.wait_for(reader.read(65536), 2))
            except TimeoutError:
                break
        return events

    await until(h2.events.RemoteSettingsChanged)
    http2.send_headers(1, list(head.items()))
    await until(h2.events.ResponseReceived)
    http2.send_data(1, b"\x88\x82\0\0\0\0\x03\xe8", end_stream=True)
    came = await until((h2.events.StreamEnded, h2.events.StreamReset))
    writer.close()
    close = b"".join(event.data for event in came if isinstance(event, h2.events.DataReceived))
    ended = any(isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)) for event in came)
    return f"1000 tells {await told()}, a Close with {int.from_bytes(close[2:4])} comes, the stream {'ends' if ended else 'stays open'}"


async def main():
    # Who connects before the servers are there waits.
    first, second = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [listener.getsockname()[1] for listener in (first, second)]
    config, stop = hypercorn.config.Config(), asyncio.Event()
    config.bind, config.errorlog = [f"fd://{first.detach()}"], None
    other = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None))
    servers = hypercorn.asyncio.serve(application, config, shutdown_trigger=stop.wait), other.serve([second])
    servers = [asyncio.create_task(server) for server in servers]
    print("uvicorn:", await over_http1(ports[1]))
    print("hypercorn:", await over_http1(ports[0]))
    print("hypercorn over HTTP/2:", await over_http2(ports[0]))
    stop.set()
    other.should_exit = True
    await asyncio.wait(servers, timeout=10)


asyncio.run(main())
PYTHON
within 60 python/bin/python seen.py > seen
as_it_was <<'SEEN'
uvicorn: 1000 tells 1000, 1001 tells 1001, 4000 tells 4000
hypercorn: 1000 tells 1006, 1001 tells 1006, 4000 tells 1006
hypercorn over HTTP/2: 1000 tells 1006, a Close with 1000 comes, the stream stays open
SEEN

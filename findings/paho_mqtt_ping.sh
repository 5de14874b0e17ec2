#!/usr/bin/env bash
# Version: paho-mqtt 2.2.0 from PyPI, with its transport "websockets". Seen: 2026-11-30, with Python 3.11 and websockets 17.4.
#
# An MQTT client is connected over WebSocket, and the server sends it a Ping, and later a Close. How are the two answered?
#
# Expected: by a Pong and by a Close, masked like all that it sends: "a client MUST mask all frames that it sends to the server" (RFC
# 6455 section 5.1). What was seen: its MQTT packets are masked; Pong and Close are not. A server has to end such a connection
# ("The server MUST close the connection upon receiving a frame that is not masked"), and websockets does, by 1002.
#
# It matters for servers that keep their connections alive by Pings: each of these clients is lost at the first one. Leave
# WebSocket's Pings off for them, and rely on MQTT's own PINGREQ, which it sends in time.
#
# Needs bash and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_pypi paho-mqtt==2.2.0 websockets==17.4
cat > seen.py <<'PYTHON'
import asyncio
import logging
import re

import paho.mqtt.client as mqtt
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError
from websockets.utils import accept_key

CONNECT, PINGREQ = 0x10, 0xC0
logging.disable()


def client(port, keepalive=60):
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, transport="websockets", reconnect_on_failure=False)
    made.connect_async("127.0.0.1", port, keepalive)
    made.loop_start()
    return made


async def with_pings(interval, keepalive):
    """How a connection ends to which this server sends a Ping each so many seconds, if it does not last for three PINGREQs."""
    ended = asyncio.get_running_loop().create_future()

    async def broker(ws):
        asked = 0
        try:
            async for packet in ws:
                if packet[0] == CONNECT:
                    await ws.send(b"\x20\x02\0\0")
                elif packet[0] == PINGREQ:
                    await ws.send(b"\xd0\0")
                    asked += 1
                    if asked == 3:
                        return ended.set_result("lasts")
        except ConnectionClosedError:
            ended.set_result(f"the server ends it by {ws.protocol.close_sent.code}, {ws.protocol.close_sent.reason}")

    async with serve(broker, "127.0.0.1", 0, subprotocols=["mqtt"], ping_interval=interval) as server:
        made = client(server.sockets[0].getsockname()[1], keepalive)
        try:
            return await asyncio.wait_for(ended, 20)
        finally:
            made.loop_stop()


async def masks():
    """Whether what it sends is masked, by opcode."""
    seen = asyncio.get_running_loop().create_future()

    async def broker(reader, writer):
        frames = {}
        head = await reader.readuntil(b"\r\n\r\n")
        key = re.search(r"(?i)sec-websocket-key: *(\S+)", head.decode())[1]
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key)}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
        )
        while len(frames) < 3:
            first, second = await reader.readexactly(2)
            await reader.readexactly((second & 127) + (4 if second & 128 else 0))
            frames[first] = bool(second & 128)
            writer.write(b"\x82\x04\x20\x02\0\0\x89\x02hi" if first == 0x82 else b"\x88\x02\x03\xe8")
        writer.close()
        seen.set_result(frames)

    async with await asyncio.start_server(broker, "127.0.0.1", 0) as server:
        made = client(server.sockets[0].getsockname()[1])
        try:
            return await asyncio.wait_for(seen, 20)
        finally:
            made.loop_stop()


async def main():
    for opcode, masked in (await masks()).items():
        print(f"{ {0x82: 'CONNECT', 0x8A: 'Pong', 0x88: 'Close'}[opcode] }: {'masked' if masked else 'not masked'}")
    print("without Pings:", await with_pings(None, 1))
    print("with Pings:", await with_pings(0.5, 1))


asyncio.run(main())
PYTHON
within 60 python/bin/python seen.py > seen
as_it_was <<'SEEN'
CONNECT: masked
Pong: not masked
Close: not masked
without Pings: lasts
with Pings: the server ends it by 1002, incorrect masking
SEEN

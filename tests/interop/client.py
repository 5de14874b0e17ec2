"""Sends random messages to an echo server through python `websockets`, and checks what comes back.

usage: client.py URL PARAMETERS COUNT
"""

import asyncio
import json
import random
import sys

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate

OUTSTANDING = 16


def messages(count):
    """Messages of random size and compressibility; at times one that was sent before."""
    sent, chance = [], random.Random(7692)
    for _ in range(count):
        size = chance.randrange(chance.choice([8, 200, 2_000, 40_000]))
        kind = chance.randrange(4)
        if sent and kind == 0:
            message = chance.choice(sent)
        elif kind == 1:
            message = "".join(chance.choices("{}[]\":, abcéü€漢🦀0123456789", k=size))
        elif kind == 2:
            message = chance.randbytes(size)
        else:
            message = bytes([chance.randrange(256)]) * size
        sent.append(message)
    return sent


async def main():
    url, parameters, count = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    factory = ClientPerMessageDeflateFactory(**parameters)
    async with connect(url, compression=None, extensions=[factory], max_size=None) as ws:
        assert any(isinstance(extension, PerMessageDeflate) for extension in ws.protocol.extensions), "not compressed"
        sent = messages(count)
        for start in range(0, count, OUTSTANDING):
            turn = sent[start : start + OUTSTANDING]
            for i, message in enumerate(turn):
                half = len(message) // 2
                # Some of them in fragments.
                await ws.send([message[:half], message[half:]] if i % 5 == 0 and half else message)
            for message in turn:
                assert await ws.recv() == message, "another message came back"
    assert ws.close_code == 1000, ws.close_code


asyncio.run(main())

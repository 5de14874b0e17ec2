"""An echo server on python `websockets`. Prints its port; arguments are the parameters of permessage-deflate."""

import asyncio
import json
import sys

from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def main():
    factory = ServerPerMessageDeflateFactory(**json.loads(sys.argv[1]))
    async with serve(echo, "127.0.0.1", 0, compression=None, extensions=[factory], max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())

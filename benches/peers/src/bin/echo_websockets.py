"""python `websockets`, with zlib: the level, the window and the memory that zlib itself has by default."""

import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    host, port = sys.argv[sys.argv.index("--addr") + 1].split(":")
    extensions = []
    if "--deflate" in sys.argv:
        settings = {"level": 6, "memLevel": 8}
        extensions = [ServerPerMessageDeflateFactory(compress_settings=settings)]
    async with serve(echo, host, int(port), compression=None, extensions=extensions, max_size=None) as server:
        await server.serve_forever()


asyncio.run(main())

#!/usr/bin/env bash
# Version: tornado 6.6.1, autobahn 26.10.2, hypercorn 0.18.0 with wsproto 1.3.2, and websockets 17.4 from PyPI, ws 8.23.0 from npm.
# Seen: 2026-11-30, with Python 3.11 and Node 20.20.2.
#
# A client offers permessage-deflate in ways that RFC 7692 allows. What does a server that compresses answer?
#
# Expected: 101, with the extension or without it: "A server MUST decline an extension negotiation offer for this extension if", for
# one, it "contains an extension parameter not defined for use in an offer" (RFC 7692 section 7), and takes the next or none. Seen:
#
# | offer                                                   | no handshake from                      |
# | server_max_window_bits=8                                | tornado (500), autobahn (400)          |
# | server_max_window_bits="10"                             | hypercorn (TCP ends without an answer) |
# | one with an unknown parameter, and then one without any | autobahn (400), ws (400)               |
#
# It matters for clients that offer more than the bare name: what was to save memory makes the server unreachable, and neither 500 nor
# an end of TCP tells why. 8 is a value of the RFC, quotes are allowed by RFC 6455 section 9.1, and the third is how a parameter of
# a later version would be offered. 9 to 15 without quotes are safe.
#
# Needs bash, node, npm and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_npm ws@8.23.0
from_pypi tornado==6.6.1 autobahn==26.10.2 hypercorn==0.18.0 wsproto==1.3.2 websockets==17.4
cat > ws.mjs <<'JAVASCRIPT'
import { WebSocketServer } from 'ws';
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: true });
server.on('connection', (ws) => ws.on('error', () => {}));
server.on('listening', () => console.log(server.address().port));
JAVASCRIPT
cat > seen.py <<'PYTHON'
import asyncio
import logging
import re
import socket
import sys

import hypercorn.asyncio
import hypercorn.config
import tornado.web
import tornado.websocket
from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOfferAccept
from websockets.asyncio.server import serve

logging.disable()
OFFERS = {
    "bare": "permessage-deflate",
    "9 bits": "permessage-deflate; server_max_window_bits=9",
    "8 bits": "permessage-deflate; server_max_window_bits=8",
    "quoted": 'permessage-deflate; server_max_window_bits="10"',
    "unknown": "permessage-deflate; later_parameter, permessage-deflate",
}


class Tornado(tornado.websocket.WebSocketHandler):
    def get_compression_options(self):
        return {}


async def application(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept" if scope["type"] == "websocket" else f"{scope['type']}.startup.complete"})
    await asyncio.sleep(60)


async def start(port):
    # Whoever connects to it before hypercorn is there waits.
    listener = socket.create_server(("127.0.0.1", port["hypercorn"]))
    tornado.web.Application([("/", Tornado)]).listen(port["tornado"], "127.0.0.1")
    factory = WebSocketServerFactory()
    factory.protocol = WebSocketServerProtocol
    factory.setProtocolOptions(perMessageCompressionAccept=lambda offers: PerMessageDeflateOfferAccept(offers[0]))
    await asyncio.get_running_loop().create_server(factory, "127.0.0.1", port["autobahn"])
    config = hypercorn.config.Config()
    config.bind, config.errorlog = [f"fd://{listener.detach()}"], None
    await serve(lambda ws: ws.wait_closed(), "127.0.0.1", port["websockets"])
    return asyncio.create_task(hypercorn.asyncio.serve(application, config))


async def answer(port, offer):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n".encode()
    )
    try:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    except asyncio.IncompleteReadError:
        return "no answer"
    finally:
        writer.close()
    return head.split()[1] + (" with it" if "\r\nsec-websocket-extensions: permessage-deflate" in head.lower() else "")


async def main():
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in ("tornado", "autobahn", "hypercorn", "websockets")}
    ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
    for listener in listeners.values():
        listener.close()
    task = await start(ports)
    ports["ws"] = int(sys.argv[1])
    for name, port in ports.items():
        print(f"{name}: {', '.join([f'{offer} {await answer(port, value)}' for offer, value in OFFERS.items()])}")


asyncio.run(main())
PYTHON
mkfifo first_line
timeout 120 node ws.mjs > first_line &
read -r port < first_line
within 60 python/bin/python seen.py "$port" > seen
as_it_was <<'SEEN'
tornado: bare 101 with it, 9 bits 101 with it, 8 bits 500, quoted 101 with it, unknown 101 with it
autobahn: bare 101 with it, 9 bits 101 with it, 8 bits 400, quoted 101 with it, unknown 400
hypercorn: bare 101 with it, 9 bits 101 with it, 8 bits 101, quoted no answer, unknown 101 with it
websockets: bare 101 with it, 9 bits 101 with it, 8 bits 101, quoted 101 with it, unknown 101 with it
ws: bare 101 with it, 9 bits 101 with it, 8 bits 101 with it, quoted 101 with it, unknown 400
SEEN

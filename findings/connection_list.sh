#!/usr/bin/env bash
# Version: undici 7.30.2, deno 2.9.6, websocket 1.0.35, ws 8.23.0 and bun 1.4.5 from npm, aiohttp 3.14.5 and websockets 17.4 from
# PyPI, and java.net.http of Debian's openjdk-17-jdk-headless 17.0.21. Seen: 2026-11-30, with Node 20.20.2 and Python 3.11.
#
# A server, or what stands before it, answers a handshake with `Connection: keep-alive, Upgrade`. Which clients connect?
#
# Expected: all. The field is a list, as requests from Firefox have it, and only "If [..] the |Connection| header field doesn't
# contain a token that is an ASCII case-insensitive match for the value "Upgrade", the client MUST _Fail the WebSocket Connection_"
# (RFC 6455 section 4.1, item 3). What was seen: ws, bun and websockets do. undici, which is Node's own `WebSocket`, Deno, npm's
# websocket, aiohttp and Java compare the whole value, and fail.
#
# It matters for servers and proxies that write the field: browsers take the list, so nobody notices until a program connects. Send
# `Connection: Upgrade` and nothing else.
#
# Needs bash, node, npm, java and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_system 17.0.21 java -version
from_npm undici@7.30.2 deno@2.9.6 websocket@1.0.35 ws@8.23.0 bun@1.4.5
from_pypi aiohttp==3.14.5 websockets==17.4
cat > client.mjs <<'JAVASCRIPT'
const [name, url] = (await import('node:process')).argv.slice(2);
const Client = {
  undici: async () => (await import('undici')).WebSocket,
  websocket: async () => (await import('websocket')).default.w3cwebsocket,
  ws: async () => (await import('ws')).WebSocket,
}[name];
const ws = new (Client ? await Client() : WebSocket)(url);
const end = (what) => { console.log(what); globalThis.process ? process.exit() : Deno.exit(); };
ws.onopen = () => end('connects');
ws.onclose = () => end('fails');
JAVASCRIPT
cat > client.py <<'PYTHON'
import asyncio
import logging
import sys

import aiohttp
import websockets

logging.disable()


async def main(name, url):
    match name:
        case "aiohttp":
            async with aiohttp.ClientSession() as session, session.ws_connect(url):
                pass
        case "websockets":
            async with websockets.connect(url):
                pass


try:
    asyncio.run(main(*sys.argv[1:]))
    print("connects")
except Exception:
    print("fails")
PYTHON
cat > Client.java <<'JAVA'
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;

class Client {
    public static void main(String[] arguments) {
        try {
            var listener = new WebSocket.Listener() {};
            HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(URI.create(arguments[1]), listener).join();
            System.out.println("connects");
        } catch (java.util.concurrent.CompletionException error) {
            System.out.println("fails");
        }
        System.exit(0);
    }
}
JAVA
cat > server.py <<'PYTHON'
import asyncio
from websockets.asyncio.server import serve


def answer(connection, request, response):
    if request.path == "/list":
        del response.headers["Connection"]
        response.headers["Connection"] = "keep-alive, Upgrade"


async def main():
    async with serve(lambda ws: ws.wait_closed(), "127.0.0.1", 0, process_response=answer) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.wait_closed()


asyncio.run(main())
PYTHON
mkfifo first_line
timeout 200 python/bin/python server.py > first_line &
read -r port < first_line
export DENO_NO_UPDATE_CHECK=1 DENO_DIR="$folder/deno"
for name in ws bun websockets undici deno websocket aiohttp java; do
    case $name in
        bun) command="node_modules/.bin/bun client.mjs" ;;
        deno) command="node_modules/.bin/deno run --quiet --allow-all client.mjs" ;;
        java) command="java Client.java" ;;
        websockets | aiohttp) command="python/bin/python client.py" ;;
        *) command="node client.mjs" ;;
    esac
    for path in plain list; do
        printf '%s, %s: ' "$name" "$path"
        # shellcheck disable=SC2086
        within 60 $command "$name" "ws://127.0.0.1:$port/$path" 2> errors
    done
done > seen
{
    printf '%s, plain: connects\n%s, list: connects\n' ws{,} bun{,} websockets{,}
    printf '%s, plain: connects\n%s, list: fails\n' undici{,} deno{,} websocket{,} aiohttp{,} java{,}
} | as_it_was

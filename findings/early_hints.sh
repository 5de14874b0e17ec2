#!/usr/bin/env bash
# Version: Debian's haproxy 2.6.12-1+deb12u4, chromium 156.0.8078.114-1~deb12u1 and firefox-esr 153.8.0esr-1~deb12u1, and python
# websockets 17.4 and aiohttp 3.14.5. Seen: 2026-11-30, with Python 3.11.
#
# A proxy sends 103 (Early Hints) in front of each answer, by HAProxy's `http-request early-hint`, in front of a WebSocket's 101 too.
# Which clients connect?
#
# Expected: all. "A client MUST be able to parse one or more 1xx responses received prior to a final response, even if the client
# does not expect one." (RFC 9110 section 15.2) What was seen: Firefox and aiohttp connect. Chromium, which knows such hints well,
# does not, nor does websockets, which takes 103 for the refusal.
#
# It matters for who has that rule: the pages get faster, and their WebSockets fail with 1006, in one browser and not in the other.
# A condition leaves them out: `if !{ req.hdr(Upgrade) -m found }`.
#
# Needs bash, python3 with venv, haproxy, chromium and firefox-esr. Loopback only. Exits with 1 if it sees something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check websockets==17.4 aiohttp==3.14.5
cat > "$folder/seen.py" <<'PYTHON'
import asyncio
import os
import pathlib
import signal
import socket
import subprocess
import sys
from http import HTTPStatus

import aiohttp
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

FOLDER = pathlib.Path(sys.argv[1])
PAGE = """<!doctype html><script>
const seen = (url) => new Promise((resolve) => {
  const ws = new WebSocket(url);
  ws.onopen = () => resolve('connects');
  ws.onclose = ({ code }) => resolve(`fails, ${code}`);
});
(async () => fetch('/result/' + encodeURIComponent((await Promise.all(URLS.map(seen))).join(';'))))();
</script>"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def by_websockets(url):
    async with connect(url):
        pass


async def by_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url):
        pass


async def outcome(client, url):
    try:
        await asyncio.wait_for(client(url), 10)
        return "connects"
    except Exception as error:
        return f"fails, {'103' if '103' in str(error) else error}"


async def main():
    results, urls = asyncio.Queue(), []

    def page(connection, request):
        if "Upgrade" not in request.headers:
            if request.path.startswith("/result/"):
                results.put_nowait(request.path.removeprefix("/result/").replace("%20", " ").replace("%2C", ",").split("%3B"))
            response = connection.respond(HTTPStatus.OK, PAGE.replace("URLS", repr(urls)) if request.path == "/" else "")
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "text/html"
            return response

    async with serve(lambda ws: ws.wait_closed(), "127.0.0.1", 0, process_request=page) as server:
        port, plain, hints = server.sockets[0].getsockname()[1], free_port(), free_port()
        urls += [f"ws://127.0.0.1:{plain}/", f"ws://127.0.0.1:{hints}/"]
        FOLDER.joinpath("haproxy.cfg").write_text(
            "defaults\nmode http\ntimeout connect 5s\ntimeout client 30s\ntimeout server 30s\n"
            f"listen plain\nbind 127.0.0.1:{plain}\nserver s 127.0.0.1:{port}\n"
            f'listen hints\nbind 127.0.0.1:{hints}\nhttp-request early-hint Link "</page.css>; rel=preload"\nserver s 127.0.0.1:{port}\n'
        )
        commands = {"HAProxy": ["haproxy", "-q", "-f", f"{FOLDER}/haproxy.cfg"]}
        commands["Chromium"] = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={FOLDER}/chromium"]
        commands["Firefox"] = ["firefox-esr", "--headless", "--no-remote", "--profile", f"{FOLDER}/firefox"]
        FOLDER.joinpath("firefox").mkdir()
        processes = []
        try:
            for name, command in commands.items():
                command += [] if name == "HAProxy" else [f"http://127.0.0.1:{port}/"]
                processes.append(subprocess.Popen(command, env={**os.environ, "HOME": str(FOLDER)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True))
                await asyncio.sleep(1)
                if name != "HAProxy":
                    print(f"{name}: {' | '.join(await asyncio.wait_for(results.get(), 60))}")
            for client in (by_websockets, by_aiohttp):
                print(f"{client.__name__[3:]}: {' | '.join([await outcome(client, url) for url in urls])}")
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


asyncio.run(main())
PYTHON
PATH="$PATH:/usr/sbin" timeout 180 "$folder/python/bin/python" "$folder/seen.py" "$folder" > "$folder/seen"
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN' || { echo "It is not as it was." >&2; exit 1; }
Chromium: connects | fails, 1006
Firefox: connects | connects
websockets: connects | fails, 103
aiohttp: connects | connects
SEEN

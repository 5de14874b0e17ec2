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
# A condition leaves them out, with which all four connect: `if !{ req.hdr(Upgrade) -m found }`.
#
# Needs bash, python3 with venv, haproxy, chromium and firefox-esr. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_system 2.6.12-1+deb12u4 haproxy -v
from_system 156.0.8078.114 chromium --version --no-sandbox
from_system 153.8.0esr firefox-esr --version
from_pypi websockets==17.4 aiohttp==3.14.5
cat > seen.py <<'PYTHON'
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

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))
FOLDER = pathlib.Path.cwd()
HINT = 'http-request early-hint Link "</page.css>; rel=preload"'
RULES = ["", HINT, HINT + " if !{ req.hdr(Upgrade) -m found }"]
PAGE = """<!doctype html><script>
const seen = (url) => new Promise((resolve) => {
  const ws = new WebSocket(url);
  ws.onopen = () => resolve('connects');
  ws.onclose = ({ code }) => resolve(`fails, ${code}`);
});
(async () => fetch('/result/' + encodeURIComponent((await Promise.all(URLS.map(seen))).join(';'))))();
</script>"""


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
        port, listeners = server.sockets[0].getsockname()[1], [socket.create_server(("127.0.0.1", 0)) for _ in RULES]
        fronts = [listener.fileno() for listener in listeners]
        urls += [f"ws://127.0.0.1:{listener.getsockname()[1]}/" for listener in listeners]
        FOLDER.joinpath("haproxy.cfg").write_text(
            "defaults\nmode http\ntimeout connect 5s\ntimeout client 30s\ntimeout server 30s\n"
            + "".join(f"listen {front}\nbind fd@{front}\n{rule}\nserver s 127.0.0.1:{port}\n" for front, rule in zip(fronts, RULES))
        )
        commands = {"HAProxy": ["haproxy", "-q", "-f", f"{FOLDER}/haproxy.cfg"]}
        commands["Chromium"] = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={FOLDER}/chromium"]
        commands["Firefox"] = ["firefox-esr", "--headless", "--no-remote", "--profile", f"{FOLDER}/firefox"]
        FOLDER.joinpath("firefox").mkdir()
        processes = []
        try:
            for name, command in commands.items():
                command += [] if name == "HAProxy" else [f"http://127.0.0.1:{port}/"]
                processes.append(subprocess.Popen(command, env={**os.environ, "HOME": str(FOLDER)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=fronts, start_new_session=True))
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
within 180 python/bin/python seen.py > seen
as_it_was <<'SEEN'
Chromium: connects | fails, 1006 | connects
Firefox: connects | connects | connects
websockets: connects | fails, 103 | connects
aiohttp: connects | connects | connects
SEEN

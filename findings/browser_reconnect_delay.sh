#!/usr/bin/env bash
# Version: Debian's firefox-esr 153.8.0esr-1~deb12u1 and chromium 156.0.8078.114-1~deb12u1. Seen: 2026-11-30, with Python 3.11.
#
# A page opens a WebSocket; the server refuses the handshake by 503, at once; the page tries again 0.1 seconds after each close event,
# for 40 seconds. How many attempts does the server see, and at what intervals?
#
# Expected: some hundreds, as a program makes. What was seen: about 10 from Firefox, and the interval grows by half each time, to more
# than 10 seconds: `new WebSocket` waits before it connects. Chromium makes 10 and more at full speed, and then waits 1 to 5 seconds
# before each. Neither says so: the WebSocket is just CONNECTING, and the server sees nothing at all.
#
# It matters for who writes a page's backoff, since the browser's is added to it; for whoever shows "connecting" and gives up after
# some seconds, since the attempt has not even begun; and for tests that restart a server: for up to a minute Firefox
# looks as if the server were still down.
#
# Needs bash, python3, chromium and firefox-esr. Loopback only. Exits with 1 if it sees something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/firefox"
cat > "$folder/seen.py" <<'PYTHON'
import asyncio
import os
import signal
import subprocess
import sys
import time

SECONDS = 40
PAGE = b"""<!doctype html><script>
const attempt = () => {
  new WebSocket(location.href.replace('http', 'ws')).onclose = () => setTimeout(attempt, 100);
};
attempt();
</script>"""


async def attempts(command):
    """When the server saw an attempt."""
    times = []

    async def answer(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            head = b""
        if b"\r\nUpgrade: websocket\r\n" in head:
            times.append(time.monotonic())
            status, body = b"503 Service Unavailable", b""
        else:
            status, body = b"200 OK", PAGE
        writer.write(b"HTTP/1.1 %s\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = "http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
        environment = {**os.environ, "HOME": sys.argv[1]}
        process = subprocess.Popen([*command, url], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            until = time.monotonic() + 60
            while not times and time.monotonic() < until:
                await asyncio.sleep(0.1)
            await asyncio.sleep(SECONDS)
        finally:
            # It starts processes of its own, in the same group.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return times


def intervals(times):
    return [later - sooner for sooner, later in zip(times, times[1:])]


async def main():
    firefox = intervals(await attempts(["firefox-esr", "--headless", "--no-remote", "--profile", f"{sys.argv[1]}/firefox"]))
    print("Firefox:", *(f"{interval:.1f}" for interval in firefox), file=sys.stderr)
    print("Firefox, attempts:", "9 to 14" if 8 <= len(firefox) <= 13 else len(firefox) + 1)
    print("Firefox, the last interval is", "more than 5 s" if firefox[-1] > 5 else firefox[-1])
    print("Firefox, each interval from the fourth on is", "longer than the one before" if firefox[2:] == sorted(firefox[2:]) else "as it is")
    chromium = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={sys.argv[1]}/chromium"]
    chromium = intervals(await attempts(chromium))
    print("Chromium:", *(f"{interval:.1f}" for interval in chromium), file=sys.stderr)
    print("Chromium, the first 8 intervals are", "less than 1 s" if max(chromium[:8]) < 1 else chromium[:8])
    late = sum(chromium[-6:]) / 6
    print("Chromium, the mean of the last 6 is", "1 to 6 s" if 1 < late < 6 else late)


asyncio.run(main())
PYTHON
timeout 240 python3 "$folder/seen.py" "$folder" > "$folder/seen"
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN' || { echo "It is not as it was." >&2; exit 1; }
Firefox, attempts: 9 to 14
Firefox, the last interval is more than 5 s
Firefox, each interval from the fourth on is longer than the one before
Chromium, the first 8 intervals are less than 1 s
Chromium, the mean of the last 6 is 1 to 6 s
SEEN

#!/usr/bin/env bash
# Version: tinyproxy 1.11.1, Debian's tinyproxy-bin 1.11.1-2.1+deb12u1. Seen: 2026-11-30.
#
# A proxy asks for a user name and a password (`BasicAuth`). A client that wants a tunnel sends CONNECT without them, with wrong ones,
# and with the right ones. What does the proxy answer?
#
# Expected: 407 with Proxy-Authenticate to the first two, as RFC 9110 section 15.5.8 has it. What was seen: 407 to the first, and to
# the second 401 with WWW-Authenticate, as if it were the server that was asked.
#
# It matters for clients that take 407 alone for the proxy's word: with a password that was mistyped or has expired, they tell their
# user that the server wants another token, or ask their own token service for one, and come back with it.
#
# Needs bash, apt-get, dpkg-deb and python3. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_debian tinyproxy-bin=1.11.1-2.1+deb12u1
cat > seen.py <<'PYTHON'
import base64
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def connect(port):
    until = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 10)
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def answer(port, target, credentials):
    """The status, and which of the two headers is there."""
    request = f"CONNECT 127.0.0.1:{target} HTTP/1.1\r\nHost: 127.0.0.1:{target}\r\n"
    if credentials:
        request += f"Proxy-Authorization: Basic {base64.b64encode(credentials.encode()).decode()}\r\n"
    head = b""
    with connect(port) as tcp:
        tcp.sendall(request.encode() + b"\r\n")
        while b"\r\n\r\n" not in head and (bytes_ := tcp.recv(4096)):
            head += bytes_
    status = head.split()[1].decode()
    asked = re.search(rb"^(Proxy|WWW)-Authenticate", head, re.MULTILINE)
    return f"{status}, {asked[0].decode() if asked else 'neither'}"


proxy = free_port()
pathlib.Path("tinyproxy.conf").write_text(f"Port {proxy}\nListen 127.0.0.1\nBasicAuth joe secret\nLogFile \"{pathlib.Path.cwd()}/log\"\n")
with subprocess.Popen(["usr/bin/tinyproxy", "-d", "-c", "tinyproxy.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            for name, credentials in (("none", ""), ("wrong", "joe:other"), ("right", "joe:secret")):
                print(f"{name}: {answer(proxy, server.getsockname()[1], credentials)}")
    finally:
        process.terminate()
PYTHON
within 60 python3 seen.py > seen
as_it_was <<'SEEN'
none: 407, Proxy-Authenticate
wrong: 401, WWW-Authenticate
right: 200, neither
SEEN

#!/usr/bin/env bash
# Version: OpenSSH 9.2p1 (`ssh -D`, Debian's openssh-client 1:9.2p1-2+deb12u6, with a server of asyncssh 2.24.1 from PyPI) and
# microsocks 1.0.3, Debian's 1.0.3-2. Seen: 2026-11-30, with Python 3.11.
#
# A client asks a SOCKS5 proxy for a server that listens, for a port where nobody does, and for a name that nobody knows. What does
# the proxy reply?
#
# Expected: 0 to the first, and to the others what there is a number for, 5 (connection refused) and 4 (host unreachable); and a reply
# in any case, as "The server evaluates the request, and returns a reply" (RFC 1928 section 6). What was seen: microsocks replies 5,
# and 1 (general failure) for the name. `ssh -D` replies 0 to the first, and nothing at all to the others, though SSH's server told
# it why: TCP ends.
#
# It matters for clients through a jump host: a typing error in the name, a server that is down and a proxy that breaks off look
# the same, and an end of TCP behind the request is no sign of a proxy that is out of order.
#
# Needs bash, apt-get, dpkg-deb, ssh and python3 with venv. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_system OpenSSH_9.2p1 ssh -V
from_debian microsocks=1.0.3-2
from_pypi asyncssh==2.24.1
cat > seen.py <<'PYTHON'
import asyncio
import signal
import socket
import subprocess
import sys

import asyncssh

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Server(asyncssh.SSHServer):
    """Lets anyone in, and opens what it is asked for."""

    def begin_auth(self, username):
        return False

    def connection_requested(self, host, port, *origin):
        return True


async def connect(port):
    for _ in range(100):
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)
    raise TimeoutError


async def reply(port, name, target):
    reader, writer = await connect(port)
    writer.write(b"\5\1\0")
    assert await reader.readexactly(2) == b"\5\0"
    writer.write(b"\5\1\0\3" + bytes([len(name)]) + name.encode() + target.to_bytes(2))
    try:
        came = await asyncio.wait_for(reader.read(4096), 20)
    except ConnectionResetError:
        came = b""
    writer.close()
    return came[1] if came else "TCP ends"


async def main():
    # Too long for a label, so that no resolver is asked.
    unknown = "x" * 64 + ".invalid"
    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")])
    ssh, microsocks = free_port(), free_port()
    command = ["ssh", "-N", "-q", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    command += ["-D", f"127.0.0.1:{ssh}", "-p", str(server.sockets[0].getsockname()[1]), "joe@127.0.0.1"]
    commands = command, ["usr/bin/microsocks", "-i", "127.0.0.1", "-p", str(microsocks)]
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for proxy, port in (("ssh -D", ssh), ("microsocks", microsocks)):
                print(f"{proxy}, a server: {await reply(port, '127.0.0.1', listener.getsockname()[1])}")
                print(f"{proxy}, a port where nobody listens: {await reply(port, '127.0.0.1', 1)}")
                print(f"{proxy}, an unknown name: {await reply(port, unknown, 80)}")
    finally:
        for process in processes:
            process.kill()
            process.wait()


asyncio.run(main())
PYTHON
within 60 python/bin/python seen.py > seen
as_it_was <<'SEEN'
ssh -D, a server: 0
ssh -D, a port where nobody listens: TCP ends
ssh -D, an unknown name: TCP ends
microsocks, a server: 0
microsocks, a port where nobody listens: 5
microsocks, an unknown name: 1
SEEN

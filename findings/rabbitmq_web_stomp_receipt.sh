#!/usr/bin/env bash
# Version: RabbitMQ 3.10.8, Debian's rabbitmq-server 3.10.8-1.1+deb12u1, with its plugin rabbitmq_web_stomp. Seen: 2026-11-30.
#
# A client of STOMP 1.2 sends SEND with a receipt, and then DISCONNECT with a receipt, as the specification's graceful shutdown has it:
# the client waits for the RECEIPT before it closes. What comes over WebSocket, and what over STOMP's own port?
#
# Expected: the same, two RECEIPTs and then the end of the connection. What was seen: over TCP it is so. Over WebSocket the first
# comes, and in place of the second a Close with 1000 and the reason "STOMP died".
#
# It matters for clients that wait for the second in order to know that all has been processed: they take the Close for a failure, and
# may send again what has arrived. A receipt on the last SEND tells it, and a Close with 1000 after DISCONNECT is the goodbye.
#
# Needs bash, python3 and rabbitmq-server. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_system 3.10.8-1.1+deb12u1 dpkg-query --show rabbitmq-server
cat > seen.py <<'PYTHON'
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))
CONNECT = b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0"
SEND = b"SEND\ndestination:/queue/finding\nreceipt:sent\n\nhello\0"
DISCONNECT = b"DISCONNECT\nreceipt:left\n\n\0"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def connect(port):
    for _ in range(300):
        try:
            return socket.create_connection(("127.0.0.1", port), 20)
        except ConnectionRefusedError:
            time.sleep(0.2)
    raise TimeoutError


def until(server, mark):
    came = b""
    while (mark is None or mark not in came) and (data := server.recv(4096)):
        came += data
    return came


def tcp(port):
    with connect(port) as server:
        server.sendall(CONNECT + SEND)
        came = until(server, b"receipt-id:sent\n")
        server.sendall(DISCONNECT)
        return came + until(server, None)


def web_socket(port):
    with connect(port) as server:
        server.sendall(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += server.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        for payload in (CONNECT, SEND):
            server.sendall(bytes([0x81, 128 | len(payload)]) + bytes(4) + payload)
        came = until(server, b"receipt-id:sent\n")
        server.sendall(bytes([0x81, 128 | len(DISCONNECT)]) + bytes(4) + DISCONNECT)
        return came + until(server, b"STOMP died")


def seen(came):
    what = [f"RECEIPT of {receipt}" for receipt in ("sent", "left") if f"receipt-id:{receipt}\n".encode() in came]
    close = came[came.rfind(b"\x88") :] if b"\x88" in came else b""
    return ", ".join(what + ([f"Close {int.from_bytes(close[2:4])} {close[4:].decode()}"] if close else ["the end of TCP"]))


folder, names, stomp, web = Path(sys.argv[1]), free_port(), free_port(), free_port()
(folder / "plugins").write_text("[rabbitmq_web_stomp].")
(folder / "rabbitmq.conf").write_text(
    f"listeners.tcp.1 = 127.0.0.1:{free_port()}\nstomp.listeners.tcp.1 = 127.0.0.1:{stomp}\n"
    f"web_stomp.tcp.ip = 127.0.0.1\nweb_stomp.tcp.port = {web}\n"
)
environment = {
    **os.environ,
    "HOME": str(folder),
    "ERL_EPMD_PORT": str(names),
    "ERL_EPMD_ADDRESS": "127.0.0.1",
    "RABBITMQ_NODENAME": "rabbit@localhost",
    "RABBITMQ_DIST_PORT": str(free_port()),
    "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
    "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
    "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
    "RABBITMQ_LOG_BASE": str(folder),
}
processes = []
try:
    # The name server would be left behind if the broker started it.
    for command in (["epmd", "-port", str(names), "-address", "127.0.0.1"], ["/usr/lib/rabbitmq/bin/rabbitmq-server"]):
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True))
    print("TCP:", seen(tcp(stomp)))
    print("WebSocket:", seen(web_socket(web)))
finally:
    for process in reversed(processes):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
PYTHON
within 150 python3 seen.py "$folder" > seen
as_it_was <<'SEEN'
TCP: RECEIPT of sent, RECEIPT of left, the end of TCP
WebSocket: RECEIPT of sent, Close 1000 STOMP died
SEEN

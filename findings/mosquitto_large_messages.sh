#!/usr/bin/env bash
# Version: mosquitto 2.0.11-1.2+deb12u2, Debian 12's. Seen: 2026-11-30.
#
# A message is published, and a subscriber on the same machine has it at once over MQTT's own port. How long does it take to one
# that is connected over WebSocket?
#
# Expected: about as long. What was seen: as long up to 4 KiB. Beyond that, it leaves the broker 4 KiB at a time, one each 100 ms,
# though the subscriber reads all the while: 64 KiB take 1 to 5 seconds, and 256 KiB more than 5. In the other direction, from
# a WebSocket to MQTT's own port, nothing is slow.
#
# It matters for clients that judge a server by its silence, and for who looks for the fault in a client or a proxy.
#
# Needs bash, apt-get, dpkg-deb and python3. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_debian mosquitto=2.0.11-1.2+deb12u2 libdlt2=2.18.8-6 libnsl2=1.3.0-2 libtirpc3=1.3.3+ds-1 libwrap0=7.6.q-32
cat > client.py <<'PYTHON'
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# `timeout` sends two.
signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_IGN) and sys.exit(143))


def packet(kind, content):
    """MQTT 3.1.1 section 2.2."""
    length, head = len(content), [kind]
    while True:
        length, digit = length >> 7, length & 127
        head.append(digit | (128 if length else 0))
        if not length:
            return bytes(head) + content


def field(value):
    return len(value).to_bytes(2, "big") + value


def frame(payload):
    size, key = len(payload), bytes(4)
    length = bytes([128 | size]) if size < 126 else bytes([254]) + size.to_bytes(2, "big") if size < 1 << 16 else bytes([255]) + size.to_bytes(8, "big")
    return b"\x82" + length + key + payload


def same(data):
    return data


def subscribe(stream, topic, wrap):
    stream.settimeout(30)
    # MQTT 3.1.1, a clean session, a keepalive of a minute, and an identifier that is the server's to choose.
    stream.sendall(wrap(packet(0x10, field(b"MQTT") + bytes([4, 2, 0, 60]) + field(b""))))
    assert bytes([0x20, 2, 0, 0]) in stream.recv(4096)
    stream.sendall(wrap(packet(0x82, bytes([0, 1]) + field(topic) + b"\0")))
    assert bytes([0x90, 3, 0, 1, 0]) in stream.recv(4096)


def seconds(publisher, wrap, topic, size, subscriber):
    begin, came = time.monotonic(), 0
    publisher.sendall(wrap(packet(0x30, field(topic) + bytes(size))))
    while came < size:
        came += len(subscriber.recv(1 << 16))
    return time.monotonic() - begin


with socket.create_server(("127.0.0.1", 0)) as listener:
    port = listener.getsockname()[1]
Path("conf").write_text(f"user root\nallow_anonymous true\nlistener 0 {os.getcwd()}/mqtt\nlistener {port} 127.0.0.1\nprotocol websockets\n")
environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(str(path) for path in Path().glob("**/lib/*-linux-*"))}
with subprocess.Popen(["usr/sbin/mosquitto", "-c", "conf"], env=environment, stderr=subprocess.DEVNULL) as broker:
    try:
        until = time.monotonic() + 10
        while not os.path.exists("mqtt") and time.monotonic() < until:
            time.sleep(0.1)
        plain = socket.socket(socket.AF_UNIX)
        plain.connect("mqtt")
        subscribe(plain, b"plain", same)
        web = socket.create_connection(("127.0.0.1", port))
        web.sendall(
            f"GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
        )
        assert web.recv(4096).startswith(b"HTTP/1.1 101 ")
        subscribe(web, b"web", frame)
        for size in (4000, 65536, 262144):
            for name, taken in (
                ("MQTT to MQTT", seconds(plain, same, b"plain", size, plain)),
                ("WebSocket to MQTT", seconds(web, frame, b"plain", size, plain)),
                ("MQTT to WebSocket", seconds(plain, same, b"web", size, web)),
            ):
                print(f"{size} bytes, {name}: {'less than 1 s' if taken < 1 else 'more than 5 s' if taken > 5 else '1 to 5 s'}")
    finally:
        broker.kill()
PYTHON
within 120 python3 client.py > seen
for size in "4000 less than 1 s" "65536 1 to 5 s" "262144 more than 5 s"; do
    echo "${size%% *} bytes, MQTT to MQTT: less than 1 s"
    echo "${size%% *} bytes, WebSocket to MQTT: less than 1 s"
    echo "${size%% *} bytes, MQTT to WebSocket: ${size#* }"
done | as_it_was

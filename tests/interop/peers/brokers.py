"""Brokers that speak protocols of their own inside messages."""

import random
import subprocess
from contextlib import contextmanager
from pathlib import Path

from peer import Peer, end, free_port, is_open, wait_until


def packet(kind, content):
    """MQTT 3.1.1 section 2.2: a byte, the length of what follows, seven bits in each byte, and that."""
    length, head = len(content), [kind]
    while True:
        length, digit = length >> 7, length & 127
        head.append(digit | (128 if length else 0))
        if not length:
            return bytes(head) + content


def field(value):
    return len(value).to_bytes(2, "big") + value


class Mosquitto(Peer):
    """MQTT 3.1.1, section 6: "MQTT Control Packets MUST be sent in WebSocket binary data frames"."""

    name, program, package, path, subprotocol = "mosquitto", "mosquitto", "mosquitto", "/mqtt", "mqtt"
    # The client's identifier is the server's to choose; 60 s of silence are allowed, and half of it.
    question, answer = packet(0x10, field(b"MQTT") + bytes([4, 2, 0, 60]) + field(b"")), bytes([0x20, 2, 0, 0])

    def command(self, folder, port):
        # 2.0.11 does not start with listeners for WebSockets only.
        lines = ["user root", "persistence false", "allow_anonymous true", f"listener 0 {folder}/mqtt", f"listener {port} 127.0.0.1", "protocol websockets"]
        Path(folder, "conf").write_text("\n".join(lines))
        return [self.program, "-c", f"{folder}/conf"]

    def converse(self, talk):
        talk.ask(self.question, self.answer)
        talk.ask(packet(0x82, bytes([0, 1]) + field(b"news") + b"\0"), bytes([0x90, 3, 0, 1, 0]))
        # 4 KiB of a message leave every 100 ms.
        for payload in (b"hello", random.randbytes(1 << 15)):
            publish = packet(0x30, field(b"news") + payload)
            talk.ask(publish, publish)
        talk.ask(packet(0xC0, b""), bytes([0xD0, 0]))
        talk.close()


class Nats(Peer):
    """https://docs.nats.io/reference/reference-protocols/nats-protocol"""

    name, program, package = "nats-server", "nats-server", "nats-server"
    question, answer = b'CONNECT {"verbose":false,"headers":true}\r\nSUB news 1\r\nPING\r\n', b"PONG\r\n"

    def command(self, folder, port):
        Path(folder, "conf").write_text(f'listen: "127.0.0.1:-1"\nwebsocket {{ listen: "127.0.0.1:{port}", no_tls: true, compression: true }}')
        return [self.program, "-c", f"{folder}/conf"]

    def converse(self, talk):
        talk.hear(b"INFO {")
        talk.ask(self.question, self.answer)
        for payload in (b"hello", random.randbytes(1_000_000)):
            talk.ask(b"PUB news %d\r\n%s\r\n" % (len(payload), payload), b"MSG news 1 %d\r\n%s\r\n" % (len(payload), payload))
        headers = b"NATS/1.0\r\nFrom: sansocket\r\n\r\n"
        sizes = len(headers), len(headers) + 5
        talk.ask(b"HPUB news %d %d\r\n%shello\r\n" % (*sizes, headers), b"HMSG news 1 %d %d\r\n%shello\r\n" % (*sizes, headers))
        talk.close()


class RabbitMq(Peer):
    """STOMP 1.2, https://stomp.github.io/stomp-specification-1.2.html, through the plugin rabbitmq_web_stomp."""

    name, package, path, subprotocol = "rabbitmq", "rabbitmq-server", "/ws", "v12.stomp"
    question, answer = "CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0", b"CONNECTED\n"
    conversations = ["converse", "disconnect"]
    # The one in PATH becomes another user.
    program = "/usr/lib/rabbitmq/bin/rabbitmq-server"

    def command(self, folder, port):
        Path(folder, "plugins").write_text("[rabbitmq_web_stomp].")
        lines = [f"listeners.tcp.1 = 127.0.0.1:{free_port()}", f"stomp.listeners.tcp.1 = 127.0.0.1:{free_port()}", "web_stomp.tcp.ip = 127.0.0.1", f"web_stomp.tcp.port = {port}"]
        Path(folder, "rabbitmq.conf").write_text("\n".join(lines))
        return [self.program]

    def environment(self, folder, port):
        return {
            "ERL_EPMD_PORT": str(self.names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "rabbit@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": folder,
        }

    @contextmanager
    def running(self):
        # Erlang's name server, which would be started, and left behind, by the first that needs it.
        self.names = free_port()
        try:
            names = subprocess.Popen(["epmd", "-port", str(self.names), "-address", "127.0.0.1"], start_new_session=True, stderr=subprocess.DEVNULL)
        except FileNotFoundError:
            names = None
        try:
            if names:
                # Otherwise the broker starts one, too.
                wait_until(lambda: is_open(self.names), "epmd listens")
            with super().running() as port:
                yield port
        finally:
            if names:
                end(names)

    def converse(self, talk):
        talk.ask(self.question, self.answer)
        talk.ask("SUBSCRIBE\nid:1\ndestination:/exchange/amq.topic/news\nreceipt:subscribed\n\n\0", b"receipt-id:subscribed")
        for body in ("hello", random.randbytes(1 << 19).hex()):
            talk.ask(f"SEND\ndestination:/exchange/amq.topic/news\nreceipt:sent\n\n{body}\0", b"receipt-id:sent", f"\n\n{body}\0".encode())
        talk.close()

    def disconnect(self, talk):
        talk.ask(self.question, self.answer)
        talk.say("DISCONNECT\nreceipt:bye\n\n\0")
        # Over TCP, a RECEIPT comes before the end.
        talk.closed("1000 remote clean STOMP died")

"""Frameworks that programs are written for, with echo servers inside."""

import random
from glob import glob
from pathlib import Path

from peer import Missing, Peer
from wire import status

HERE = Path(__file__).resolve().parent


class Echo(Peer):
    """`smallest` and `largest` are messages that come back by default, `refusal` is how a larger one ends the connection, if by a
    Close, `secret` how the path that wants a password is refused, and `reason` what becomes of `enough`."""

    question, answer, secret, reason, smallest = "hello", b"hello", "404", "enough", 0
    conversations = ["converse", "dismissed", "too_big"]

    def demands(self, port):
        assert (seen := status(port, "/secret")) == self.secret, f"/secret is refused with {seen}"
        return super().demands(port)

    def converse(self, talk):
        chance = random.Random(6455)
        for text in ("hello", "žluťoučký kůň"):
            assert talk.ask(text) == text.encode()
        for size in (self.smallest, 125, 126, min(self.largest, 2 << 20)):
            payload = chance.randbytes(size // 2) + bytes(size - size // 2)
            assert talk.ask(payload) == payload
        talk.close()

    def dismissed(self, talk):
        talk.say("close 4001 enough")
        talk.closed(f"4001 remote clean {self.reason}")

    def too_big(self, talk):
        assert talk.ask(bytes(self.largest)) == bytes(self.largest)
        talk.say(bytes(self.largest + 1))
        if self.refusal:
            talk.closed(self.refusal)
        else:
            talk.lost()


class Pinging(Echo):
    """A server that is told to send Pings often."""

    conversations = [*Echo.conversations, "kept"]

    def kept(self, talk):
        assert talk.ask("wait 2.5") == b"wait 2.5"
        talk.close()
        pings = [frame for frame in talk.wire.theirs if frame["opcode"] == 9]
        pongs = [frame for frame in talk.wire.ours if frame["opcode"] == 10]
        assert len(pings) == len(pongs) >= 2, f"{len(pings)} Pings, {len(pongs)} Pongs"


class Uvicorn(Pinging):
    name, secret, largest, refusal = "uvicorn", "401", 16 << 20, "1009 remote clean frame exceeds limit of 16777216 bytes"

    def __init__(self, python):
        self.program = self.package = str(python)

    def command(self, folder, port):
        return [self.program, "-m", "uvicorn", "--app-dir", str(HERE), "--port", str(port), "--ws-ping-interval", "1", "echo:app"]


class Hypercorn(Pinging):
    name, secret, largest, refusal = "hypercorn", "401", 16 << 20, "1009 remote clean "

    def __init__(self, python):
        self.program = self.package = str(python)

    def command(self, folder, port):
        return [self.program, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "--websocket-ping-interval", "1", f"{HERE}/echo.py:app"]


class Daphne(Echo):
    # It sends no reason, and nothing that is empty.
    name, secret, reason, smallest, largest, refusal = "daphne", "403", "", 1, 1 << 20, None

    def __init__(self, python):
        self.program = self.package = str(python)

    def command(self, folder, port):
        return [self.program, "-m", "daphne", "--bind", "127.0.0.1", "--port", str(port), "echo:app"]

    def environment(self, folder, port):
        return {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}


class Tomcat(Echo):
    name, program, path, largest, refusal = "tomcat", "java", "/echo", 8192, "1009 remote clean No async message support and buffer too small. Buffer size: [8,192], Message size: [24]"
    package = "libtomcat10-java and openjdk-17-jre-headless"

    def command(self, folder, port):
        jars = glob("/usr/share/java/tomcat10-*.jar")
        if not jars:
            raise Missing(f"Tomcat is missing: install Debian's package {self.package}")
        return [self.program, "-cp", ":".join(jars), str(HERE / "Echo.java"), str(port), folder]

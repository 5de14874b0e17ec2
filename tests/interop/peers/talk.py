"""A conversation that our client has with a server, line by line."""

import subprocess
import threading

from wire import PATIENCE, Wire


class Lost(Exception):
    """The client has failed."""


class Talk:
    """A conversation, which `converse` holds."""

    def __init__(self, program, peer, port, options):
        self.wire = Wire(port)
        command = [program, f"ws://127.0.0.1:{port}{peer.path}", f"127.0.0.1:{self.wire.port}", "--deflate", *options]
        command += ["--subprotocol", peer.subprotocol] if peer.subprotocol else []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._wait_from_now()
        assert self.line() == f"opened {peer.subprotocol or '-'}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watch.cancel()
        self.process.kill()
        self.process.communicate()

    def tell(self, line):
        """A line of what `converse` understands."""
        self.watch.cancel()
        self._wait_from_now()
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Lost(self.process.stderr.read().strip()) from None

    def _wait_from_now(self):
        """Each command has its time."""
        self.watch = threading.Timer(PATIENCE, self.process.kill)
        self.watch.start()

    def line(self):
        """A line of what `converse` prints."""
        line = self.process.stdout.readline()
        if not line:
            raise Lost(self.process.stderr.read().strip() or f"nothing within {PATIENCE} s")
        return line.rstrip("\n")

    def say(self, what):
        """A `str` is sent as a text, `bytes` as a binary message."""
        self.tell(form(what))

    def ask(self, question, *answer):
        """The last message that `hear` takes for the answer."""
        self.say(question)
        return self.hear(*answer)

    def hear(self, *parts):
        """The message that completes what has come since, so that it has each of these parts; or just the next."""
        came = b""
        while True:
            self.tell("recv")
            kind, _, payload = self.line().partition(" ")
            assert kind in ("text", "binary"), f"{kind} {payload} came for a message"
            message = bytes.fromhex(payload)
            came += message
            if all(part in came for part in parts):
                return message

    def close(self, code=1000):
        """Closes with 1000, and looks what the server's Close has."""
        self.tell("close")
        self.end(f"{code} local clean ")

    def closed(self, how):
        """The server has closed."""
        self.tell("recv")
        self.end(how)

    def lost(self):
        """The server has ended the connection without a Close."""
        try:
            self.tell("recv")
            line = self.line()
        except Lost:
            self.wire.join()
            assert not any(frame["opcode"] == 8 for frame in self.wire.theirs), "there was a Close"
        else:
            raise AssertionError(f"{line}, not a loss")

    def end(self, how):
        line = self.line()
        assert line == f"closed {how}", f"{line}, not {how}"
        self.wire.join()


def form(what):
    return f"text {what.encode().hex()}" if isinstance(what, str) else f"binary {what.hex()}"

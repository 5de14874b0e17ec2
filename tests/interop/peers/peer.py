"""How servers are started, looked at, and ended, and what those of others have in common."""

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from wire import PATIENCE, status


class Missing(Exception):
    """A server that is not installed."""


class Peer:
    """A server. It has a `name`, a `program` from a Debian `package`, a `question`, what its `answer` has, and conversations,
    of which `converse` is looked at."""

    path, subprotocol = "/", None
    conversations = ["converse"]

    def command(self, folder, port):
        """The command that has it listen on a port, with all that it writes in a folder."""
        raise NotImplementedError

    def environment(self, folder, port):
        return {}

    def opened_path(self, port):
        """The path to connect to, for servers that choose it."""
        return self.path

    @contextlib.contextmanager
    def running(self):
        """Yields the port, once the server listens."""
        if not shutil.which(self.program):
            raise Missing(f"{self.program} is missing: install Debian's package {self.package}, or its like")
        with tempfile.TemporaryDirectory(prefix=f"sansocket-{self.name}-", ignore_cleanup_errors=True) as folder:
            port = free_port()
            environment = {**os.environ, "HOME": folder, **self.environment(folder, port)}
            with open(f"{folder}/log", "wb") as log:
                # A group of its own, to be ended with all that it has started.
                self.process = process = subprocess.Popen(self.command(folder, port), cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            try:
                self.wait(process, port)
                yield port
            except Exception:
                with open(f"{folder}/log", errors="replace") as log:
                    print(f"{self.name} said last:\n{log.read()[-2000:]}")
                raise
            finally:
                end(process)

    def wait(self, process, port):
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                self.path = self.opened_path(port)
                return
            except (OSError, http.client.HTTPException, LookupError, StopIteration, ValueError):
                time.sleep(0.05)
        raise AssertionError(f"{self.name} does not listen")

    def farewell(self, talk):
        """What an open connection gets when the server is terminated: the code of a Close, `none` of one without, or `no Close`."""
        talk.ask(self.question, self.answer)
        talk.tell("recv")
        self.process.terminate()
        talk.wire.join()
        closes = [str(frame["code"]).lower() for frame in talk.wire.theirs if frame["opcode"] == 8]
        return closes[0] if closes else "no Close"

    def demands(self, port):
        """The answers to openings that have: another path, no subprotocol, another, a foreign Origin, a foreign Host."""
        usual = {"path": self.path, "subprotocol": self.subprotocol}
        changes = [{"path": "/nowhere"}, {"subprotocol": None}, {"subprotocol": "nonsense"}, {"origin": "http://example.com"}, {"host": "example.com"}]
        return [status(port, **{**usual, **change}) for change in changes]


def get(port, path):
    """The JSON at a path."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    return json.load(connection.getresponse())


def free_port():
    """A port that nobody listens on. Not one of those that systems give to outgoing connections, which are taken at any time."""
    while True:
        port = random.randrange(10000, 32768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def is_open(port):
    """Whether somebody listens on it."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"in {PATIENCE} seconds it did not come to this: {what}"
        time.sleep(0.05)


@contextlib.contextmanager
def running(command, **options):
    """A program that has nothing of its own to end."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def listening(command, **options):
    """A server that prints its port once it listens; yields the port, and the server."""
    with running(command, stdout=subprocess.PIPE, **options) as process:
        yield port_of(process), process


def port_of(process):
    """The port that a server prints first."""
    return int(re.search(r"(\d+)$", line_of(process))[1])


def line_of(process):
    """The next line that a program prints, which is killed if there is none in time."""
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        line = process.stdout.readline()
    finally:
        watch.cancel()
    assert line, f"it printed nothing more within {PATIENCE} s, or ended"
    return line.strip()


def end(process):
    """Ends a program and what it has started, which is in a group of its own."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue

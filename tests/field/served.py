"""The server that browsers are sent to, and what passes between them."""

import contextlib
import functools
import socket
import subprocess
import sys
import threading
from pathlib import Path

from driven import PATIENCE, wait_until

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGE = HERE / "page.html"
sys.path.append(str(ROOT / "tests" / "interop" / "peers"))

from peer import line_of
from prepared import programs
from wire import frames, head


class Served:
    """`field_server`, with what it says of each name."""

    def __init__(self, *options):
        command = [program(), "--page", PAGE, *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.address = line_of(self.process).split("http://")[1]
        self.lines = {}
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # stdin ends, so that it stops.
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listen(self):
        for line in self.process.stdout:
            name, event = line.rstrip("\n").split(" ", 1)
            self.lines.setdefault(name, []).append(event)

    def tell(self, name, command):
        self.process.stdin.write(f"{name} {command}\n")

    def said(self, name, *starts, patience=PATIENCE):
        """What it says of a name with one of these beginnings, once it does."""
        found = lambda: next((line for line in self.lines.get(name, []) if line.startswith(starts)), None)
        return wait_until(found, f"the server says {' or '.join(starts)} of {name}", patience)

    def url(self, path="/"):
        return f"http://{self.address}{path}"


class Relay:
    """Stands between a browser and a server, and looks at the connections by the last parts of their paths."""

    def __init__(self, address):
        host, port = address.split(":")
        self.server = host, int(port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.taps = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def url(self, path="/"):
        return f"http://{self.address}{path}"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                tap = Tap()
                self.taps.append(tap)
                server = socket.create_connection(self.server)
                for mine, source, sink in ((tap.ours, client, server), (tap.theirs, server, client)):
                    threading.Thread(target=tap.pump, args=(mine, source, sink), daemon=True).start()

    def tap(self, name):
        return next(tap for tap in self.taps if tap.name() == name)


class Tap:
    """What passed on a connection: `ours` is the browser's."""

    def __init__(self):
        self.ours, self.theirs, self.ends = bytearray(), bytearray(), []

    def pump(self, mine, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                mine += data
                sink.sendall(data)
        self.ends.append("browser" if mine is self.ours else "server")
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def name(self):
        return self.ours.partition(b" HTTP")[0].partition(b"?")[0].rpartition(b"/")[2].decode()

    def asked(self, header):
        """A header of the request."""
        return head(bytes(self.ours))[0][1].get(header)

    def answered(self, header):
        return head(bytes(self.theirs))[0][1].get(header)

    def sent(self, who):
        """The frames of `ours` or `theirs`."""
        return frames(head(bytes(getattr(self, who)))[1])


@functools.cache
def program():
    """The path of `field_server`, which is built once."""
    return programs("field_server")["field_server"]

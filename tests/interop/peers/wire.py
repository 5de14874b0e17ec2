"""What passes between a client and a server: a relay that looks at it, and openings of which only the answer counts."""

import base64
import contextlib
import os
import socket
import threading

# Seconds; longer than any answer takes.
PATIENCE = 60


class Wire:
    """A relay for one connection. Once that has ended, `answer`, `theirs`, `ours` and `first_to_end` tell about it."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.passed, self.ends = {"client": bytearray(), "server": bytearray()}, []
        self.thread = threading.Thread(target=self._relay, args=(port,), daemon=True)
        self.thread.start()

    def _relay(self, port):
        self.listener.settimeout(PATIENCE)
        with self.listener, self.listener.accept()[0] as client, socket.create_connection(("127.0.0.1", port)) as server:
            back = threading.Thread(target=self._pump, args=("server", server, client), daemon=True)
            back.start()
            self._pump("client", client, server)
            back.join()

    def _pump(self, name, source, sink):
        source.settimeout(2 * PATIENCE)
        failing = name
        try:
            while data := source.recv(1 << 16):
                self.passed[name] += data
                # It fails where the other end is gone.
                failing = "server" if name == "client" else "client"
                sink.sendall(data)
                failing = name
            self.ends.append(name)
        except OSError as error:
            self.ends.append(f"{failing}: {type(error).__name__}")
        # Nor is the other to wait for more; it may be gone.
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def join(self):
        """Waits for the end."""
        self.thread.join(PATIENCE)
        self.answer, rest = head(bytes(self.passed["server"]))
        self.theirs = frames(rest)
        self.ours = frames(head(bytes(self.passed["client"]))[1])
        self.first_to_end = self.ends[0].split(":")[0]


def head(data):
    """The status and the headers of an answer, by their names in lower case, and what comes after them."""
    lines, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = lines.decode("latin-1").split("\r\n")
    headers = dict(line.split(":", 1) for line in lines)
    return (first, {name.lower(): value.strip() for name, value in headers.items()}), rest


def frames(data):
    """What the frames say of themselves: opcode, FIN, RSV1, length, and the code of a Close."""
    found, at = [], 0
    while at + 2 <= len(data):
        first, second = data[at], data[at + 1]
        at, length, masked = at + 2, second & 127, second & 128
        if length > 125:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        key, at = (data[at : at + 4], at + 4) if masked else (bytes(4), at)
        start = bytes(byte ^ key[i] for i, byte in enumerate(data[at : at + min(length, 2)]))
        code = int.from_bytes(start, "big") if first & 15 == 8 and length else None
        found.append({"opcode": first & 15, "fin": first >> 7, "compressed": first >> 6 & 1, "length": length, "code": code})
        at += length
    return found


def status(port, path, host=None, origin=None, subprotocol=None):
    """What a server answers to an opening: `taken`, the status of a refusal, or `nothing`."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{port}'}", "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}"]
    lines += [f"Origin: {origin}"] if origin else []
    lines += [f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as server:
        server.sendall("\r\n".join([*lines, "", ""]).encode())
        try:
            answer = server.recv(1 << 16).split(b" ")
        except ConnectionResetError:
            answer = []
    status = answer[1].decode() if len(answer) > 1 else "nothing"
    return "taken" if status == "101" else status

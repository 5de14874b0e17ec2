"""Opens WebSockets by extended CONNECT through python's `h2`, its frames written by hand, and checks what comes back.

usage: http2_client.py PORT
"""

import os
import socket
import sys

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.authority = f"127.0.0.1:{port}"
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.flush()
        self.events = []
        while self.connection.remote_settings.enable_connect_protocol != 1:
            self.read()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def read(self):
        """What came, as pairs of a stream and what became of it."""
        data = self.socket.recv(65536)
        assert data, "the server closed the connection"
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.events.append((event.stream_id, "status", dict(event.headers)[":status"]))
            elif isinstance(event, h2.events.DataReceived):
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                # An end comes with a frame without content.
                if event.data:
                    self.events.append((event.stream_id, "data", event.data))
            elif isinstance(event, h2.events.StreamEnded):
                self.events.append((event.stream_id, "end", None))
            elif isinstance(event, h2.events.StreamReset):
                self.events.append((event.stream_id, "reset", event.error_code))
        self.flush()

    def next(self, stream):
        while True:
            for i, event in enumerate(self.events):
                if event[0] == stream:
                    return self.events.pop(i)[1:]
            self.read()

    def connect(self, protocol="websocket", version="13"):
        stream = self.connection.get_next_available_stream_id()
        headers = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":path", "/"), (":authority", self.authority)]
        self.connection.send_headers(stream, [*headers, ("sec-websocket-version", version)])
        self.flush()
        return stream, self.next(stream)

    def send(self, stream, data, end=False):
        self.connection.send_data(stream, data, end_stream=end)
        self.flush()

    def collect(self, stream, size):
        data = b""
        while len(data) < size:
            kind, more = self.next(stream)
            assert kind == "data", (kind, more)
            data += more
        return data


def frame(first, payload):
    assert len(payload) < 126
    key = os.urandom(4)
    return bytes([first, 0x80 | len(payload)]) + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def main():
    client = Client(int(sys.argv[1]))
    streams = []
    for _ in range(8):
        stream, answer = client.connect()
        assert answer == ("status", "200"), answer
        streams.append(stream)
    # A frame in one frame of data, two in one, and one in two; and an empty one.
    one = frame(0x81, b"one")
    for stream in streams:
        client.send(stream, one)
        client.send(stream, one + one)
        client.send(stream, one[:3])
        client.send(stream, b"")
        client.send(stream, one[3:])
    for stream in streams:
        assert client.collect(stream, 20) == b"\x81\x03one" * 4
    # END_STREAM behind the Close frame.
    client.send(streams[0], frame(0x88, b"\x03\xe8"), end=True)
    assert client.collect(streams[0], 4) == b"\x88\x02\x03\xe8"
    assert client.next(streams[0]) == ("end", None)
    # Both with a message, in one frame of data.
    client.send(streams[3], one + frame(0x88, b"\x03\xe8"), end=True)
    assert client.collect(streams[3], 9) == b"\x81\x03one\x88\x02\x03\xe8"
    assert client.next(streams[3]) == ("end", None)
    # Without an END_STREAM, the stream is reset: no error (0).
    client.send(streams[4], frame(0x88, b"\x03\xe8"))
    assert client.collect(streams[4], 4) == b"\x88\x02\x03\xe8"
    assert (client.next(streams[4]), client.next(streams[4])) == (("end", None), ("reset", 0))
    # A stream that is reset is the others' no business.
    client.connection.reset_stream(streams[1], h2.errors.ErrorCodes.CANCEL)
    client.send(streams[2], one)
    assert client.collect(streams[2], 5) == b"\x81\x03one"
    for protocol, version in (("connect-udp", "13"), ("WebSocket", "13"), ("websocket", "8")):
        _, answer = client.connect(protocol, version)
        assert answer == ("status", "400"), answer


main()

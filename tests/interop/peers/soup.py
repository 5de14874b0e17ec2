"""A client of libsoup's.

usage: soup.py ECHO CLOSE SIZES CODES; see `tests/interop/clients`.
"""

import sys

import gi

gi.require_version("Soup", "3.0")
from gi.repository import GLib, Soup


def talk(url, messages):
    """How many messages came back as they were sent, and the code of the close, or of what was wrong with it."""
    came, failure, loop = 0, None, GLib.MainLoop()

    def opened(session, result):
        connection = session.websocket_connect_finish(result)
        connection.connect("message", received)
        connection.connect("error", failed)
        connection.connect("closed", lambda _: loop.quit())
        connections.append(connection)
        if messages:
            following(connection)

    def following(connection):
        if came == len(messages):
            connection.close(1000, None)
        elif came == 0:
            connection.send_text(messages[0].decode())
        else:
            connection.send_message(Soup.WebsocketDataType.BINARY, GLib.Bytes.new(messages[came]))

    def received(connection, _, payload):
        nonlocal came
        if payload.get_data() == messages[came]:
            came += 1
            following(connection)
        else:
            connection.close(4000, None)

    def failed(_, error):
        nonlocal failure
        failure = error.code

    connections, session = [], Soup.Session()
    session.websocket_connect_async(Soup.Message.new("GET", url), None, None, GLib.PRIORITY_DEFAULT, None, opened)
    loop.run()
    return came, failure or connections[0].get_close_code()


echo, close, sizes, codes = sys.argv[1:]
print(*talk(echo, ["žluťoučký kůň".encode(), *(bytes([7]) * int(size) for size in sizes.split(","))]))
for code in codes.split(","):
    print(talk(close + code, [])[1])

"""A client of Qt's.

usage: qt.py ECHO CLOSE SIZES CODES; see `tests/interop/clients`.
"""

import sys

from PyQt5.QtCore import QCoreApplication, QUrl
from PyQt5.QtWebSockets import QWebSocket


def talk(url, messages):
    """How many messages came back as they were sent, and the code of the close."""
    came, ws = 0, QWebSocket()

    def following():
        if came == len(messages):
            ws.close(1000)
        elif came == 0:
            ws.sendTextMessage(messages[0].decode())
        else:
            ws.sendBinaryMessage(messages[came])

    def received(payload):
        nonlocal came
        if payload == messages[came]:
            came += 1
            following()
        else:
            ws.close(4000)

    ws.textMessageReceived.connect(lambda text: received(text.encode()))
    ws.binaryMessageReceived.connect(lambda payload: received(bytes(payload)))
    ws.disconnected.connect(application.quit)
    if messages:
        ws.connected.connect(following)
    ws.open(QUrl(url))
    application.exec()
    return came, int(ws.closeCode())


application = QCoreApplication(sys.argv)
echo, close, sizes, codes = sys.argv[1:]
print(*talk(echo, ["žluťoučký kůň".encode(), *(bytes([7]) * int(size) for size in sizes.split(","))]))
for code in codes.split(","):
    print(talk(close + code, [])[1])

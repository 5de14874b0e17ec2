"""An application that sends every message back: for hypercorn."""


async def app(scope, receive, send):
    # Of the program's own life, there is nothing to do.
    if scope["type"] != "websocket":
        return
    assert scope["http_version"] == "2", scope["http_version"]
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})

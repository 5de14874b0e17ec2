"""An echo server for uvicorn, hypercorn and Daphne, at `/`, which waits or closes where a text asks for it. Who comes to
`/secret` is told so, by a server that can (ASGI's extension `websocket.http.response`)."""

import asyncio


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    if scope["path"] == "/secret" and "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"content-length", b"6")]})
        await send({"type": "websocket.http.response.body", "body": b"secret"})
        return
    if scope["path"] != "/":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
    while (event := await receive())["type"] == "websocket.receive":
        text, payload = event.get("text"), event.get("bytes")
        if text and text.startswith("close "):
            _, code, reason = text.split(" ", 2)
            await send({"type": "websocket.close", "code": int(code), "reason": reason})
            return
        if text and text.startswith("wait "):
            await asyncio.sleep(float(text.split()[1]))
        await send({"type": "websocket.send", **({"bytes": payload} if text is None else {"text": text})})

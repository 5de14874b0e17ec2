"""An echo server for uvicorn and hypercorn, at `/`, which waits or closes where a text asks for it."""

import asyncio


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
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

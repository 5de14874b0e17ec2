#!/usr/bin/env bash
# Version: websocket 1.0.35 from npm; beside it ws 8.23.0, which is the server too. Seen: 2026-11-30, with Node 20.20.2.
#
# A server sends "one", an empty text, an empty binary message and "two", and ends by a Close without a status, which is what
# `close()` without arguments sends. What does each client of the W3C's interface hand out?
#
# Expected: four messages, and a close event with 1005 and `wasClean`. What was seen: that of ws does. `w3cwebsocket` of websocket
# hands out three: the empty text is not there, though the empty binary message is. And it ends with 1006 and without `wasClean`, as
# if TCP had been cut. For any code but 1000 `wasClean` is false, too.
#
# It matters for protocols in which an empty text means something, an empty line or a heartbeat for instance, and
# for clients that connect again when a close was not clean: an orderly goodbye brings them back.
#
# Needs bash, node and npm. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_npm websocket@1.0.35 ws@8.23.0
cat > seen.mjs <<'JAVASCRIPT'
import { WebSocket, WebSocketServer } from 'ws';
import websocket from 'websocket';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('connection', (ws, request) => {
  for (const message of ['one', '', Buffer.alloc(0), 'two']) ws.send(message);
  const code = Number(request.url.slice(1));
  if (code) ws.close(code);
  else ws.close();
});

const seen = (Client, code) => new Promise((resolve) => {
  const ws = new Client(`ws://127.0.0.1:${server.address().port}/${code}`);
  const got = [];
  ws.onmessage = ({ data }) => got.push(typeof data === 'string' ? `"${data}"` : `binary ${data.length ?? data.byteLength}`);
  ws.onclose = (event) => resolve(`${got.join(', ')}; ${event.code}, ${event.wasClean ? 'clean' : 'not clean'}`);
});

server.on('listening', async () => {
  for (const [name, Client] of [['ws', WebSocket], ['websocket', websocket.w3cwebsocket]]) {
    for (const code of ['', 1000, 1001, 4000]) console.log(`${name}, closed by ${code || 'no status'}: ${await seen(Client, code)}`);
  }
  process.exit();
});
JAVASCRIPT
within 60 node seen.mjs > seen
as_it_was <<'SEEN'
ws, closed by no status: "one", "", binary 0, "two"; 1005, clean
ws, closed by 1000: "one", "", binary 0, "two"; 1000, clean
ws, closed by 1001: "one", "", binary 0, "two"; 1001, clean
ws, closed by 4000: "one", "", binary 0, "two"; 4000, clean
websocket, closed by no status: "one", binary 0, "two"; 1006, not clean
websocket, closed by 1000: "one", binary 0, "two"; 1000, clean
websocket, closed by 1001: "one", binary 0, "two"; 1001, not clean
websocket, closed by 4000: "one", binary 0, "two"; 4000, not clean
SEEN

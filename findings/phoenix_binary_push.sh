#!/usr/bin/env bash
# Version: phoenix 1.7.21 and 1.8.16 from npm, with ws 8.23.0 as their WebSocket and as the server. Seen: 2026-11-30, with Node 20.20.2.
#
# A client joins "room:cafe" and "room:日本", and pushes the bytes 1, 2 and 3 there in each of the forms that JavaScript has for them.
# What comes?
#
# Expected: a binary message each, with the topic that was joined; `WebSocket.send` takes all of these forms. What was seen: only an
# `ArrayBuffer` is sent as bytes. Anything else becomes JSON, without an error: a `Uint8Array`, as `TextEncoder` and others hand out, an
# object with a number for each byte, and a `DataView` or a `Blob` `{}`, so that the bytes are lost. And of the topic, 1.7.21 writes the
# lower 8 bits of each UTF-16 unit into a binary message: it is another one than was joined by text, and no UTF-8. 1.8.16 writes UTF-8.
#
# It matters for who pushes what an encoder returned: `bytes.slice().buffer` is what to push, since `bytes.buffer` may have more than
# these bytes. And for who names topics by other letters than those of ASCII.
#
# Needs bash, node and npm. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_npm phoenix_1.7.21@npm:phoenix@1.7.21 phoenix_1.8.16@npm:phoenix@1.8.16 ws@8.23.0
cat > seen.mjs <<'JAVASCRIPT'
import { WebSocket, WebSocketServer } from 'ws';

const BYTES = new Uint8Array([1, 2, 3]);
const FORMS = [BYTES.buffer, BYTES, new DataView(BYTES.buffer), new Blob([BYTES])];
let came;
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('connection', (ws) => {
  ws.on('message', (data, isBinary) => {
    if (isBinary) {
      // A kind, four lengths, and the two numbers, the topic, the event and the payload.
      const [, joinRef, ref, topic, event] = data;
      const start = 5 + joinRef + ref;
      came(`binary, topic ${data.toString('hex', start, start + topic)}, payload ${data.toString('hex', start + topic + event)}`);
      return;
    }
    const [joinRef, ref, topic, event, payload] = JSON.parse(data);
    if (event === 'bytes') came(`JSON, topic ${Buffer.from(topic).toString('hex')}, payload ${JSON.stringify(payload)}`);
    else ws.send(JSON.stringify([joinRef, ref, topic, 'phx_reply', { status: 'ok', response: {} }]));
  });
});

server.on('listening', async () => {
  for (const version of ['1.7.21', '1.8.16']) {
    const { Socket } = await import(`phoenix_${version}`);
    const socket = new Socket(`ws://127.0.0.1:${server.address().port}/socket`, { transport: WebSocket });
    socket.connect();
    for (const topic of ['room:cafe', 'room:日本']) {
      const channel = socket.channel(topic);
      await new Promise((resolve) => channel.join().receive('ok', resolve));
      for (const form of topic === 'room:cafe' ? FORMS : FORMS.slice(0, 2)) {
        const outcome = new Promise((resolve) => (came = resolve));
        channel.push('bytes', form);
        console.log(`${version}, ${topic}, ${form.constructor.name}: ${await outcome}`);
      }
    }
  }
  process.exit();
});
JAVASCRIPT
within 60 node seen.mjs > seen
as_it_was <<'SEEN'
1.7.21, room:cafe, ArrayBuffer: binary, topic 726f6f6d3a63616665, payload 010203
1.7.21, room:cafe, Uint8Array: JSON, topic 726f6f6d3a63616665, payload {"0":1,"1":2,"2":3}
1.7.21, room:cafe, DataView: JSON, topic 726f6f6d3a63616665, payload {}
1.7.21, room:cafe, Blob: JSON, topic 726f6f6d3a63616665, payload {}
1.7.21, room:日本, ArrayBuffer: binary, topic 726f6f6d3ae52c, payload 010203
1.7.21, room:日本, Uint8Array: JSON, topic 726f6f6d3ae697a5e69cac, payload {"0":1,"1":2,"2":3}
1.8.16, room:cafe, ArrayBuffer: binary, topic 726f6f6d3a63616665, payload 010203
1.8.16, room:cafe, Uint8Array: JSON, topic 726f6f6d3a63616665, payload {"0":1,"1":2,"2":3}
1.8.16, room:cafe, DataView: JSON, topic 726f6f6d3a63616665, payload {}
1.8.16, room:cafe, Blob: JSON, topic 726f6f6d3a63616665, payload {}
1.8.16, room:日本, ArrayBuffer: binary, topic 726f6f6d3ae697a5e69cac, payload 010203
1.8.16, room:日本, Uint8Array: JSON, topic 726f6f6d3ae697a5e69cac, payload {"0":1,"1":2,"2":3}
SEEN

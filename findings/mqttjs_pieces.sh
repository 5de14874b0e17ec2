#!/usr/bin/env bash
# Version: mqtt 5.16.0 from npm. Seen: 2026-11-30, with Node 20.20.2 and a server of ws 8.23.0.
#
# An MQTT client connects over WebSocket and publishes "hello" on "topic". How many WebSocket messages does the server get?
#
# Expected: one for each packet. What was seen: 5 for that PUBLISH (its first byte, its length, the topic's length, the topic and the
# payload), and 13 for a CONNECT with a name and a password. With `forceNativeWebSocket`, for which it has
# other code, it is one each, though the native class here is the same ws.
#
# MQTT allows it: the receiver "MUST NOT assume that MQTT Control Packets are aligned on WebSocket frame boundaries" (MQTT 5.0
# section 6, as 3.1.1 has it). It matters for bridges that take a message for a packet, since many clients are kind to them; for limits
# on messages per second; and for whatever is done once a message, as compression is.
#
# Needs bash, node and npm. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_npm mqtt@5.16.0 ws@8.23.0
cat > seen.mjs <<'JAVASCRIPT'
import mqtt from 'mqtt';
import { WebSocket, WebSocketServer } from 'ws';

const CONNACK = Buffer.from([0x20, 2, 0, 0]);

/** The bytes of each WebSocket message that comes for a CONNECT and a PUBLISH. */
const pieces = (options) => new Promise((resolve) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  let came = [];
  const lengths = {};
  const whole = (name, length) => {
    if (came.reduce((sum, { size }) => sum + size, 0) < length) return false;
    lengths[name] = came.map(({ size }) => size);
    came = [];
    return true;
  };
  server.on('connection', (ws) => {
    ws.on('message', (data) => {
      came.push({ size: data.length });
      if (!lengths.CONNECT) {
        // 10 bytes before the payload, and an identifier, a name and a password of 2 + 3 bytes each; 2 bytes of a fixed header.
        if (whole('CONNECT', 2 + 10 + 15)) ws.send(CONNACK);
      } else if (whole('PUBLISH', 2 + 7 + 5)) {
        resolve(lengths);
      }
    });
  });
  server.on('listening', () => {
    const client = mqtt.connect(`ws://127.0.0.1:${server.address().port}`, { clientId: 'abc', username: 'joe', password: 'key', ...options });
    client.on('connect', () => client.publish('topic', 'hello'));
  });
});

const native = process.argv[2] === 'native';
if (native) globalThis.WebSocket = WebSocket;
for (const [packet, lengths] of Object.entries(await pieces({ forceNativeWebSocket: native }))) {
  console.log(`${process.argv[2]}, ${packet} of ${lengths.reduce((a, b) => a + b)} bytes: ${lengths.join(' + ')}`);
}
process.exit();
JAVASCRIPT
# It remembers the kind of its first connection, so each has a process of its own.
for kind in default native; do
    within 60 node seen.mjs "$kind"
done > seen
as_it_was <<'SEEN'
default, CONNECT of 27 bytes: 1 + 1 + 2 + 4 + 1 + 1 + 2 + 2 + 3 + 2 + 3 + 2 + 3
default, PUBLISH of 14 bytes: 1 + 1 + 2 + 5 + 5
native, CONNECT of 27 bytes: 27
native, PUBLISH of 14 bytes: 14
SEEN

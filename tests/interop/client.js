// Sends random messages to an echo server through Node's `ws`, and checks what comes back.
// usage: client.js URL PARAMETERS COUNT
'use strict';

const { WebSocket } = require('ws');

const [url, parameters, count] = [process.argv[2], JSON.parse(process.argv[3]), Number(process.argv[4])];
const OUTSTANDING = 16;

let state = 7692;
function below(limit) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % limit;
}

// A message of random size and compressibility; at times one that was sent before.
function message(sent) {
  const size = below([8, 200, 2000, 40000][below(4)]);
  switch (below(4)) {
    case 0:
      if (sent.length) return sent[below(sent.length)];
    // falls through
    case 1:
      return Array.from({ length: size }, () => '{}[]":, abcéü€漢0123456789'[below(26)] ?? ' ').join('');
    case 2:
      return Buffer.from(Array.from({ length: size }, () => below(256)));
    default:
      return Buffer.alloc(size, below(256));
  }
}

function fail(why) {
  console.error(why);
  process.exit(1);
}

const sent = [];
for (let i = 0; i < count; i++) sent.push(message(sent));
let next = 0;
let came = 0;
const ws = new WebSocket(url, { perMessageDeflate: { ...parameters, threshold: 0 } });
function turn() {
  for (let i = 0; i < OUTSTANDING && next < count; i++, next++) {
    const data = sent[next];
    const half = data.length >> 1;
    // Some of them in fragments.
    if (next % 5 === 0 && half && typeof data !== 'string') {
      ws.send(data.subarray(0, half), { binary: true, fin: false });
      ws.send(data.subarray(half), { binary: true });
    } else {
      ws.send(data);
    }
  }
}
ws.on('open', () => {
  if (!ws.extensions.includes('permessage-deflate')) fail('not compressed');
  turn();
});
ws.on('message', (data, binary) => {
  const expected = sent[came++];
  const same = binary ? Buffer.isBuffer(expected) && data.equals(expected) : data.toString() === expected;
  if (!same) fail(`message ${came} of ${count}: another one came back`);
  if (came === count) ws.close(1000);
  else if (came === next) turn();
});
ws.on('error', (error) => fail(error.message));
ws.on('close', (code) => process.exit(code === 1000 && came === count ? 0 : 1));

// A client whose interface is that of browsers: undici, or Node's `ws`.
// usage: whatwg.js LIBRARY ECHO CLOSE SIZES CODES; see `tests/interop/clients`.
'use strict';

const [library, echo, close, sizes, codes] = process.argv.slice(2);
const { WebSocket } = require(library);

// How many messages came back as they were sent, and the code of the close.
function talk(url, messages) {
  return new Promise((done) => {
    const ws = new WebSocket(url);
    let came = 0;
    const next = () => (came < messages.length ? ws.send(messages[came]) : ws.close(1000));
    ws.binaryType = 'arraybuffer';
    ws.onopen = () => messages.length && next();
    ws.onmessage = ({ data }) => {
      const sent = messages[came];
      const same = typeof data === 'string' ? data === sent : Buffer.from(data).equals(sent);
      if (!same) return ws.close(4000);
      came++;
      next();
    };
    ws.onerror = () => {};
    ws.onclose = (event) => done([came, event.code]);
  });
}

async function main() {
  const messages = ['žluťoučký kůň', ...sizes.split(',').map((size) => Buffer.alloc(Number(size), 7))];
  console.log((await talk(echo, messages)).join(' '));
  for (const code of codes.split(',')) console.log((await talk(close + code, []))[1]);
}

main();

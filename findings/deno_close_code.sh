#!/usr/bin/env bash
# Version: deno 2.9.6 from npm; beside it bun 1.4.5 and undici 7.30.2 with Node 20.20.2. Seen: 2026-11-30.
#
# The same page of JavaScript opens a WebSocket, and the connection fails: nobody listens, the server refuses the handshake, TCP
# ends without a Close, or is reset. What code does the close event have?
#
# Expected: 1006 each time, as in browsers ("_The WebSocket Connection Close Code_ is considered to be 1006", RFC 6455 section 7.1.5).
# What was seen: 1006 with Bun and undici; with Deno 0, which is no close code at all. A Close from the server shows its own code,
# but for 1014 (Bad Gateway), which is registered and for which Deno says 0, too: it takes it for a fault.
#
# It matters for programs that are to run anywhere and tell by `code === 1006` that they shall connect again, or that log
# codes: they see a number that no table has.
#
# Needs bash, node and npm. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_npm deno@2.9.6 bun@1.4.5 undici@7.30.2 ws@8.23.0
cat > server.mjs <<'JAVASCRIPT'
// Refuses, ends, resets or closes a connection, by the path; its first line is its port.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const http = createServer();
const webSockets = new WebSocketServer({ noServer: true });
http.on('upgrade', (request, socket, head) => {
  const what = request.url.slice(1);
  if (what === '403') return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  webSockets.handleUpgrade(request, socket, head, (ws) => {
    ws.on('error', () => {});
    setTimeout(() => {
      if (what === 'FIN') socket.end();
      else if (what === 'RST') socket.resetAndDestroy();
      else ws.close(Number(what));
    }, 200);
  });
});
http.listen(0, '127.0.0.1', () => console.log(http.address().port));
JAVASCRIPT
cat > client.mjs <<'JAVASCRIPT'
import process from 'node:process';

if (!globalThis.WebSocket) globalThis.WebSocket = (await import('undici')).WebSocket;
const [name, port] = process.argv.slice(2);
const seen = (url) => new Promise((resolve) => {
  const ws = new WebSocket(url);
  ws.onerror = () => {};
  ws.onclose = ({ code, wasClean }) => resolve(`${code} ${wasClean ? 'clean' : 'unclean'}`);
});
console.log(`${name}, nobody listens: ${await seen('ws://127.0.0.1:1/')}`);
for (const what of ['403', 'FIN', 'RST', '1000', '1012', '1014', '4000']) {
  console.log(`${name}, ${what}: ${await seen(`ws://127.0.0.1:${port}/${what}`)}`);
}
process.exit(0);
JAVASCRIPT
mkfifo first_line
timeout 90 node server.mjs > first_line &
read -r port < first_line
export DENO_NO_UPDATE_CHECK=1 DENO_DIR="$folder/deno"
{
    within 30 node_modules/.bin/deno run --quiet --allow-all client.mjs Deno "$port"
    within 30 node_modules/.bin/bun client.mjs Bun "$port"
    within 30 node client.mjs undici "$port"
} > seen
for client in Deno Bun undici; do
    for what in "nobody listens" 403 FIN RST 1000 1012 1014 4000; do
        case $client,$what in
            Deno,1014 | Deno,[!14]* | Deno,403) echo "$client, $what: 0 unclean" ;;
            *,1??? | *,4000) echo "$client, $what: $what clean" ;;
            *) echo "$client, $what: 1006 unclean" ;;
        esac
    done
done | as_it_was

#!/usr/bin/env bash
# Version: Debian's haproxy 2.6.12-1+deb12u4, nginx 1.22.1 and caddy 2.6.2. Seen: 2026-11-30, with Node 20.20.2.
#
# A client leaves a request that the server has not answered to the end, as a page does that polls and is closed. Does the proxy let
# the server know?
#
# Expected: at once, unless the client ends TCP in its own direction, which may mean that it still reads: that is why HAProxy, by its
# manual, goes on unless `option abortonclose` is set. What was seen: nginx and Caddy pass on whatever it is. HAProxy does not pass on
# a reset either, though who resets does not read, nor if the answer is already under way. From clients of HTTP/2 it passes on that a
# stream is canceled, by the same configuration, but not that their connection ends. With the option it passes on all of that.
#
# It matters for who takes the end of a poll or of an event stream for the goodbye: whoever has gone seems to be there until the
# server writes or something times out. A test whose client cancels over HTTP/2 shows nothing of it.
#
# Needs bash, node, haproxy, nginx and caddy. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_system 2.6.12-1+deb12u4 haproxy -v
from_system nginx/1.22.1 nginx -v
from_system 2.6.2 caddy version
cat > seen.mjs <<'JAVASCRIPT'
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const FOLDER = process.cwd();
const ABORT = 'option abortonclose';
let asked, left;
const server = http.createServer((request, response) => {
  if (request.url === '/up') return response.end();
  if (request.url === '/stream') response.write('data: begun\n\n');
  const waiting = setTimeout(left, 3000, 'not told');
  response.on('close', () => clearTimeout(waiting) ?? left('told'));
  asked();
});
const listening = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
const freePort = async () => {
  const server = net.createServer();
  const port = await listening(server);
  return new Promise((resolve) => server.close(() => resolve(port)));
};

const origin = `127.0.0.1:${await listening(server)}`;
const [one, two, oneAbort, twoAbort, nginx, caddy] = await Promise.all(Array.from({ length: 6 }, freePort));
const times = ['connect', 'client', 'server'].map((of) => `timeout ${of} 30s\n`).join('');
const listen = (port, protocol, option) => `listen ${port}\nbind 127.0.0.1:${port} proto ${protocol}\n${option}\nserver s ${origin}\n`;
writeFileSync('haproxy.cfg', `defaults\nmode http\n${times}${listen(one, 'h1', '')}${listen(two, 'h2', '')}${listen(oneAbort, 'h1', ABORT)}${listen(twoAbort, 'h2', ABORT)}`);
const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${FOLDER}/${name};`).join(' ');
writeFileSync('nginx.conf', `daemon off; master_process off; pid ${FOLDER}/pid; events {}
http { access_log off; ${temporary} server { listen 127.0.0.1:${nginx}; location / { proxy_pass http://${origin}; } } }`);
writeFileSync('Caddyfile', `{\n\tadmin off\n}\n:${caddy} {\n\tbind 127.0.0.1\n\treverse_proxy ${origin}\n}\n`);

const leave = {
  async end(port, path, how = 'destroy') {
    const socket = net.connect(port, '127.0.0.1');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    await pause(500);
    socket[how]();
  },
  reset: (port, path) => leave.end(port, path, 'resetAndDestroy'),
  async 'end of HTTP/2'(port, path, how = (session) => session.destroy()) {
    const session = http2.connect(`http://127.0.0.1:${port}`).on('error', () => {});
    const stream = session.request({ ':path': path }).on('error', () => {});
    await pause(500);
    how(session, stream);
    return session;
  },
  cancel: (port, path) => leave['end of HTTP/2'](port, path, (session, stream) => stream.close(http2.constants.NGHTTP2_CANCEL)),
};
const cases = [
  ['HAProxy', one, ['end', 'reset']],
  ['HAProxy', two, ['cancel', 'end of HTTP/2']],
  [`HAProxy, ${ABORT}`, oneAbort, ['end', 'reset']],
  [`HAProxy, ${ABORT}`, twoAbort, ['cancel', 'end of HTTP/2']],
  ['nginx', nginx, ['end', 'reset']],
  ['Caddy', caddy, ['end', 'reset']],
];
const commands = [['haproxy', '-q', '-f', 'haproxy.cfg'], ['nginx', '-e', 'stderr', '-c', `${FOLDER}/nginx.conf`], ['caddy', 'run', '--config', 'Caddyfile']];
const processes = commands.map(([name, ...rest]) => spawn(name, rest, { stdio: 'ignore', env: { ...process.env, HOME: FOLDER } }));
process.on('SIGTERM', () => process.exit(143)).on('exit', () => processes.map((child) => child.kill('SIGKILL')));
for (const port of [one, nginx, caddy]) while (!(await fetch(`http://127.0.0.1:${port}/up`).catch(() => pause(100)))?.ok);
for (const [name, port, ways] of cases) {
  for (const way of ways) {
    const told = [];
    for (const path of ['/wait', '/stream']) {
      const here = new Promise((resolve) => (asked = resolve));
      const outcome = new Promise((resolve) => (left = resolve));
      const session = await leave[way](port, path);
      await here;
      told.push(await outcome);
      session?.destroy();
    }
    console.log(`${name}: ${way}: ${told.join(', in an answer: ')}`);
  }
}
process.exit();
JAVASCRIPT
within 90 node seen.mjs > seen
as_it_was <<'SEEN'
HAProxy: end: not told, in an answer: not told
HAProxy: reset: not told, in an answer: not told
HAProxy: cancel: told, in an answer: told
HAProxy: end of HTTP/2: not told, in an answer: not told
HAProxy, option abortonclose: end: told, in an answer: told
HAProxy, option abortonclose: reset: told, in an answer: told
HAProxy, option abortonclose: cancel: told, in an answer: told
HAProxy, option abortonclose: end of HTTP/2: told, in an answer: told
nginx: end: told, in an answer: told
nginx: reset: told, in an answer: told
Caddy: end: told, in an answer: told
Caddy: reset: told, in an answer: told
SEEN

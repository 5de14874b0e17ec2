#!/usr/bin/env bash
# Version: phoenix 1.7.21 and 1.8.16 from npm, in Debian's chromium 156.0.8078.114-1~deb12u1. Seen: 2026-11-30, with a server of
# Node 20.20.2.
#
# A page has joined a channel, over `LongPoll`. A poll is answered by something else than messages: the connection is no more, or what
# is in front of the server has an error. Does the page connect and join anew?
#
# Expected: yes, whatever the answer is, as over WebSocket. What was seen: the client goes by `status` in the body, not by HTTP's.
# - 410 there says that the server does not know the token and has opened another connection: 1.7.21 goes on with that, and does not
#   join. 1.8.16 joins anew.
# - With an error in HTML, or 500 in the body, both join anew.
# - With an error in JSON without `status`, or with any that they do not know, both throw in a callback and do not poll any more, and
#   neither `onError` nor `onClose` is called. Problem details (RFC 9457) are such a body: they have `"status": 503`.
# In the first case and the last the page seems to be well: it is connected, and the channel is joined.
#
# It matters for who has a gateway whose errors are JSON: after a 503 during a restart, all who poll, and only listen, hear nothing
# more. And servers for clients of 1.7 have to say 500 in the body for a token which they do not know.
#
# Needs bash, node, npm and chromium. Loopback only. Exits with 1 if it sees something else.
. "$(dirname "${BASH_SOURCE[0]}")/prelude"

from_system 156.0.8078.114 chromium --version --no-sandbox
from_npm phoenix_1.7.21@npm:phoenix@1.7.21 phoenix_1.8.16@npm:phoenix@1.8.16
cat > seen.mjs <<'JAVASCRIPT'
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';

const VERSIONS = ['1.7.21', '1.8.16'];
const ANSWERS = {
  '200, status 410': [200, 'application/json', '{"status":410,"token":"another","messages":[]}'],
  '410, status 500': [410, 'application/json', '{"status":500,"token":null,"messages":[]}'],
  '503, HTML': [503, 'text/html', '<h1>Service Unavailable</h1>'],
  '503, JSON': [503, 'application/json', '{"error":"Service Unavailable"}'],
  '503, problem details': [503, 'application/problem+json', '{"title":"Service Unavailable","status":503}'],
};
const scripts = VERSIONS.map((version) => `<script src="/script/${version}"></script><script>versions['${version}'] = Phoenix;</script>`);
const PAGE = `<!doctype html><script>const versions = {};</script>${scripts.join('')}<script>
let told;
onerror = (message) => told.push(message);
(async () => {
  for (const answer of ${JSON.stringify(Object.keys(ANSWERS))}) {
    for (const [version, { Socket, LongPoll }] of Object.entries(versions)) {
      told = [];
      const socket = new Socket('/socket/' + encodeURIComponent(answer) + '/' + version, { transport: LongPoll, reconnectAfterMs: () => 100, rejoinAfterMs: () => 100 });
      socket.onError(() => told.push('onError'));
      socket.onClose(() => told.push('onClose'));
      socket.connect();
      const channel = socket.channel('news');
      channel.join();
      await new Promise((resolve) => setTimeout(resolve, 2500));
      const shown = (socket.isConnected() ? 'connected, ' : 'not connected, ') + channel.state + ', told: ' + ([...new Set(told)].join(', ') || 'nothing');
      await fetch('/result/' + encodeURIComponent(answer) + '/' + version + '/' + encodeURIComponent(shown));
      socket.disconnect();
    }
  }
  fetch('/end');
})();
</script>`;

const pages = {};
const server = http.createServer((request, response) => {
  const answered = (status, type, body) => response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(body);
  const said = (status, token, messages = []) => answered(200, 'application/json', JSON.stringify({ status, token, messages }));
  const url = new URL(request.url, 'http://127.0.0.1');
  const [what, answer, version, shown] = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const page = (pages[answer + version] ??= { joins: 0, polls: 0, replies: [] });
  switch (what) {
    case '':
      return answered(200, 'text/html', PAGE);
    case 'script':
      return answered(200, 'text/javascript', readFileSync(`node_modules/phoenix_${answer}/priv/static/phoenix.js`));
    case 'result':
      console.log(`${answer}: ${version} ${page.polls ? 'polls on' : 'polls no more'}, joins ${page.joins}, ${shown}`);
      return said(200);
    case 'end':
      return process.exit();
  }
  if (request.method === 'POST') {
    let body = '';
    request.on('data', (data) => (body += data)).on('end', () => {
      for (const [joinRef, ref, topic, event] of body.split('\n').map((line) => JSON.parse(line))) {
        if (event === 'phx_join') page.joins++;
        page.replies.push(JSON.stringify([joinRef, ref, topic, 'phx_reply', { status: 'ok', response: {} }]));
      }
      said(200);
    });
    return;
  }
  if (page.given) page.polls++;
  const token = url.searchParams.get('token');
  if (!token || token === 'null') return said(410, 'one');
  setTimeout(() => {
    if (page.replies.length) return said(200, token, page.replies.splice(0));
    if (!page.joins || page.given) return said(204, token);
    page.given = true;
    answered(...ANSWERS[answer]);
  }, 200);
});
server.listen(0, '127.0.0.1', () => {
  const folder = process.cwd();
  const rest = ['--headless=new', '--no-sandbox', '--disable-gpu', `--user-data-dir=${folder}/chromium`, `http://127.0.0.1:${server.address().port}/`];
  const chromium = spawn('chromium', rest, { stdio: 'ignore', detached: true, env: { ...process.env, HOME: folder } });
  process.on('SIGTERM', () => process.exit(143)).on('exit', () => process.kill(-chromium.pid, 'SIGKILL'));
});
JAVASCRIPT
within 90 node seen.mjs > seen
as_it_was <<'SEEN'
200, status 410: 1.7.21 polls on, joins 1, connected, joined, told: nothing
200, status 410: 1.8.16 polls on, joins 2, connected, joined, told: onError, onClose
410, status 500: 1.7.21 polls on, joins 2, connected, joined, told: onError, onClose
410, status 500: 1.8.16 polls on, joins 2, connected, joined, told: onError, onClose
503, HTML: 1.7.21 polls on, joins 2, connected, joined, told: onError, onClose
503, HTML: 1.8.16 polls on, joins 2, connected, joined, told: onError, onClose
503, JSON: 1.7.21 polls no more, joins 1, connected, joined, told: Uncaught Error: unhandled poll status undefined
503, JSON: 1.8.16 polls no more, joins 1, connected, joined, told: Uncaught Error: unhandled poll status undefined
503, problem details: 1.7.21 polls no more, joins 1, connected, joined, told: Uncaught Error: unhandled poll status 503
503, problem details: 1.8.16 polls no more, joins 1, connected, joined, told: Uncaught Error: unhandled poll status 503
SEEN

// An echo server on Node's `ws`. Prints its port; the argument is `perMessageDeflate`.
'use strict';

const { WebSocketServer } = require('ws');

const perMessageDeflate = { ...JSON.parse(process.argv[2]), threshold: 0 };
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate }, () => {
  console.log(server.address().port);
});
server.on('connection', (ws) => ws.on('message', (data, binary) => ws.send(data, { binary })));

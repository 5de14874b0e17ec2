// Node's `ws`, with the level, the window and the memory that zlib itself has by default.
const { WebSocketServer } = require(process.env.WS_MODULE || 'ws');

const [host, port] = process.argv[process.argv.indexOf('--addr') + 1].split(':');
const perMessageDeflate = process.argv.includes('--deflate') && {
  threshold: 256,
  zlibDeflateOptions: { level: 6, memLevel: 8 },
};
const server = new WebSocketServer({ host, port: Number(port), perMessageDeflate, maxPayload: 128 << 20 });
server.on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('error', () => {});
});

// The same client over a real socket: its requests and frames as another implementation reads them.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { Socket } from "../channels.js";

const { WebSocket, WebSocketServer } = createRequire(import.meta.url)("ws");

const http = createServer();
let server, port, refuse = null;
const requests = [], frames = [], sockets = [], closes = [];

before(async () => {
  server = new WebSocketServer({ noServer: true, handleProtocols: () => "phoenix" });
  http.on("upgrade", (request, socket, head) => {
    requests.push(request);
    if (refuse) return socket.end(`HTTP/1.1 ${refuse}\r\nContent-Length: 0\r\n\r\n`);
    server.handleUpgrade(request, socket, head, (ws) => {
      sockets.push(ws);
      ws.on("close", (code, reason) => closes.push([code, String(reason)]));
      ws.on("message", (data, isBinary) => {
        const frame = isBinary ? data : JSON.parse(data);
        frames.push(frame);
        // A binary push is answered by its bytes: kind, the four lengths, and the fields are those of the answer.
        if (isBinary) {
          const [, jl, rl, tl, el] = data, head = 5 + jl + rl + tl;
          ws.send(Buffer.concat([Buffer.of(1, jl, rl, tl, 2), data.subarray(5, head), Buffer.from("ok"), data.subarray(head + el)]));
        } else {
          ws.send(JSON.stringify([frame[0], frame[1], frame[2], "phx_reply", { status: "ok", response: {} }]));
        }
      });
    });
  });
  await once(http.listen(0, "127.0.0.1"), "listening");
  port = http.address().port;
});
after(() => http.close());

const opened = (options) => new Socket(`ws://127.0.0.1:${port}/socket`, { WebSocket, ...options });

test("a token is a subprotocol that the server can tell from the answer", async () => {
  const socket = opened({ token: "žluťoučký", params: { a: 1 } });
  await socket.channel("a").join();
  assert.equal(requests[0].url, "/socket/websocket?vsn=2.0.0&ext=1&a=1");
  assert.equal(requests[0].headers["sec-websocket-protocol"], `phoenix,base64url.bearer.phx.${Buffer.from("žluťoučký").toString("base64url")}`);
  socket.disconnect();
});

test("text, bytes and a burst come through in order", async () => {
  const socket = opened(), channel = socket.channel("room:é");
  await channel.join();
  frames.length = 0;
  const answers = await Promise.all([channel.push("text", { t: "žluť" }), channel.push("bytes", Uint8Array.of(1, 0, 255)), channel.push("bytes", new ArrayBuffer(60000))]);
  assert.deepEqual(answers[0], {});
  assert.deepEqual([...new Uint8Array(answers[1])], [1, 0, 255]);
  assert.equal(answers[2].byteLength, 60000);
  assert.deepEqual([frames[0][2], frames[0][3], frames[0][4]], ["room:é", "text", { t: "žluť" }]);
  const seen = [];
  channel.on("n", (n) => seen.push(n));
  const last = new Promise((resolve) => { channel.on("last", resolve); });
  // All at once: several frames in one read.
  for (let n = 0; n < 1000; n++) sockets.at(-1).send(JSON.stringify([null, null, "room:é", "n", n]));
  sockets.at(-1).send(JSON.stringify([null, null, "room:é", "last", {}]));
  await last;
  assert.deepEqual(seen, Array.from({ length: 1000 }, (_, n) => n));
  socket.disconnect();
});

test("a close of either side has its code", async () => {
  const socket = opened(), channel = socket.channel("a"), told = [];
  socket.on("close", (event) => told.push(event));
  await channel.join();
  const [before] = [sockets.at(-1)];
  const joined = new Promise((resolve) => { channel.on("$joined", resolve); });
  before.close(4008, "slow");
  assert.deepEqual((await joined).rejoined, true);
  assert.deepEqual(told, [{ code: 4008, reason: "slow", final: false }]);
  const ended = once(sockets.at(-1), "close");
  socket.disconnect();
  await ended;
  assert.deepEqual(closes.at(-1), [1000, ""]);
});

test("a refused handshake is tried again", async () => {
  refuse = "503 Service Unavailable";
  const socket = opened({ backoff: () => 10 }), told = [];
  socket.on("close", ({ code, final }) => {
    told.push([code, final]);
    if (told.length === 3) refuse = null;
  });
  await socket.channel("a").join();
  assert.deepEqual(told, [[1006, false], [1006, false], [1006, false]]);
  socket.disconnect();
});

test("an end right behind a join's answer loses neither", async () => {
  const socket = opened({ backoff: () => 60000 }), channel = socket.channel("a"), closed = [];
  channel.on("$closed", ({ reason }) => closed.push(reason));
  await channel.join();
  const end = new Promise((resolve) => { socket.on("close", resolve); });
  const ref = channel._joinRef;
  sockets.at(-1).send(JSON.stringify([ref, ref, "a", "phx_close", {}]));
  sockets.at(-1).close(1001);
  assert.deepEqual(await end, { code: 1001, reason: "", final: false });
  assert.deepEqual([closed, socket.state], [["closed"], "waiting"]);
  socket.disconnect();
});

// npm's `phoenix`, of the version in $PHOENIX, which polls: from the beginning, or since its WebSocket was refused.

import assert from "node:assert/strict";
import http from "node:http";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";

import { IS_1_7, answer, credentials, joined } from "./phoenix.mjs";
import { Server, WebSocket, until } from "./server.mjs";

/** What 1.7 asks by, as far as it uses it. */
class XMLHttpRequest {
  readyState = 0;

  open(method, url) {
    this.request = http.request(url, { method, agent: false }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => {
        Object.assign(this, { readyState: 4, responseText: Buffer.concat(parts).toString() });
        if (!this.aborted) this.onreadystatechange();
      });
    });
    this.request.on("error", () => { if (!this.aborted) this.onerror(); });
  }

  setRequestHeader(name, value) {
    this.request.setHeader(name, value);
  }

  send(body) {
    this.request.end(body ?? "");
  }

  abort() {
    this.aborted = true;
    this.request.destroy();
  }
}

// It looks for it there.
if (IS_1_7) globalThis.self = { XMLHttpRequest };
const { LongPoll, Socket } = createRequire(import.meta.url)("phoenix");
const SLOW = { timeout: 60000 };

let server, sockets = [];
before(async () => { server = await Server.start(); });
after(() => server.stop());
afterEach(() => { for (const socket of sockets.splice(0)) socket.disconnect(); });

/** A stock socket, and how its connections ended. */
function open({ user, ...options } = {}) {
  const socket = new Socket(options.endPoint ?? server.endPoint, { transport: LongPoll, ...credentials(user), ...options });
  const codes = [];
  // 1.7 tells of each a second time, without a code.
  socket.onClose(({ code }) => { if (code) codes.push(code); });
  sockets.push(socket);
  socket.connect();
  return { socket, codes };
}

test("joins, pushes, is answered and refused, and leaves", SLOW, async () => {
  const { socket, codes } = open({ user: "polls" });
  const channel = await joined(socket, "echo:polls", { last: 10 });
  assert.equal((await server.members("echo:polls"))[0].user, "polls");
  assert.deepEqual(await answer(channel.push("echo", { t: "žluť" })), ["ok", { t: "žluť" }]);
  assert.deepEqual(await answer(channel.push("fail", {})), ["error", { reason: "no" }]);
  const closed = socket.channel("closed:1");
  assert.deepEqual(await answer(closed.join()), ["error", { reason: "unauthorized" }]);
  await new Promise((resolve) => { assert.ok(socket.ping(resolve)); });
  assert.equal((await answer(channel.leave()))[0], "ok");
  await until(async () => (await server.members("echo:polls")).length === 0);
  assert.deepEqual(codes, []);
});

test("hears each broadcast, once and in order", SLOW, async () => {
  const { socket } = open();
  const channel = await joined(socket, "relay:order"), heard = [];
  channel.on("said", ({ n }) => heard.push(n));
  for (let n = 0; n < 300; n++) await server.broadcast("relay:order", "said", { n });
  await until(() => heard.length >= 300);
  assert.deepEqual(heard, Array.from({ length: 300 }, (_, n) => n));
});

test("two say something to each other while one pushes much", SLOW, async () => {
  const [a, b] = [await joined(open().socket, "relay:two"), await joined(open().socket, "relay:two")];
  const heard = [];
  b.on("said", ({ n }) => heard.push(n));
  const answers = await Promise.all(Array.from({ length: 250 }, (_, n) => answer(a.push("said", { n }))));
  assert.ok(answers.every(([status]) => status === "ok"));
  await until(() => heard.length === 250);
  assert.deepEqual(heard, Array.from({ length: 250 }, (_, n) => n));
});

test("answers a question of the server", SLOW, async () => {
  const { socket } = open({ user: "asked" });
  const channel = await joined(socket, "echo:1");
  channel.on("pick", ({ of }, ref) => channel.push("$reply", { ref, status: "ok", response: of[1] }));
  const question = { conn: await server.conn("asked"), topic: "echo:1", event: "pick", within: 10000 };
  assert.deepEqual(await server.asks("POST", "/ask", question, '{"of":[1,2]}'), [200, 2]);
});

test("sends bytes, and hears their base64", SLOW, async () => {
  const [a, b] = [open().socket, open().socket];
  const echo = await joined(a, "echo:e");
  assert.deepEqual(await answer(echo.push("echo", Uint8Array.of(1, 2, 255).buffer)), ["ok", "AQL/"]);
  const [from, to] = [await joined(a, "relay:be"), await joined(b, "relay:be")];
  const heard = new Promise((resolve) => { to.on("be", resolve); });
  from.push("be", Uint8Array.of(0, 255).buffer);
  assert.equal(await heard, "AP8=");
});

test("a poll that waits in vain is followed by another", SLOW, async () => {
  const { socket, codes } = open();
  const channel = await joined(socket, "echo:idle");
  await new Promise((resolve) => { setTimeout(resolve, 12000); });
  assert.deepEqual(await answer(channel.push("echo", { n: 1 })), ["ok", { n: 1 }]);
  assert.deepEqual(codes, []);
});

test("kicked it is back, and joins again", SLOW, async () => {
  const { socket, codes } = open({ user: "kicked" });
  const channel = await joined(socket, "echo:kicked");
  await server.kick("kicked");
  await until(() => codes.length);
  assert.deepEqual(await answer(channel.push("echo", { n: 1 })), ["ok", { n: 1 }]);
  assert.deepEqual(codes, [1011]);
  assert.equal((await server.members("echo:kicked")).length, 1);
});

test("disconnected it is forgotten", SLOW, async () => {
  const { socket } = open();
  await joined(socket, "relay:gone");
  // It says so to nobody: that it does not poll any more is all.
  await new Promise((resolve) => { socket.disconnect(resolve); });
  await until(async () => (await server.members("relay:gone")).length === 0);
});

test("refused it never opens, and dials again and again", SLOW, async () => {
  const { socket, codes } = open({ params: { token: "wrong" }, reconnectAfterMs: () => 10 });
  let opened = 0;
  socket.onOpen(() => { opened++; });
  await until(() => codes.length >= 5);
  assert.deepEqual([opened, codes.slice(0, 5)], [0, Array(5).fill(1008)]);
});

test("a restart: it is joined again, and what waited is sent", SLOW, async () => {
  const mine = await Server.start();
  const { socket, codes } = open({ endPoint: mine.endPoint });
  const channel = await joined(socket, "echo:1");
  await mine.stop();
  const again = await Server.start(mine.address);
  await until(() => codes.length);
  assert.deepEqual(await answer(channel.push("echo", { n: 1 })), ["ok", { n: 1 }]);
  socket.disconnect();
  await again.stop();
});

test("a hundred topics come in one burst, and again after a cut", SLOW, async () => {
  const { socket, codes } = open({ user: "many" });
  const channels = Array.from({ length: 100 }, (_, i) => socket.channel(`echo:${i}`));
  await Promise.all(channels.map((channel) => answer(channel.join())));
  await server.kick("many");
  await until(() => codes.length);
  const answers = await Promise.all(channels.map((channel, n) => answer(channel.push("echo", { n }))));
  assert.deepEqual(answers, channels.map((_, n) => ["ok", { n }]));
});

test("what is too large ends the connection, and it comes back", SLOW, async () => {
  const { socket, codes } = open();
  const channel = await joined(socket, "echo:1");
  channel.push("echo", { t: "x".repeat(70000) });
  await until(() => codes.length);
  assert.deepEqual(await answer(channel.push("echo", { n: 1 })), ["ok", { n: 1 }]);
});

test("with `longPollFallbackMs`, it polls when its WebSocket is refused", SLOW, async () => {
  class Refused extends WebSocket {
    constructor() {
      super(`${server.endPoint}/nowhere`);
    }
  }
  const { socket } = open({ transport: Refused, longPollFallbackMs: 2500, user: "falls" });
  const channel = await joined(socket, "echo:falls"), heard = new Promise((resolve) => { channel.on("said", resolve); });
  assert.equal(socket.transport, LongPoll);
  assert.deepEqual(await answer(channel.push("echo", { n: 1 })), ["ok", { n: 1 }]);
  await server.broadcast("echo:falls", "said", { n: 2 });
  assert.deepEqual(await heard, { n: 2 });
  assert.equal((await server.members("echo:falls"))[0].user, "falls");
});

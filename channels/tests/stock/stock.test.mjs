// npm's `phoenix`, of the version in $PHOENIX, over npm's `ws`: what it does with this server.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { IS_1_7, answer, credentials, joined } from "./phoenix.mjs";
import { Random, Server, Told, WebSocket, until } from "./server.mjs";

const { Presence, Socket } = createRequire(import.meta.url)("phoenix");
const SLOW = { timeout: 30000 };

let server, sockets = [];
before(async () => { server = await Server.start(); });
after(() => server.stop());
afterEach(async () => {
  await Promise.all(sockets.splice(0).map((socket) => new Promise((resolve) => { socket.disconnect(resolve); })));
});

/** A stock socket, with the frames that it sends and receives in `wires`, one for each dial. */
function open({ user, ...options } = {}) {
  const wires = [];
  class Wire extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols ?? []);
      Object.assign(this, { sent: [], received: [] });
      this.on("message", (data, isBinary) => this.received.push(isBinary ? data : JSON.parse(data)));
      this.on("close", (code) => { this.code = code; });
      wires.push(this);
    }

    send(data, ...more) {
      this.sent.push(typeof data === "string" ? JSON.parse(data) : data);
      super.send(data, ...more);
    }
  }
  const socket = new Socket(options.endPoint ?? server.endPoint, { transport: Wire, ...credentials(user), ...options });
  sockets.push(socket);
  socket.connect();
  return { socket, wires };
}

const event = (channel, name) => new Promise((resolve) => { channel.on(name, (payload, ref) => resolve([payload, ref])); });
const count = (frames, name) => frames.filter((frame) => frame[3] === name).length;

test("is who its token says", SLOW, async () => {
  const user = IS_1_7 ? "žofie" : "zofie"; // in a subprotocol, btoa takes Latin-1 only
  const { socket, wires } = open({ user });
  await joined(socket, "echo:token");
  assert.equal(wires[0].protocol, IS_1_7 ? "" : "phoenix");
  assert.equal((await server.members("echo:token"))[0].user, user);
});

test("refused by HTTP it never opens, and dials again and again", SLOW, async () => {
  const { socket, wires } = open({ params: { token: "wrong" }, reconnectAfterMs: () => 10 });
  let opened = 0;
  socket.onOpen(() => { opened++; });
  await until(() => wires.length >= 5);
  assert.equal(opened, 0);
  assert.ok(wires.slice(0, 4).every(({ code }) => code === 1006));
});

test("heartbeats and pings are answered, while a handler is at work", SLOW, async () => {
  const { socket, wires } = open({ heartbeatIntervalMs: 400 });
  const channel = await joined(socket, "echo:1");
  const slow = answer(channel.push("slow", {}));
  await until(() => count(wires[0].sent, "heartbeat") >= 3);
  await new Promise((resolve) => { assert.ok(socket.ping(resolve)); });
  assert.equal(count(wires[0].received, "phx_error"), 0);
  assert.equal((await slow)[0], "ok");
  assert.equal(wires.length, 1);
});

test("joins, pushes, is answered and refused", SLOW, async () => {
  const { socket } = open();
  const channel = await joined(socket, "echo:1", { last: 10 });
  assert.deepEqual(await answer(channel.push("echo", { t: "žluť" })), ["ok", { t: "žluť" }]);
  assert.deepEqual(await answer(channel.push("fail", {})), ["error", { reason: "no" }]);
  assert.deepEqual(await answer(channel.push("other", {})), ["error", { reason: "unknown event" }]);
  assert.deepEqual(await answer(channel.push("$dom", {})), ["error", { reason: "reserved event" }]);
});

test("a join refused for now is tried again, one refused for good is not", SLOW, async () => {
  const { socket, wires } = open({ rejoinAfterMs: () => 20 });
  const later = socket.channel("later:1"), closed = socket.channel("closed:1"), nowhere = socket.channel("nowhere");
  let refusals = 0;
  later.join().receive("error", () => { refusals++; });
  const ends = [closed, nowhere].map((channel) => new Promise((resolve) => { channel.onClose(resolve); }));
  assert.deepEqual(await answer(closed.join()), ["error", { reason: "unauthorized" }]);
  assert.deepEqual(await answer(nowhere.join()), ["error", { reason: "unmatched topic" }]);
  await Promise.all(ends);
  await until(() => refusals >= 5);
  const joins = (topic) => wires[0].sent.filter((frame) => frame[2] === topic && frame[3] === "phx_join").length;
  assert.deepEqual([joins("closed:1"), joins("nowhere"), closed.state, nowhere.state], [1, 1, "closed", "closed"]);
});

test("hears broadcasts, after the answer to its join and not after its leave", SLOW, async () => {
  const { socket, wires } = open();
  await until(() => socket.isConnected());
  let storm = true, sent = 0;
  const storming = (async () => { while (storm) await server.broadcast("relay:storm", "said", { n: sent++ }); })();
  for (let i = 0; i < 20; i++) {
    const channel = await joined(socket, "relay:storm"), before = count(wires[0].received, "said");
    await until(() => count(wires[0].received, "said") >= before + 3);
    // It says that it has left before the server has heard of it: what is on its way reaches the next channel.
    await answer(channel.leave());
  }
  storm = false;
  await storming;
  let next = null, joins = 0;
  for (const [, ref, , name, { n }] of wires[0].received) {
    const isJoined = name === "phx_reply" && wires[0].sent.find((frame) => frame[1] === ref)[3] === "phx_join";
    if (isJoined) [next, joins] = ["any", joins + 1];
    if (name === "phx_close") next = null;
    if (name !== "said") continue;
    assert.ok(next === "any" || next === n, `${n}, not ${next}`);
    next = n + 1;
  }
  assert.equal(joins, 20);
});

test("answers a question of the server, and its answer is acknowledged", SLOW, async () => {
  const { socket } = open({ user: "asked" });
  const channel = await joined(socket, "echo:1");
  const acknowledged = [];
  channel.on("pick", ({ of }, ref) => channel.push("$reply", { ref, status: "ok", response: of[1] }).receive("ok", (r) => acknowledged.push(r)));
  channel.on("refuse", (_, ref) => channel.push("$reply", { ref, status: "error", response: { reason: "no" } }));
  const ask = async (name) => server.asks("POST", "/ask", { conn: await server.conn("asked"), topic: "echo:1", event: name, within: 10000 }, '{"of":[1,2]}');
  assert.deepEqual(await ask("pick"), [200, 2]);
  await until(() => acknowledged.length);
  assert.deepEqual(acknowledged, [{}]);
  assert.equal((await ask("refuse"))[0], 502);
});

test("leaves, and joins again in one burst, and by a second channel of the topic", SLOW, async () => {
  const { socket } = open();
  const first = await joined(socket, "relay:twice");
  const left = answer(first.leave()), second = await joined(socket, "relay:twice");
  assert.equal((await left)[0], "ok");
  const third = await joined(socket, "relay:twice");
  assert.deepEqual([first.state, second.state, third.state], ["closed", "closed", "joined"]);
  assert.equal((await answer(third.push("x", {})))[0], "ok");
  assert.equal((await server.members("relay:twice")).length, 1);
});

test("a session that quits is not joined again, one that crashes is", SLOW, async () => {
  const { socket, wires } = open({ rejoinAfterMs: () => 20 });
  const quit = await joined(socket, "echo:quit"), crash = await joined(socket, "echo:crash"), closed = new Promise((resolve) => { quit.onClose(resolve); });
  const errors = [];
  crash.onError((reason) => errors.push(reason));
  quit.push("quit", {});
  await closed;
  crash.push("crash", {});
  await until(() => errors.length && crash.state === "joined");
  assert.deepEqual(errors, [{ reason: "channel_crash" }]);
  assert.deepEqual(await answer(crash.push("echo", { n: 1 })), ["ok", { n: 1 }]);
  assert.equal(wires[0].sent.filter(([, , topic, name]) => topic === "echo:quit" && name === "phx_join").length, 1);
});

test("sends and hears bytes", SLOW, async () => {
  const a = open(), b = open();
  // 1.7 writes each character of a topic as one byte.
  const echo = await joined(a.socket, IS_1_7 ? "echo:e" : "echo:é");
  const [status, response] = await answer(echo.push("echo", Uint8Array.of(1, 2, 255).buffer));
  assert.equal(status, "ok");
  assert.deepEqual([...new Uint8Array(response)], [1, 2, 255]);
  assert.deepEqual(await answer(echo.push("fail", new ArrayBuffer(0))), ["error", { reason: "no" }]);
  assert.deepEqual(await answer(echo.push("echo", Uint8Array.of(1, 2))), ["ok", { 0: 1, 1: 2 }]);
  const [from, to] = [await joined(a.socket, "relay:be"), await joined(b.socket, "relay:be")];
  let heard = event(to, "be");
  from.push("be", Uint8Array.of(0, 255).buffer);
  assert.deepEqual([...new Uint8Array((await heard)[0])], [0, 255]);
  heard = event(from, "be2");
  await server.broadcast("relay:be", "be2", Uint8Array.of(7));
  assert.deepEqual([...new Uint8Array((await heard)[0])], [7]);
});

test("kicked it closes with 4500, and is back; pushes wait for that, those in flight are lost", SLOW, async () => {
  const { socket, wires } = open({ user: "kicked" });
  const channel = await joined(socket, "echo:1");
  const lost = answer(channel.push("slow", {}, 300)), closed = new Promise((resolve) => { socket.onClose(resolve); });
  await server.kick("kicked");
  assert.equal((await closed).code, 4500);
  const waiting = answer(channel.push("echo", { n: 1 }));
  assert.deepEqual(await waiting, ["ok", { n: 1 }]);
  assert.equal((await lost)[0], "timeout");
  assert.deepEqual(wires.map((wire) => count(wire.sent, "slow")), [1, 0]);
});

test("a hundred topics, and pushes on each, come in one burst after a cut", SLOW, async () => {
  const { socket, wires } = open({ user: "many" });
  const channels = Array.from({ length: 100 }, (_, i) => socket.channel(`echo:${i}`));
  await Promise.all(channels.map((channel) => answer(channel.join())));
  const beyond = socket.channel("echo:100"), closed = new Promise((resolve) => { beyond.onClose(resolve); });
  assert.deepEqual(await answer(beyond.join()), ["error", { reason: "too many channels joined" }]);
  await closed;
  const cut = new Promise((resolve) => { socket.onClose(resolve); });
  await server.kick("many");
  await cut;
  const answers = await Promise.all(channels.flatMap((channel, n) => [channel.push("echo", { n }), channel.push("echo", { n })].map(answer)));
  assert.deepEqual(answers, channels.flatMap((_, n) => [["ok", { n }], ["ok", { n }]]));
  assert.equal(count(wires[1].sent, "phx_join"), 100);
});

test("what is too large ends the connection with 1009, and it comes back", SLOW, async () => {
  const { socket, wires } = open();
  const channel = await joined(socket, "echo:1");
  channel.push("echo", { t: "x".repeat(70000) });
  await until(() => wires.length === 2);
  assert.equal(wires[0].code, 1009);
  assert.deepEqual(await answer(channel.push("echo", { n: 1 })), ["ok", { n: 1 }]);
});

test("disconnects with 1005, and the server forgets it", SLOW, async () => {
  const { socket, wires } = open();
  await joined(socket, "relay:gone");
  await new Promise((resolve) => { socket.disconnect(resolve); });
  assert.equal(wires[0].code, 1005);
  await until(async () => (await server.members("relay:gone")).length === 0);
});

/** A list of who is present, and what was told of it. */
function presence(channel) {
  const list = new Presence(channel), told = new Told();
  list.onJoin((key, _, entry) => told.note("join", key, entry));
  list.onLeave((key, _, entry) => told.note("leave", key, entry));
  return { list, told, entries: () => ({ ...list.state }) };
}

test("who is present: joins, updates and leaves", SLOW, async () => {
  const a = open({ user: "a" }), b = open({ user: "b" });
  const [from, to] = [a.socket.channel("room:1", { n: 1 }), b.socket.channel("room:1", { n: 2 })], told = [], list = new Presence(to);
  list.onJoin((key, old, { metas }) => told.push(["join", key, old?.metas.map(({ n }) => n), metas.map(({ n }) => n)]));
  list.onLeave((key, { metas: rest }, { metas }) => told.push(["leave", key, rest.map(({ n }) => n), metas.map(({ n }) => n)]));
  assert.equal((await answer(from.join()))[0], "ok");
  await until(() => count(a.wires[0].received, "presence_diff") === 1);
  assert.equal((await answer(to.join()))[0], "ok");
  await until(() => told.length === 2);
  await answer(from.push("track", { n: 3 }));
  await until(() => told.length === 4);
  // A page that is loaded anew does not leave.
  a.wires[0].terminate();
  await until(() => a.wires.length === 2 && told.length === 6);
  assert.equal((await answer(from.leave()))[0], "ok");
  await until(() => told.length === 7);
  assert.deepEqual(told, [
    ["join", "a", undefined, [1]], ["join", "b", undefined, [2]],
    ["join", "a", [1], [3]], ["leave", "a", [3], [1]],
    ["join", "a", [3], [1]], ["leave", "a", [1], [3]],
    ["leave", "a", [], [1]],
  ]);
  const [joins] = b.wires[0].received.filter(([, , , name, payload]) => name === "presence_diff" && payload.joins.a?.metas[0].phx_ref_prev);
  assert.equal(joins[4].joins.a.metas[0].phx_ref_prev, joins[4].leaves.a.metas[0].phx_ref);
  assert.deepEqual({ ...list.state }, await server.present("room:1"));
});

test("who is present: after anything, each list is the server's, and nobody was told twice", { timeout: 60000 }, async () => {
  const random = new Random(7), options = { rejoinAfterMs: () => 20, reconnectAfterMs: () => 10, timeout: 2000 };
  const pages = ["p0", "p0", "p1", "p2", undefined, undefined].map((user) => ({ user, ...open({ user, ...options }) })), lists = [];
  const begin = (page, step) => {
    page.channel = page.socket.channel("room:random", { step });
    page.channel.join();
    page.present = presence(page.channel);
    lists.push(page.present);
  };
  for (let step = 0; step < 200; step++) {
    const page = pages[random.below(pages.length)], action = random.below(10);
    if (!page.channel) begin(page, step);
    else if (action <= 2) page.channel.push("track", { step });
    else if (action === 3) page.channel.push("untrack", {});
    else if (action === 4) page.channel.push("crash", {});
    else if (action === 5) page.wires.at(-1).terminate();
    else if (action === 6 && page.user) await server.kick(page.user);
    else if (action === 7) { page.channel.leave(); page.channel = null; }
    else if (action === 8) { page.channel.leave(); begin(page, step); }
    await new Promise((resolve) => { setTimeout(resolve, [0, 1, 20, 110][random.below(4)]); });
  }
  for (const page of pages) if (!page.channel) begin(page, 200);
  const present = await until(async () => {
    const listed = await server.present("room:random");
    return pages.every((page) => page.channel.state === "joined" && isDeepStrictEqual(page.present.entries(), listed)) && listed;
  });
  assert.ok(present.p1.metas.length && Object.keys(present).length >= 3);
  assert.deepEqual(lists.flatMap(({ told }) => told.repeated), []);
  assert.ok(lists.reduce((sum, { told }) => sum + told.counts.size, 0) > 150);
});

test("a restart: it is joined again, and what waited is sent", SLOW, async () => {
  const mine = await Server.start();
  const { socket, wires } = open({ endPoint: mine.endPoint });
  const channel = await joined(socket, "echo:1");
  await mine.stop();
  await until(() => wires[0].code);
  assert.ok([1001, 1012].includes(wires[0].code), `${wires[0].code}`);
  const waiting = answer(channel.push("echo", { n: 1 }));
  const again = await Server.start(mine.address);
  assert.deepEqual(await waiting, ["ok", { n: 1 }]);
  socket.disconnect();
  await again.stop();
});

test("a drain: Close 1012, and 503 for who comes back", SLOW, async () => {
  const mine = await Server.start();
  const all = Array.from({ length: 10 }, () => open({ endPoint: mine.endPoint, reconnectAfterMs: () => 50 }));
  for (const { socket } of all) await joined(socket, "echo:1");
  const drained = mine.asks("POST", "/drain");
  await until(() => all.every(({ wires }) => wires[0].code));
  assert.deepEqual(all.map(({ wires }) => wires[0].code), Array(10).fill(1012));
  assert.equal((await drained)[0], 200);
  assert.equal((await mine.handshake("/socket/websocket?vsn=2.0.0"))[0], 503);
  for (const { socket } of all) socket.disconnect();
  await mine.stop();
  assert.ok(all.every(({ wires }) => wires.slice(1).every(({ code }) => code === 1006)));
});

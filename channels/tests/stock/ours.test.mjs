// Our own client, in the extended dialect, over npm's `ws`.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { Presence, Socket } from "../../js/channels.js";
import { Random, Server, Told, WebSocket, until } from "./server.mjs";

const SLOW = { timeout: 30000 };
let server, sockets = [];
before(async () => { server = await Server.start(); });
after(() => server.stop());
afterEach(() => { for (const socket of sockets.splice(0)) socket.disconnect(); });

function open({ endPoint = server.endPoint, user, ...options } = {}) {
  const socket = new Socket(endPoint, { WebSocket, token: user && `secret-${user}`, ...options });
  sockets.push(socket);
  return socket;
}

const told = (emitter, type) => new Promise((resolve) => { const off = emitter.on(type, (event) => { off(); resolve(event); }); });
const reason = (promise) => promise.then((value) => ["ok", value], (e) => [e.reason, e.final]);

test("serves the client itself", SLOW, async () => {
  const response = await fetch(`http://${server.address}/channels.js`);
  const { readFileSync } = await import("node:fs");
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/javascript/);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(await response.text(), readFileSync(new URL("../../js/channels.js", import.meta.url), "utf8"));
  const etag = response.headers.get("etag");
  assert.ok(etag);
  assert.equal((await fetch(`http://${server.address}/channels.js`, { headers: { "if-none-match": etag } })).status, 304);
});

test("joins, knows its connection, pushes text and bytes", SLOW, async () => {
  const socket = open({ user: "žofie" }), channel = socket.channel("echo:é", { last: 1 });
  assert.deepEqual(await channel.join(), {});
  assert.deepEqual(await server.members("echo:é"), [{ conn: channel.conn, user: "žofie" }]);
  assert.deepEqual(await channel.push("echo", { t: "hi" }), { t: "hi" });
  assert.deepEqual([...new Uint8Array(await channel.push("echo", Uint8Array.of(0, 255)))], [0, 255]);
  assert.deepEqual(await reason(channel.push("fail")), ["no", false]);
  await channel.leave();
  assert.deepEqual(await server.members("echo:é"), []);
});

test("hears broadcasts and the others, in order", SLOW, async () => {
  const [a, b] = [open().channel("relay:ours"), open().channel("relay:ours")], heard = [];
  await Promise.all([a.join(), b.join()]);
  b.on("n", (n) => heard.push(n));
  b.on("be", (data) => heard.push([...new Uint8Array(data)]));
  for (let n = 0; n < 100; n++) a.cast("n", n);
  await a.push("be", Uint8Array.of(1));
  await server.broadcast("relay:ours", "be", Uint8Array.of(2));
  await until(() => heard.length === 102);
  assert.deepEqual(heard, [...Array.from({ length: 100 }, (_, n) => n), [1], [2]]);
});

/** A client with an ear to a topic with a history. */
async function hears(topic, options) {
  const socket = open({ backoff: () => 100, ...options }), channel = socket.channel(topic), heard = [], gaps = [];
  channel.on("n", (n) => heard.push(n));
  channel.on("be", (data) => heard.push([...new Uint8Array(data)]));
  channel.on("$gap", (gap) => gaps.push(gap));
  await channel.join();
  return { socket, channel, heard, gaps };
}

test("what was said while it was cut off comes, once and in order", SLOW, async () => {
  const topic = "room:cut", { socket, channel, heard, gaps } = await hears(topic, { user: "cut" });
  for (let round = 0; round < 3; round++) {
    const from = round * 5, again = told(channel, "$joined");
    await server.broadcast(topic, "n", from);
    socket._ws.terminate();
    await server.broadcast(topic, "n", from + 1);
    await server.broadcast(topic, "n", -1, { except_user: "cut" });
    await server.broadcast(topic, "be", Uint8Array.of(from + 2));
    assert.deepEqual(await again, { recovered: true, rejoined: true, response: {} });
    await server.broadcast(topic, "n", from + 3);
    await server.broadcast(topic, "n", from + 4);
    await until(() => heard.length === from + 5);
  }
  assert.deepEqual(heard, Array.from({ length: 15 }, (_, n) => (n % 5 === 2 ? [n] : n)));
  assert.deepEqual(gaps, []);
  assert.equal(channel._at.o, (await server.state()).topics.find(({ name }) => name === topic).position.o);
});

test("what it pushes to the others does not come back to it after a cut", SLOW, async () => {
  const topic = "room:mine", a = await hears(topic), b = await hears(topic);
  await a.channel.push("n", 1);
  // Before it has heard how far the topic is, perhaps.
  a.socket._ws.terminate();
  const again = told(a.channel, "$joined");
  await b.channel.push("n", 2);
  assert.equal((await again).recovered, true);
  await until(() => a.heard.length && b.heard.length);
  assert.deepEqual([a.heard, b.heard, a.gaps], [[2], [1], []]);
});

test("more than is kept is a gap, and so is a server that knows nothing", SLOW, async () => {
  const mine = await Server.start(), topic = "room:1", { socket, channel, heard, gaps } = await hears(topic, { endPoint: mine.endPoint });
  await mine.broadcast(topic, "n", 1);
  await until(() => heard.length === 1);
  let again = told(channel, "$joined");
  socket.disconnect();
  for (let n = 2; n <= 102; n++) await mine.broadcast(topic, "n", n);
  socket.connect();
  assert.equal((await again).recovered, false);
  await until(() => gaps.length === 1);
  await mine.broadcast(topic, "n", 103);
  await until(() => heard.length === 2);
  assert.deepEqual([heard, gaps], [[1, 103], [{ from: 2, to: 102 }]]);
  again = told(channel, "$joined");
  await mine.stop();
  const next = await Server.start(mine.address);
  assert.equal((await again).recovered, false);
  await until(() => gaps.length === 2);
  assert.deepEqual(gaps[1], { from: null, to: 0 });
  await next.broadcast(topic, "n", 1);
  await until(() => heard.length === 3);
  socket.disconnect();
  await next.stop();
});

test("the latest come to who joins first, and not again", SLOW, async () => {
  const topic = "recent:ours", first = await hears(topic);
  for (let n = 1; n <= 5; n++) await server.broadcast(topic, "n", n);
  const { socket, channel, heard } = await hears(topic), again = told(channel, "$joined");
  await until(() => heard.length === 3);
  socket._ws.terminate();
  assert.equal((await again).recovered, true);
  await server.broadcast(topic, "n", 6);
  await until(() => heard.length === 4 && first.heard.length === 6);
  assert.deepEqual(heard, [3, 4, 5, 6]);
});

test("answers questions, or says that it cannot", SLOW, async (t) => {
  t.mock.method(console, "error", () => {});
  const channel = open().channel("echo:ask");
  await channel.join();
  channel.on("pick", async ({ of }) => of[1]);
  channel.on("fails", () => { throw new Error("not now"); });
  const ask = (event, within = 10000) => server.asks("POST", "/ask", { conn: channel.conn, topic: "echo:ask", event, within }, '{"of":[1,2]}');
  assert.deepEqual(await ask("pick"), [200, 2]);
  assert.equal((await ask("fails"))[0], 502);
  assert.equal((await ask("nobody's"))[0], 502);
  channel.on("never", () => new Promise(() => {}));
  assert.equal((await ask("never", 50))[0], 504);
});

test("goes on after refusals for now, ends at those for good", SLOW, async () => {
  const socket = open({ backoff: () => 0 }), later = socket.channel("later:1");
  let refusals = 0;
  later.on("$refused", ({ final }) => { refusals += !final; });
  later.join().catch(() => {});
  assert.deepEqual(await reason(socket.channel("closed:1").join()), ["unauthorized", true]);
  assert.deepEqual(await reason(socket.channel("nowhere").join()), ["unmatched topic", true]);
  await until(() => refusals === 2);
  assert.equal(later.state, "waiting");
});

test("joins again after a crash, not after the session's end", SLOW, async () => {
  const socket = open({ backoff: () => 0 }), crash = socket.channel("echo:crash"), quit = socket.channel("echo:quit");
  await Promise.all([crash.join(), quit.join()]);
  const error = told(crash, "$error"), again = told(crash, "$joined"), closed = told(quit, "$closed");
  crash.cast("crash");
  assert.equal((await error).reason, "channel_crash");
  assert.equal((await again).rejoined, true);
  quit.cast("quit");
  assert.equal((await closed).final, true);
  assert.equal(quit.state, "closed");
});

test("kicked it stays away", SLOW, async () => {
  const socket = open({ user: "kicked" }), channel = socket.channel("echo:kick");
  await channel.join();
  const close = told(socket, "close"), closed = told(channel, "$closed"), pushed = reason(channel.push("slow"));
  await server.kick("kicked");
  const { code, final } = await close;
  assert.deepEqual([code, final], [4500, true]);
  assert.equal((await closed).final, true);
  assert.equal((await pushed)[1], true);
  assert.equal(socket.state, "closed");
});

test("refused by HTTP it goes on, with a new token each time", SLOW, async () => {
  const tokens = ["wrong", "", "secret-late"], socket = open({ backoff: () => 0 });
  socket._options.token = () => tokens.shift() || "wrong again";
  const closes = [];
  socket.on("close", ({ code, final }) => closes.push([code, final]));
  const channel = socket.channel("echo:late");
  await channel.join();
  assert.deepEqual(closes, [[1006, false], [1006, false]]);
  assert.deepEqual(await server.members("echo:late"), [{ conn: channel.conn, user: "late" }]);
});

test("who is present: after anything, each list is the server's, and nobody was told twice", { timeout: 60000 }, async () => {
  const random = new Random(11);
  const pages = ["p0", "p0", "p1", "p2", undefined, undefined].map((user) => ({ user, socket: open({ user, backoff: () => 10 }) }));
  for (const [n, page] of pages.entries()) {
    page.channel = page.socket.channel("room:ours", { page: n });
    page.list = new Presence(page.channel);
    page.told = new Told();
    for (const type of ["join", "leave"]) page.list.on(type, (key, _, entry) => page.told.note(type, key, entry));
  }
  for (let step = 0; step < 200; step++) {
    const page = pages[random.below(pages.length)], action = random.below(8);
    if (page.channel.state === "closed") page.channel.join().catch(() => {});
    else if (action <= 2) page.channel.cast("track", { step });
    else if (action === 3) page.channel.cast("untrack");
    else if (action === 4) page.channel.cast("crash");
    else if (action === 5) page.socket._ws?.terminate?.();
    else if (action === 6) page.channel.leave().catch(() => {});
    await new Promise((resolve) => { setTimeout(resolve, [0, 1, 20, 110][random.below(4)]); });
  }
  for (const { channel } of pages) channel.join().catch(() => {});
  const present = await until(async () => {
    const listed = await server.present("room:ours");
    return pages.every(({ channel, list }) => channel.state === "joined" && isDeepStrictEqual(list.list(), listed)) && listed;
  });
  assert.ok(present.p1.metas.length && Object.keys(present).length >= 3);
  assert.deepEqual(pages.flatMap(({ told }) => told.repeated), []);
  assert.ok(pages.reduce((sum, { told }) => sum + told.counts.size, 0) > 150);
});

test("a restart: joined again; what was under way fails, what waits is sent", SLOW, async () => {
  const mine = await Server.start(), socket = open({ endPoint: mine.endPoint, backoff: () => 20 }), channel = socket.channel("echo:1");
  await channel.join();
  const before = channel.conn, slow = reason(channel.push("slow")), close = told(socket, "close"), again = told(channel, "$joined");
  await mine.stop();
  assert.equal((await close).final, false);
  assert.deepEqual(await slow, ["disconnected", false]);
  const waiting = channel.push("echo", 1);
  const next = await Server.start(mine.address);
  assert.deepEqual(await again, { recovered: false, rejoined: true, response: {} });
  assert.equal(await waiting, 1);
  assert.notEqual(channel.conn, before);
  socket.disconnect();
  await next.stop();
});

test("a drain: 1012, and away until there is a server again", SLOW, async () => {
  const mine = await Server.start(), socket = open({ endPoint: mine.endPoint, backoff: () => 50 }), channel = socket.channel("echo:1");
  await channel.join();
  const close = told(socket, "close");
  await mine.asks("POST", "/drain");
  assert.equal((await close).code, 1012);
  await mine.stop();
  const next = await Server.start(mine.address);
  await channel.join();
  assert.equal(await channel.push("echo", 1), 1);
  socket.disconnect();
  await next.stop();
});

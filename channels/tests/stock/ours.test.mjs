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

// What the client does, against a server and a clock that the tests are.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, test } from "node:test";

import { ChannelError, Presence, Socket } from "../channels.js";
import { Page, settled } from "./fake.js";

let page;

beforeEach(() => { page = new Page(); });
afterEach(() => page.end());

/** Another page instead, with options. */
function pageWith(options) {
  page.end();
  page = new Page(options);
  return page;
}

/** How a promise ended, once it has: `["ok", value]`, or the words of its error. */
function outcome(promise) {
  const result = [];
  promise.then(
    (value) => result.push("ok", value),
    (e) => result.push(e.reason ?? e.message, e.response, e.final),
  );
  return result;
}

const isHeartbeat = ([, , topic]) => topic === "phoenix";
const others = (frames) => frames.filter((frame) => !isHeartbeat(frame));

describe("dialling", () => {
  test("waits for the first join or connect", async () => {
    page.socket.channel("a");
    await page.clock.pass(60000);
    assert.equal(page.socket.state, "idle");
    assert.equal(page.dialled.length, 0);
    page.socket.connect();
    assert.equal(page.socket.state, "connecting");
    await settled();
    page.socket.connect();
    await settled();
    assert.equal(page.dialled.length, 1);
  });

  test("has the page's server, the version, the extension and parameters in its URL", async () => {
    pageWith({ params: () => ({ lang: "čeština", "a b": "&" }) }).socket.connect();
    await settled();
    assert.equal(page.server.url, "wss://example.com/socket/websocket?vsn=2.0.0&ext=1&lang=%C4%8De%C5%A1tina&a+b=%26");
    assert.deepEqual(page.server.protocols, []);
    for (const [given, dialled] of [
      ["ws://other.example:81/x/", "ws://other.example:81/x/websocket?vsn=2.0.0&ext=1"],
      ["http://other.example/x?y=1", "ws://other.example/x/websocket?y=1&vsn=2.0.0&ext=1"],
      ["chat", "wss://example.com/news/chat/websocket?vsn=2.0.0&ext=1"],
    ]) {
      new Socket(given, { ...page.options, params: undefined }).connect();
      await settled();
      assert.equal(page.server.url, dialled);
    }
    assert.throws(() => new Socket("http://["), TypeError);
  });

  test("proves who it is by a subprotocol, of UTF-8 in base64url without padding", async () => {
    for (const token of ["secret-7", "žluťoučký kůň", "~~~???>>>", "ÿÿ", "🙂", "x".repeat(8192)]) {
      pageWith({ token }).socket.connect();
      await settled();
      const [first, second, ...rest] = page.server.protocols;
      assert.deepEqual([first, rest], ["phoenix", []]);
      assert.match(second, /^base64url\.bearer\.phx\.[A-Za-z0-9_-]+$/);
      assert.equal(Buffer.from(second.split(".")[3], "base64url").toString(), token);
    }
  });

  test("asks for the token each time, and waits for it", async () => {
    let count = 0, give;
    pageWith({ token: () => new Promise((resolve) => { give = () => resolve(`t${++count}`); }) }).socket.connect();
    await settled();
    assert.equal(page.dialled.length, 0);
    give();
    await settled();
    page.server.ends(4001, "expired");
    await page.clock.pass(250);
    give();
    await settled();
    const tokens = page.dialled.map(({ protocols }) => Buffer.from(protocols[1].split(".")[3], "base64url").toString());
    assert.deepEqual(tokens, ["t1", "t2"]);
  });

  test("goes on trying when there is no token, or no WebSocket", async () => {
    let fault = new Error("no token");
    pageWith({ token: async () => { if (fault) throw fault; } }).socket.connect();
    await settled();
    assert.deepEqual(page.told.map(([type]) => type), ["error", "close"]);
    assert.equal(page.told[0][1], fault);
    assert.equal(page.socket.state, "waiting");
    fault = null;
    await page.clock.pass(250);
    assert.equal(page.dialled.length, 1);
    pageWith({ WebSocket: class { constructor() { throw new Error("not allowed"); } } }).socket.connect();
    await settled();
    assert.deepEqual(page.told.map(([type, e]) => e.message ?? e.code), ["not allowed", 1006]);
    assert.equal(page.socket.state, "waiting");
  });

  test("a token that comes after disconnect() dials nobody", async () => {
    let give;
    pageWith({ token: () => new Promise((resolve) => { give = resolve; }) }).socket.connect();
    page.socket.disconnect();
    give("late");
    await page.clock.pass(60000);
    assert.equal(page.dialled.length, 0);
    assert.equal(page.socket.state, "closed");
  });

  test("parameters that disconnect dial nobody", async () => {
    pageWith({ params: () => { page.socket.disconnect(); return {}; } }).socket.connect();
    await page.clock.pass(60000);
    assert.deepEqual([page.dialled.length, page.socket.state, page.clock.timers], [0, "closed", 0]);
  });

  test("gives a dial up that comes to nothing in 30 s", async () => {
    page.socket.connect();
    await page.clock.pass(29999);
    assert.equal(page.socket.state, "connecting");
    await page.clock.pass(1);
    assert.equal(page.socket.state, "waiting");
    assert.deepEqual(page.server.closed, [1000, "timeout"]);
    const [old] = page.dialled;
    await page.clock.pass(250);
    assert.equal(page.dialled.length, 2);
    old.onopen({});
    old.onclose({ code: 1006, reason: "" });
    assert.equal(page.socket.state, "connecting");
  });

  test("an error without a close, as in Node 20, is the end of a dial, and one close is told", async () => {
    page.socket.connect();
    await settled();
    page.server.onerror({});
    await page.clock.pass(250);
    page.server.fails();
    await page.clock.pass(500);
    assert.equal(page.dialled.length, 3);
    assert.deepEqual(page.told.map(([type]) => type), ["error", "close", "error", "close"]);
    assert.deepEqual(page.told[1][1], { code: 1006, reason: "", final: false });
  });
});

describe("joining", () => {
  test("is one object, one promise and one frame for each topic", async () => {
    const channel = page.socket.channel("room:1", { last: 10 });
    assert.equal(page.socket.channel("room:1"), channel);
    assert.equal(channel.state, "closed");
    const joining = channel.join();
    assert.equal(channel.join(), joining);
    assert.equal(channel.state, "waiting");
    const frames = others(await page.opens());
    assert.deepEqual(frames, [["1", "1", "room:1", "phx_join", { last: 10 }]]);
    assert.equal(channel.state, "joining");
    page.server.joins(frames, "room:1", { hello: 1, $conn: "c1" });
    assert.equal(channel.state, "joined");
    assert.deepEqual(await joining, { hello: 1 });
    assert.equal(channel.conn, "c1");
    assert.equal(channel.join(), joining);
    assert.deepEqual(others(page.server.taken()), []);
  });

  test("comes before pushes, all topics in one burst, each time anew", async () => {
    let n = 0;
    const topics = ["a", "b", "c"];
    for (const topic of topics) {
      const channel = page.socket.channel(topic, () => ({ n: ++n }));
      channel.join();
      channel.push("early", topic).catch(() => {});
    }
    const frames = await page.opens();
    assert.deepEqual(frames.map(([, , topic, event]) => [topic, event]), [
      ["a", "phx_join"], ["b", "phx_join"], ["c", "phx_join"], ["phoenix", "heartbeat"],
    ]);
    for (const topic of topics) page.server.joins(frames, topic);
    assert.deepEqual(page.server.taken().map(([, , topic, event, payload]) => [topic, event, payload]), [
      ["a", "early", "a"], ["b", "early", "b"], ["c", "early", "c"],
    ]);
    page.server.ends(1006);
    await page.clock.pass(250);
    assert.deepEqual(others(await page.opens()).map(([, , topic, event, payload]) => [topic, event, payload]), [
      ["a", "phx_join", { n: 4 }], ["b", "phx_join", { n: 5 }], ["c", "phx_join", { n: 6 }],
    ]);
  });

  test("nothing of a topic reaches the page before the answer, or from an earlier join", async () => {
    const channel = page.socket.channel("a"), seen = [];
    channel.on("x", (payload) => seen.push(payload));
    channel.join();
    const frames = others(await page.opens());
    page.server.says(null, null, "a", "x", "before");
    page.server.joins(frames, "a");
    page.server.says(null, null, "a", "x", "all");
    page.server.says("1", null, "a", "x", "one");
    page.server.says("0", null, "a", "x", "stale");
    page.server.says("1", null, "b", "x", "elsewhere");
    assert.deepEqual(seen, ["all", "one"]);
  });

  test("is tried again after a refusal, a second later and more", async () => {
    page.random = 1;
    const channel = page.socket.channel("a"), refused = [];
    channel.on("$refused", ({ reason, final }) => refused.push([reason, final, page.clock.now]));
    const joining = outcome(channel.join());
    let frames = others(await page.opens());
    for (const pause of [1250, 1500, 2000]) {
      page.server.replies(frames[0], { reason: "busy" }, "error");
      assert.equal(channel.state, "waiting");
      await page.clock.pass(pause - 1);
      assert.deepEqual(others(page.server.taken()), []);
      await page.clock.pass(1);
      frames = others(page.server.taken());
      assert.equal(frames.length, 1);
      assert.equal(frames[0][0], frames[0][1]);
    }
    assert.deepEqual(refused, [["busy", false, 0], ["busy", false, 1250], ["busy", false, 2750]]);
    assert.deepEqual(joining, []);
    page.server.joins(frames, "a", { ok: true });
    await settled();
    assert.deepEqual(joining, ["ok", { ok: true }]);
  });

  test("a pause that was begun before a cut is no longer waited for", async () => {
    const channel = page.socket.channel("a");
    channel.join();
    const [join] = others(await page.opens());
    page.server.replies(join, { reason: "busy" }, "error");
    page.server.ends(1006);
    await page.clock.pass(250);
    page.server.replies(others(await page.opens())[0], { reason: "busy" }, "error");
    await page.clock.pass(1249);
    assert.deepEqual(others(page.server.taken()), []);
    await page.clock.pass(1);
    assert.equal(others(page.server.taken()).length, 1);
  });

  test("is over when phx_close follows the refusal", async () => {
    const channel = page.socket.channel("a"), told = [];
    for (const event of ["$refused", "$closed"]) channel.on(event, ({ reason, final }) => told.push([event, reason, final]));
    const joining = outcome(channel.join()), pushed = outcome(channel.push("x"));
    const [join] = others(await page.opens());
    page.server.replies(join, { reason: "unauthorized", why: 7 }, "error");
    page.server.says(join[0], join[1], "a", "phx_close", {});
    await page.clock.pass(60000);
    assert.deepEqual(joining, ["unauthorized", { reason: "unauthorized", why: 7 }, true]);
    assert.deepEqual(pushed, ["unauthorized", { reason: "unauthorized", why: 7 }, true]);
    assert.deepEqual(told, [["$refused", "unauthorized", false], ["$closed", "unauthorized", true]]);
    assert.equal(channel.state, "closed");
    assert.deepEqual(others(page.server.taken()), []);
    assert.ok(await channel.push("x").catch((e) => e instanceof ChannelError && e instanceof Error && e.reason === "closed"));
  });

  test("without an answer is tried again after 10 s; a late answer is not heard", async () => {
    const channel = page.socket.channel("a"), refused = [];
    channel.on("$refused", ({ reason }) => refused.push(reason));
    channel.join();
    const [join] = others(await page.opens());
    page.server.says(null, "2", "phoenix", "phx_reply", { status: "ok", response: {} });
    await page.clock.pass(10000);
    assert.deepEqual(refused, ["timeout"]);
    page.server.replies(join);
    page.server.says(null, null, "a", "x", {});
    assert.equal(channel.state, "waiting");
    await page.clock.pass(1125);
    const [again] = others(page.server.taken());
    assert.notEqual(again[0], join[0]);
    // The server ends the earlier session, since it has joined it.
    page.server.says(join[0], join[0], "a", "phx_close", {});
    page.server.replies(again);
    assert.equal(channel.state, "joined");
  });

  test("goes on when its parameters cannot be had", async () => {
    let fault = true;
    const channel = page.socket.channel("a", () => { if (fault) throw new Error("not yet"); return { a: 1 }; });
    const refused = [];
    channel.on("$refused", ({ message }) => refused.push(message));
    channel.join();
    assert.deepEqual(others(await page.opens()), []);
    assert.deepEqual(refused, ["not yet"]);
    fault = false;
    await page.clock.pass(1125);
    assert.deepEqual(others(page.server.taken())[0][4], { a: 1 });
  });

  test("parameters that disconnect join nothing, and nothing goes on", async () => {
    let then = () => { throw new Error("nobody is logged in"); };
    page.socket.channel("a", () => { page.socket.disconnect(); return then(); }).join();
    const b = page.socket.channel("b");
    b.join();
    assert.deepEqual(await page.opens(), []);
    assert.deepEqual([page.socket.state, b.state, page.clock.timers], ["closed", "waiting", 0]);
    assert.deepEqual(page.told.map(([type]) => type), ["close"]);
    then = () => page.socket.connect();
    page.socket.connect();
    assert.deepEqual(await page.opens(), []);
    assert.deepEqual([page.socket.state, page.dialled.length], ["connecting", 3]);
  });

  test("parameters that leave join nothing", async () => {
    const channel = page.socket.channel("a", () => { channel.leave(); return {}; }), joining = outcome(channel.join());
    const frames = others(await page.opens());
    assert.deepEqual([frames.map(([, , , event]) => event), channel.state, joining[0]], [[], "closed", "left"]);
  });

  test("an answer of nothing is one", async () => {
    for (const response of [null, undefined]) {
      const joining = outcome(page.socket.channel(`a${response}`).join());
      const frames = page.socket.state === "open" ? page.server.taken() : await page.opens();
      page.server.joins(frames, `a${response}`, response);
      await settled();
      assert.deepEqual(joining, ["ok", {}]);
    }
  });

  test("a pause does not outlast disconnect()", async () => {
    const channel = page.socket.channel("a");
    channel.join();
    const [join] = others(await page.opens());
    page.server.replies(join, { reason: "busy" }, "error");
    page.socket.disconnect();
    assert.deepEqual([channel.state, page.clock.timers], ["waiting", 0]);
    page.socket.connect();
    assert.equal(others(await page.opens()).length, 1);
  });

  test("is refused while the socket is told to stay away", async () => {
    page.socket.disconnect();
    assert.deepEqual(await page.socket.channel("a").join().catch(({ reason, final }) => [reason, final]), ["closed", true]);
  });
});

describe("pushing", () => {
  test("answers, refuses, and times out", async () => {
    const channel = await page.joined("a");
    const results = [channel.push("x", { n: 1 }), channel.push("y"), channel.push("z", null, { timeout: 500 })].map(outcome);
    const frames = page.server.taken();
    assert.deepEqual(frames.map(([joinRef, , ...rest]) => [joinRef, ...rest]), [["1", "a", "x", { n: 1 }], ["1", "a", "y", {}], ["1", "a", "z", null]]);
    assert.equal(new Set(frames.map(([, ref]) => ref)).size, 3);
    page.server.replies(frames[1], { reason: "no", more: 1 }, "error");
    page.server.replies(frames[0], [1]);
    page.server.replies(frames[0], [2]);
    await page.clock.pass(500);
    assert.deepEqual(results, [["ok", [1]], ["no", { reason: "no", more: 1 }, false], ["timeout", undefined, false]]);
    page.server.replies(frames[2]);
    page.server.replies([null, "999", "a"]);
    assert.equal(page.socket.state, "open");
  });

  test("waits for the join, in order, and no longer than its time", async () => {
    const channel = page.socket.channel("a");
    channel.join();
    const late = outcome(channel.push("late", {}, { timeout: 100 }));
    channel.push("one").catch(() => {});
    await page.clock.pass(100);
    assert.deepEqual(late, ["timeout", undefined, false]);
    channel.push("two").catch(() => {});
    const frames = others(await page.opens());
    channel.push("three").catch(() => {});
    page.server.joins(frames, "a");
    channel.push("four").catch(() => {});
    assert.deepEqual(page.server.taken().map(([joinRef, , , event]) => [joinRef, event]), ["one", "two", "three", "four"].map((event) => [frames[0][0], event]));
  });

  test("waits in a bounded buffer", async () => {
    for (const buffer of [256, 3]) {
      if (buffer !== 256) pageWith({ buffer });
      const results = [];
      const [a, b] = ["a", "b"].map((topic) => page.socket.channel(topic));
      for (const channel of [a, b]) channel.join();
      for (let i = 0; i < buffer; i++) results.push(outcome((i % 2 ? a : b).push("x", i)));
      const beyond = outcome(a.push("beyond"));
      await settled();
      assert.deepEqual(beyond, ["buffer full", undefined, false]);
      assert.ok(results.every((result) => result.length === 0));
      const frames = await page.opens();
      for (const topic of ["a", "b"]) page.server.joins(frames, topic);
      assert.equal(page.server.taken().length, buffer);
      for (let i = 0; i < 300; i++) a.push("in flight").catch(() => {});
      assert.equal(page.server.taken().length, 300);
    }
  });

  test("at a cut what was sent fails at once, and is not repeated; what was not, is sent after the join", async () => {
    const channel = await page.joined("a", { $conn: "c1" });
    const sent = outcome(channel.push("sent"));
    page.server.taken();
    page.server.ends(1006);
    assert.equal(channel.conn, null);
    assert.equal(channel.state, "waiting");
    const waiting = outcome(channel.push("waiting"));
    await settled();
    assert.deepEqual(sent, ["disconnected", { code: 1006, reason: "" }, false]);
    await page.clock.pass(250);
    await page.opens();
    page.server.ends(1006);
    await page.clock.pass(250);
    const frames = others(await page.opens());
    assert.deepEqual(frames.map(([, , , event]) => event), ["phx_join"]);
    page.server.joins(frames, "a");
    const [push, ...rest] = page.server.taken();
    assert.deepEqual([push[3], rest], ["waiting", []]);
    page.server.replies(push, 1);
    await settled();
    assert.deepEqual(waiting, ["ok", 1]);
  });

  test("a cast has no ref, and is dropped while not joined", async () => {
    const channel = page.socket.channel("a");
    channel.cast("never");
    channel.join();
    channel.cast("never");
    const frames = others(await page.opens());
    channel.cast("never");
    page.server.joins(frames, "a");
    channel.cast("now", 1);
    channel.cast("now");
    assert.deepEqual(page.server.taken(), [["1", null, "a", "now", 1], ["1", null, "a", "now", {}]]);
    page.server.ends(1006);
    channel.cast("never");
  });

  test("what cannot be encoded fails, and disturbs nobody", async () => {
    const circle = {};
    circle.circle = circle;
    const channel = page.socket.channel("a");
    channel.join();
    const early = outcome(channel.push("x", circle)), other = outcome(channel.push("y"));
    const frames = others(await page.opens());
    page.server.joins(frames, "a");
    const late = outcome(channel.push("x", 1n)), long = outcome(channel.push("x".repeat(256), new Uint8Array(1)));
    await settled();
    assert.match(early[0], /circular/);
    assert.match(late[0], /BigInt/);
    assert.match(long[0], /too long/);
    assert.deepEqual(page.server.taken().map(([, , , event]) => event), ["y"]);
    assert.deepEqual(other, []);
  });

  test("encode and decode are for whole frames", async () => {
    pageWith({
      encode: (v) => JSON.stringify(v, (_, x) => (typeof x === "bigint" ? `big:${x}` : x)),
      decode: (s) => JSON.parse(s, (_, x) => (/^big:/.test(x) ? BigInt(x.slice(4)) : x)),
    });
    const channel = await page.joined("a"), pushed = outcome(channel.push("x", 2n ** 70n));
    const [frame] = page.server.taken();
    assert.equal(frame[4], `big:${2n ** 70n}`);
    page.server.replies(frame, "big:7");
    await settled();
    assert.deepEqual(pushed, ["ok", 7n]);
  });
});

describe("bytes", () => {
  const bytes = (...parts) => Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...new TextEncoder().encode(part)] : [part])));

  test("are pushed and cast as in the vector, from a buffer or any view of one", async () => {
    page.socket._refs = 4;
    const channel = await page.joined("room:é");
    page.socket._refs = 5;
    const buffer = bytes(9, 1, 2, 255, 9).buffer;
    const expected = [...bytes(0, 1, 1, 7, 2, "56room:ébe", 1, 2, 255)];
    channel.push("be", new Uint8Array(buffer, 1, 3)).catch(() => {});
    assert.deepEqual([...page.server.taken()[0]], expected);
    page.socket._refs = 5;
    channel.push("be", new DataView(buffer, 1, 3)).catch(() => {});
    assert.deepEqual([...page.server.taken()[0]], expected);
    channel.cast("be", bytes(1, 2, 255).buffer);
    assert.deepEqual([...page.server.taken()[0]], [...bytes(0, 1, 0, 7, 2, "5room:ébe", 1, 2, 255)]);
    channel.cast("be", new Uint8Array());
    assert.deepEqual([...page.server.taken()[0]], [...bytes(0, 1, 0, 7, 2, "5room:ébe")]);
  });

  test("come to one, as replies, to all, and with an offset", async () => {
    const channel = await page.joined("a", { $pos: { e: "k", o: 4294967296 } }), seen = [], gaps = [];
    channel.on("be", (data) => seen.push([...new Uint8Array(data)]));
    channel.on("$gap", (gap) => gaps.push(gap));
    page.server.saysRaw(bytes(0, 1, 1, 2, "1abe", 1));
    page.server.saysRaw(bytes(0, 1, 1, 2, "9abe", 0));
    page.server.saysRaw(bytes(2, 1, 2, "abe", 2, 3));
    page.server.saysRaw(bytes(3, 1, 2, 0, 0, 0, 1, 0, 0, 0, 1, "abe", 4));
    page.server.saysRaw(bytes(3, 1, 2, 0, 0, 0, 1, 0, 0, 0, 1, "abe", 0));
    page.server.saysRaw(bytes(2, 1, 2, "abe"));
    page.server.saysRaw(bytes(0, 0, 1, 2, "abe", 6));
    assert.deepEqual(seen, [[1], [2, 3], [4], [], [6]]);
    assert.deepEqual(gaps, []);
    const results = [channel.push("x"), channel.push("y", new ArrayBuffer(1))].map(outcome);
    const [[, ref]] = page.server.taken();
    page.server.saysRaw(bytes(1, 1, 1, 1, 2, `1${ref}aok`, 7));
    page.server.saysRaw(bytes(1, 1, 1, 1, 5, `1${Number(ref) + 1}aerror`, 8));
    await settled();
    assert.deepEqual([...new Uint8Array(results[0][1])], [7]);
    assert.equal(results[1][0], "error");
    assert.deepEqual([...new Uint8Array(results[1][1])], [8]);
  });
});

describe("questions", () => {
  async function asks(...handlers) {
    const channel = await page.joined("a"), metas = [];
    for (const f of handlers) channel.on("pick", (q, meta) => { metas.push(meta); return f(q); });
    page.server.taken();
    page.server.says("1", "s17", "a", "pick", { of: [1, 2] });
    await settled();
    assert.ok(metas.length === handlers.length && metas.every(({ ref }) => ref === "s17"));
    return page.server.taken();
  }
  const replied = (status, response) => [["1", null, "a", "$reply", { ref: "s17", status, response }]];

  test("are answered by what the handler returns", async () => {
    assert.deepEqual(await asks(({ of }) => of[1]), replied("ok", 2));
  });

  test("or promises", async () => {
    assert.deepEqual(await asks(async ({ of }) => ({ picked: of })), replied("ok", { picked: [1, 2] }));
  });

  test("by the first of several that returns something, or null", async () => {
    assert.deepEqual(await asks(() => {}, async () => {}, () => 0, () => 1), replied("ok", 0));
    pageWith();
    assert.deepEqual(await asks(() => {}), replied("ok", null));
  });

  test("are refused when the handler fails, or there is none", async (t) => {
    const logged = t.mock.method(console, "error", () => {});
    assert.deepEqual(await asks(() => { throw new Error("not now"); }, () => 1), replied("error", { reason: "not now" }));
    pageWith();
    assert.deepEqual(await asks(() => Promise.reject("word")), replied("error", { reason: "word" }));
    pageWith();
    assert.match((await asks(() => 1n))[0][4].response.reason, /BigInt/);
    assert.equal(logged.mock.callCount(), 3);
    pageWith();
    assert.deepEqual(await asks(), replied("error", { reason: "no handler" }));
  });

  test("are not answered in another session than they were asked in", async () => {
    const channel = await page.joined("a");
    let answer;
    channel.on("pick", () => new Promise((resolve) => { answer = resolve; }));
    page.server.says("1", "s1", "a", "pick", {});
    page.server.ends(1006);
    await page.clock.pass(250);
    const frames = await page.opens();
    page.server.joins(frames, "a");
    answer(1);
    await settled();
    assert.deepEqual(page.server.taken(), []);
  });

  test("a handler can be taken away, and stands twice if it was given twice", async () => {
    const channel = await page.joined("a"), seen = [], f = (x) => { seen.push(x); };
    const offs = [channel.on("x", f), channel.on("x", f)];
    page.server.says(null, null, "a", "x", 1);
    offs[0]();
    page.server.says(null, null, "a", "x", 2);
    offs[1]();
    offs[1]();
    page.server.says(null, null, "a", "x", 3);
    assert.deepEqual(seen, [1, 1, 2]);
  });
});

describe("history", () => {
  let channel, told;

  async function joinedAt(o) {
    channel = page.socket.channel("a", { last: 1 });
    told = [];
    channel.on("said", (payload) => told.push(payload));
    channel.on("$gap", (gap) => told.push(gap));
    channel.on("$joined", ({ recovered, rejoined, response }) => told.push([recovered, rejoined, response]));
    await page.joined("a", { $conn: "c1", $pos: { e: "k", o } });
    told.shift();
  }

  async function again(response) {
    page.server.ends(1006);
    await page.clock.pass(1000);
    const frames = others(await page.opens());
    page.server.joins(frames, "a", { $conn: "c2", ...response });
    return frames[0][4];
  }

  test("a rejoin says what is had, and what is replayed is complete", async () => {
    await joinedAt(41);
    page.server.says(null, null, "a", "said", "42", 42);
    page.server.says(null, null, "a", "$pos", {}, 43);
    assert.deepEqual(await again({ $pos: { e: "k", o: 43 }, $recovered: true, n: 1 }), { last: 1, $since: { e: "k", o: 43, c: "c1" } });
    page.server.says(null, null, "a", "said", "44", 44);
    assert.deepEqual(told, ["42", [true, true, { n: 1 }], "44"]);
    assert.deepEqual((await again({ $pos: { e: "k", o: 44 }, $recovered: true })).$since, { e: "k", o: 44, c: "c2" });
  });

  test("what the page has is dropped, and what is outside the history is not numbered", async () => {
    await joinedAt(41);
    for (const o of [41, 42, 42, 40, 43]) page.server.says(null, null, "a", "said", o, o);
    page.server.says(null, null, "a", "said", "volatile");
    page.server.says("1", null, "a", "said", "one");
    assert.deepEqual(told, [42, 43, "volatile", "one"]);
  });

  test("a jump that nobody announced is reported, once", async () => {
    await joinedAt(1);
    page.server.says(null, null, "a", "said", "5", 5);
    page.server.says(null, null, "a", "$pos", {}, 7);
    page.server.says(null, null, "a", "said", "8", 8);
    assert.deepEqual(told, [{ from: 2, to: 4 }, "5", { from: 6, to: 6 }, "8"]);
  });

  test("a $gap is passed on, and begins anew from there", async () => {
    await joinedAt(1);
    page.server.says("1", null, "a", "$gap", { e: "k", o: 44 });
    page.server.says(null, null, "a", "said", "45", 45);
    page.server.says("1", null, "a", "$gap", { e: "k2", o: 3 });
    page.server.says(null, null, "a", "said", "4", 4);
    assert.deepEqual(told, [{ from: 2, to: 44 }, "45", { from: null, to: 3 }, "4"]);
    assert.deepEqual((await again({ $pos: { e: "k2", o: 4 }, $recovered: true })).$since, { e: "k2", o: 4, c: "c1" });
  });

  test("a recovery that begins elsewhere is not believed", async () => {
    await joinedAt(41);
    await again({ $pos: { e: "k", o: 44 }, $recovered: true });
    page.server.says(null, null, "a", "said", "45", 45);
    await again({ $pos: { e: "k", o: 43 }, $recovered: true });
    for (const o of [44, 45, 46]) page.server.says(null, null, "a", "said", String(o), o);
    assert.deepEqual(told, [[true, true, {}], { from: 42, to: 44 }, "45", [true, true, {}], "46"]);
  });

  test("what could not be recovered is a gap", async () => {
    await joinedAt(41);
    await again({ $pos: { e: "k", o: 90 }, $recovered: false });
    await again({ $pos: { e: "k9", o: 2 }, $recovered: false });
    page.server.says(null, null, "a", "said", "3", 3);
    await again({ $recovered: false });
    assert.deepEqual(told, [
      [false, true, {}], { from: 42, to: 90 }, [false, true, {}], { from: null, to: 2 }, "3", [false, true, {}], { from: null, to: null },
    ]);
    assert.deepEqual(await again({}), { last: 1 });
  });

  test("a gap of what has no number has none", async () => {
    await joinedAt(41);
    page.server.says("1", null, "a", "$gap", { e: "k", o: 41 });
    page.server.says(null, null, "a", "said", "42", 42);
    page.server.says("1", null, "a", "$gap", { e: "k", o: 43 });
    await again({ $pos: { e: "k", o: 43 }, $recovered: false });
    assert.deepEqual(told, [{ from: null, to: null }, "42", { from: 43, to: 43 }, [false, true, {}], { from: null, to: null }]);
  });

  test("who leaves when it has joined again is told of no gap", async () => {
    await joinedAt(41);
    for (const type of ["$closed", "$gap"]) channel.on(type, () => told.push(type));
    channel.on("$joined", () => channel.leave());
    await again({ $pos: { e: "k", o: 90 }, $recovered: false });
    assert.deepEqual(told, [[false, true, {}], "$closed"]);
  });

  test("without history a gap has no numbers, and a rejoin does not claim to have recovered", async () => {
    channel = await page.joined("a", { $conn: "c1" });
    told = [];
    channel.on("$gap", (gap) => told.push(gap));
    channel.on("$joined", ({ recovered, rejoined }) => told.push([recovered, rejoined]));
    page.server.says("1", null, "a", "$gap", {});
    assert.deepEqual(await again({}), {});
    assert.deepEqual(told, [{ from: null, to: null }, [false, true]]);
  });

  test("survives refusals and crashes, and ends with leaving", async () => {
    await joinedAt(41);
    page.server.ends(1006);
    await page.clock.pass(250);
    page.server.replies(others(await page.opens())[0], { reason: "busy" }, "error");
    await page.clock.pass(1125);
    const [join] = others(page.server.taken());
    assert.equal(join[4].$since.o, 41);
    page.server.replies(join, { $pos: { e: "k", o: 41 }, $recovered: true });
    page.server.says(join[0], join[1], "a", "phx_error", { reason: "channel_crash" });
    await page.clock.pass(1125);
    assert.equal(others(page.server.taken())[0][4].$since.o, 41);
    channel.leave();
    channel.join();
    assert.deepEqual(others(page.server.taken()).map(([, , , event, payload]) => [event, payload]), [["phx_leave", {}], ["phx_join", { last: 1 }]]);
  });
});

describe("ending", () => {
  test("leave is told, and done when the server has answered", async () => {
    const channel = await page.joined("a"), closed = [], seen = [];
    channel.on("$closed", ({ reason }) => closed.push(reason));
    channel.on("x", (x) => seen.push(x));
    const pushed = outcome(channel.push("x"));
    page.server.taken();
    const left = outcome(channel.leave());
    assert.equal(channel.state, "closed");
    assert.equal(channel.conn, null);
    const [leave] = page.server.taken();
    assert.deepEqual([leave[0], leave[3]], ["1", "phx_leave"]);
    page.server.says(null, null, "a", "x", 1);
    await settled();
    assert.deepEqual(pushed, ["left", null, true]);
    assert.deepEqual(left, []);
    page.server.replies(leave);
    page.server.says("1", "1", "a", "phx_close", {});
    await settled();
    assert.deepEqual(left, ["ok", undefined]);
    assert.deepEqual([closed, seen], [["left"], []]);
    await channel.leave();
    channel.on("$joined", ({ rejoined }) => seen.push(rejoined));
    channel.join();
    page.server.joins(page.server.taken(), "a");
    await settled();
    assert.deepEqual(seen, [false]);
  });

  test("what has ended is forgotten, however it ended, and may be joined again", async () => {
    const ends = {
      left: (channel) => void channel.leave(),
      closed: () => page.server.says(null, null, "a", "phx_close", {}),
      kicked: () => page.server.ends(4500, "kicked"),
    };
    for (const [how, end] of Object.entries(ends)) {
      const channel = await page.joined("a"), seen = [];
      channel.on("x", (x) => seen.push(x));
      end(channel);
      assert.equal(channel.state, "closed", how);
      const other = page.socket.channel("a");
      assert.notEqual(other, channel, how);
      // Who joins last has the topic.
      if (page.socket.state === "closed") {
        page.socket.connect();
        await page.opens();
      }
      const lost = outcome(other.join());
      channel.join();
      assert.deepEqual([other.state, page.socket.channel("a")], ["closed", channel], how);
      page.server.joins(page.server.taken().filter(([joinRef]) => joinRef === channel._joinRef), "a");
      page.server.says(null, null, "a", "x", how);
      await settled();
      assert.deepEqual([seen, lost[0]], [[how], "left"]);
      await Promise.all([channel.leave(), page.server.replies(page.server.taken().at(-1))]);
    }
    for (let n = 0; n < 1000; n++) {
      const channel = await page.joined(`room:${n}`);
      channel.leave();
      page.server.replies(page.server.taken().at(-1));
    }
    assert.equal(page.socket._channels.size, 0);
  });

  test("so is one that never joined, when it is left, and no other", async () => {
    const channel = page.socket.channel("a");
    await channel.leave();
    assert.equal(page.socket._channels.size, 0);
    const other = page.socket.channel("a");
    assert.notEqual(other, channel);
    await channel.leave();
    assert.equal(page.socket.channel("a"), other);
  });

  test("leave ends without an answer, too: cut, too late, never joined", async () => {
    const channel = await page.joined("a");
    const left = channel.leave();
    page.server.ends(1006);
    await left;
    const late = outcome((await again()).leave());
    await page.clock.pass(10000);
    assert.equal(late[0], "ok");
    const waiting = page.socket.channel("b"), joining = outcome(waiting.join());
    page.server.ends(1006);
    await waiting.leave();
    await settled();
    assert.equal(joining[0], "left");

    async function again() {
      await page.clock.pass(250);
      await page.opens();
      return page.joined("a");
    }
  });

  test("what the server may have let in after the client gave up is left, and nothing without a connection", async () => {
    const channel = page.socket.channel("a"), joining = outcome(channel.join());
    const [join] = others(await page.opens());
    await page.clock.pass(10000);
    assert.equal(channel.state, "waiting");
    page.server.replies(join);
    assert.equal(channel.state, "waiting");
    const left = outcome(channel.leave());
    const [leave] = others(page.server.taken());
    assert.deepEqual([leave[0], leave[2], leave[3]], [join[0], "a", "phx_leave"]);
    await settled();
    assert.deepEqual([joining[0], left], ["left", []]);
    page.server.replies(leave);
    await settled();
    assert.deepEqual(left, ["ok", undefined]);
    // Of one that has crashed there is nothing to be left, nor of one whose connection is another than now, or none.
    const crashed = await page.joined("b"), cut = await page.joined("c");
    page.server.says(crashed._joinRef, null, "b", "phx_error", {});
    assert.equal(crashed.state, "waiting");
    await crashed.leave();
    assert.deepEqual(others(page.server.taken()), []);
    page.server.ends(1006);
    const gone = outcome(cut.leave());
    await settled();
    assert.deepEqual(gone, ["ok", undefined]);
    await page.clock.pass(250);
    assert.deepEqual(others(await page.opens()), []);
  });

  test("a join that is under way can be left", async () => {
    const channel = page.socket.channel("a"), joining = outcome(channel.join());
    const [join] = others(await page.opens());
    const left = outcome(channel.leave());
    const [leave] = others(page.server.taken());
    assert.deepEqual(leave.slice(0, 1), [join[0]]);
    page.server.replies(leave);
    page.server.replies(join);
    await settled();
    assert.deepEqual([joining[0], left[0], channel.state], ["left", "ok", "closed"]);
  });

  test("phx_close is final", async () => {
    const channel = await page.joined("a"), closed = [];
    channel.on("$closed", ({ reason, final }) => closed.push([reason, final]));
    const pushed = outcome(channel.push("x"));
    page.server.says("1", "1", "a", "phx_close", {});
    await page.clock.pass(60000);
    assert.deepEqual(closed, [["closed", true]]);
    assert.deepEqual(pushed, ["closed", {}, true]);
    page.server.taken();
    page.server.ends(1006);
    await page.clock.pass(250);
    assert.deepEqual(others(await page.opens()), []);
    const again = outcome(channel.join());
    page.server.joins(others(page.server.taken()), "a");
    await settled();
    assert.equal(again[0], "ok");
  });

  test("phx_error is not: what is sent fails, what waits is sent after the next join", async () => {
    const channel = await page.joined("a"), errors = [];
    channel.on("$error", ({ reason, final }) => errors.push([reason, final]));
    const sent = outcome(channel.push("sent"));
    page.server.says("1", "1", "a", "phx_error", { reason: "channel_crash" });
    const waiting = outcome(channel.push("waiting")), joining = outcome(channel.join());
    await settled();
    assert.deepEqual(sent, ["channel_crash", { reason: "channel_crash" }, false]);
    page.server.taken();
    await page.clock.pass(1124);
    assert.deepEqual(page.server.taken(), []);
    await page.clock.pass(1);
    page.server.joins(page.server.taken(), "a", { n: 2 });
    const [push] = page.server.taken();
    page.server.replies(push);
    await settled();
    assert.deepEqual([waiting[0], joining, errors], ["ok", ["ok", { n: 2 }], [["channel_crash", false]]]);
  });

  test("disconnect closes with 1000, fails what was sent, and connect joins again", async () => {
    const channel = await page.joined("a"), pushed = outcome(channel.push("x"));
    page.socket.disconnect();
    await page.clock.pass(60000);
    assert.deepEqual(page.server.closed, [1000, ""]);
    assert.equal(pushed[0], "disconnected");
    assert.deepEqual([page.socket.state, channel.state, page.dialled.length], ["closed", "waiting", 1]);
    assert.deepEqual(page.told.at(-1), ["close", { code: 1000, reason: "", final: true }]);
    assert.equal(page.clock.timers, 0);
    page.happens("online");
    page.happens("pageshow");
    await page.clock.pass(60000);
    assert.equal(page.dialled.length, 1);
    page.socket.connect();
    await page.opensAndJoins("a");
    assert.equal(channel.state, "joined");
  });
});

describe("close codes", () => {
  const range = (from, to) => [from, to];
  const rows = [
    // code, whether it comes back, not before and not after which time, for a good connection
    ...[1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1010, 2999, 3000, 3499, 4000, 4001, 4008, 4499].map((code) => [code, range(0, 250)]),
    ...[1011, 1013].map((code) => [code, range(1000, 1250)]),
    [1012, range(0, 2000)],
    ...[3500, 3999, 4500, 4999].map((code) => [code, null]),
  ];
  for (const [code, when] of rows) {
    test(`${code}: ${when ? `dials after ${when[0]} to ${when[1]} ms` : "stays away"}`, async () => {
      const channel = await page.joined("a"), closed = [], pushed = outcome(channel.push("x"));
      channel.on("$closed", ({ reason, final }) => closed.push([reason, final]));
      await page.clock.pass(6000);
      for (const [i, random] of [0, 0.999].entries()) {
        page.random = random;
        page.server.ends(code, "word");
        assert.deepEqual(page.told.at(-1), ["close", { code, reason: "word", final: !when }]);
        await settled();
        if (!when) {
          assert.deepEqual(closed, [["word", true]]);
          assert.deepEqual(pushed, ["word", { code, reason: "word" }, true]);
          page.happens("online");
          await page.clock.pass(600000);
          assert.deepEqual([page.dialled.length, page.socket.state, channel.state], [1, "closed", "closed"]);
          assert.equal(page.clock.timers, 0);
          page.socket.connect();
          await settled();
          assert.equal(page.dialled.length, 2);
          return;
        }
        assert.deepEqual([page.socket.state, channel.state], ["waiting", "waiting"]);
        const due = when[0] + random * (when[1] - when[0]);
        await page.clock.pass(Math.max(0, Math.floor(due) - 1));
        assert.equal(page.dialled.length, i + (due > 1 ? 1 : 2));
        await page.clock.pass(2);
        assert.equal(page.dialled.length, i + 2);
        await page.opensAndJoins("a");
        await page.clock.pass(6000);
      }
    });
  }
});

describe("coming back", () => {
  /** How long it waits after an end, where the random number is 1. */
  async function pause(end = () => page.server.ends(1006)) {
    page.random = 1;
    const count = page.dialled.length, before = page.clock.now;
    end();
    while (page.dialled.length === count) await page.clock.pass(10);
    return page.clock.now - before;
  }

  test("takes longer each time, up to 10 s, for ever", async () => {
    page.socket.connect();
    await settled();
    const pauses = [];
    for (let i = 0; i < 8; i++) pauses.push(await pause(() => page.server.fails()));
    assert.deepEqual(pauses, [250, 500, 1000, 2000, 5000, 10000, 10000, 10000]);
  });

  test("is not begun anew by a connection that only opens, nor by one that answers and ends soon", async () => {
    page.socket.connect();
    const pauses = [];
    for (const [answers, lives] of [[0, 0], [0, 9000], [2, 4999], [2, 4999], [1, 5000], [1, 0]]) {
      await page.opens();
      for (let i = 0; i < answers; i++) page.server.says(null, "1", "phoenix", "phx_reply", { status: "ok", response: {} });
      await page.clock.pass(lives);
      pauses.push(await pause());
    }
    assert.deepEqual(pauses, [250, 500, 1000, 2000, 250, 500]);
  });

  test("has the page's own pauses", async () => {
    const tries = [];
    pageWith({ backoff: (n) => { tries.push(n); return 7000; } }).socket.connect();
    await settled();
    assert.equal(await pause(), 7000);
    assert.equal(await pause(), 7000);
    assert.deepEqual(tries, [0, 1]);
  });

  test("goes on where the page's own pauses are none, of dials and of joins", async () => {
    const faults = [], error = console.error;
    console.error = (e) => faults.push(e.message);
    try {
      // A browser takes a timer of more than 24 days for one of none.
      for (const backoff of [() => { throw new Error("no pause"); }, () => NaN, () => {}, () => null, () => "100", () => 2 ** 31, () => Infinity]) {
        pageWith({ backoff }).socket.connect();
        await settled();
        assert.equal(await pause(), 250, String(backoff));
        const channel = page.socket.channel("a");
        channel.join();
        const [join] = others(await page.opens());
        page.server.replies(join, { reason: "later" }, "error");
        await page.clock.pass(1249);
        assert.equal(channel.state, "waiting", String(backoff));
        await page.clock.pass(1);
        assert.equal(channel.state, "joining", String(backoff));
      }
    } finally {
      console.error = error;
    }
    assert.deepEqual(faults, ["no pause", "no pause"]);
  });

  test("a restart of a server that ends again at once is not hammered", async () => {
    page.random = 0;
    pageWith({ backoff: (n) => [10, 3000][n] }).socket.connect();
    await page.opens();
    page.server.ends(1012);
    await page.clock.pass(2000);
    await page.opens();
    page.server.ends(1012);
    await page.clock.pass(2999);
    assert.equal(page.dialled.length, 2);
    await page.clock.pass(1);
    assert.equal(page.dialled.length, 3);
  });

  for (const type of ["online", "pageshow"]) {
    test(`is at once on ${type}`, async () => {
      page.socket.connect();
      await page.opens();
      page.server.ends(1006);
      page.happens(type);
      await settled();
      assert.equal(page.dialled.length, 2);
      await page.clock.pass(300);
      assert.equal(page.dialled.length, 2);
    });
  }

  test("waits while the page is hidden, and is at once when it is seen", async () => {
    page.socket.connect();
    await page.opens();
    page.hide(true);
    page.server.ends(1006);
    await page.clock.pass(600000);
    page.happens("online");
    await page.clock.pass(600000);
    assert.deepEqual([page.dialled.length, page.socket.state], [1, "waiting"]);
    page.hide(false);
    await settled();
    assert.equal(page.dialled.length, 2);
  });

  test("is at once when a page goes on that was frozen, though nobody says that it is seen", async () => {
    page.socket.connect();
    await page.opens();
    page.hide(true);
    page.server.ends(1006);
    await page.clock.pass(600000);
    page.happens("resume");
    await settled();
    assert.equal(page.dialled.length, 1);
    page.hidden = false;
    page.happens("resume");
    await settled();
    assert.equal(page.dialled.length, 2);
  });

  test("a page that is kept in the back/forward cache closes, and dials when it is shown", async () => {
    const channel = await page.joined("a"), pushed = outcome(channel.push("x"));
    page.happens("pagehide", { persisted: false });
    assert.equal(page.socket.state, "open");
    page.happens("pagehide", { persisted: true });
    assert.deepEqual([page.socket.state, channel.state, page.server.closed], ["waiting", "waiting", [1000, ""]]);
    await page.clock.pass(600000);
    assert.equal(pushed[0], "disconnected");
    assert.equal(page.dialled.length, 1);
    const [old] = page.dialled;
    page.happens("pageshow", { persisted: true });
    page.hide(false);
    await settled();
    assert.equal(page.dialled.length, 2);
    old.onclose({ code: 1006, reason: "" });
    await page.opensAndJoins("a");
    assert.equal(channel.state, "joined");
    page.server.ends(1006);
    page.happens("pagehide", { persisted: true });
    await page.clock.pass(600000);
    assert.equal(page.dialled.length, 2);
  });

  test("connecting where a channel ends is told after a close that was final", async () => {
    const channel = await page.joined("a");
    channel.on("$closed", () => page.socket.connect());
    page.server.ends(4500, "kicked");
    await settled();
    assert.deepEqual(page.told.at(-1), ["close", { code: 4500, reason: "kicked", final: true }]);
    assert.deepEqual([page.dialled.length, getEventListeners(page, "online").length], [2, 1]);
  });

  test("its listeners are there once, however often it connects", async () => {
    for (let i = 0; i < 3; i++) {
      page.socket.connect();
      await page.opens();
      page.server.ends(4500);
      assert.equal(getEventListeners(page, "online").length, 0);
    }
    page.socket.connect();
    await page.opens();
    page.server.taken();
    for (const type of ["online", "pagehide", "resume"]) assert.equal(getEventListeners(page, type).length, 1);
    page.socket.disconnect();
    for (const type of ["online", "pagehide", "resume"]) assert.equal(getEventListeners(page, type).length, 0);
  });
});

describe("heartbeats", () => {
  const answer = () => page.server.says(null, "1", "phoenix", "phx_reply", { status: "ok", response: {} });

  test("go out at the opening and each 25 s, whatever else there is", async () => {
    page.socket.connect();
    assert.deepEqual(await page.opens(), [[null, "1", "phoenix", "heartbeat", {}]]);
    for (const ref of ["2", "3"]) {
      answer();
      await page.clock.pass(24999);
      answer();
      assert.deepEqual(page.server.taken(), []);
      await page.clock.pass(1);
      assert.deepEqual(page.server.taken(), [[null, ref, "phoenix", "heartbeat", {}]]);
    }
  });

  test("unanswered end the connection with 4000, after 10 s and a moment", async () => {
    page.socket.connect();
    await page.opens();
    answer();
    await page.clock.pass(25000 + 10999);
    assert.equal(page.server.closed, null);
    await page.clock.pass(1);
    assert.deepEqual(page.server.closed, [4000, "heartbeat"]);
    assert.equal(page.socket.state, "waiting");
    await page.clock.pass(250);
    assert.equal(page.dialled.length, 2);
  });

  test("are answered by any frame, even in the last moment", async () => {
    page.socket.connect();
    await page.opens();
    answer();
    for (let i = 0; i < 3; i++) {
      await page.clock.pass(25000 - (i && 10999) + 10999);
      page.server.says(null, null, "nobody's", "x", {});
    }
    assert.equal(page.server.closed, null);
  });

  test("one is in flight at a time", async () => {
    pageWith({ heartbeat: 3000 }).socket.connect();
    await page.opens();
    await page.clock.pass(9000);
    page.happens("online");
    assert.deepEqual(page.server.taken(), []);
    answer();
    await page.clock.pass(3000);
    assert.equal(page.server.taken().length, 1);
  });

  test("have 2 minutes while the page is hidden, and 10 s again when it is seen", async () => {
    page.socket.connect();
    await page.opens();
    answer();
    page.hide(true);
    await page.clock.pass(25000 + 119000);
    assert.equal(page.server.closed, null);
    page.hide(false);
    await page.clock.pass(10999);
    assert.equal(page.server.closed, null);
    await page.clock.pass(1);
    assert.deepEqual(page.server.closed, [4000, "heartbeat"]);
    await page.clock.pass(250);
    await page.opens();
    answer();
    page.hide(true);
    await page.clock.pass(25000 + 121000);
    assert.deepEqual(page.server.closed, [4000, "heartbeat"]);
  });

  test("end a dead connection in time, however often the page is looked at", async () => {
    page.socket.connect();
    await page.opens();
    answer();
    page.happens("online");
    for (let i = 0; i < 2; i++) {
      await page.clock.pass(5000);
      page.hide(true);
      page.hide(false);
    }
    await page.clock.pass(1000);
    assert.deepEqual(page.server.closed, [4000, "heartbeat"]);
  });

  test("ask at once when the network is back, or the page is seen", async () => {
    page.socket.connect();
    await page.opens();
    for (const happens of [() => page.happens("online"), () => page.hide(false)]) {
      answer();
      page.server.taken();
      happens();
      assert.equal(page.server.taken().length, 1);
    }
    await page.clock.pass(11000);
    assert.deepEqual(page.server.closed, [4000, "heartbeat"]);
  });
});

describe("frames that are none", () => {
  for (const [name, data] of Object.entries({
    "no JSON": "{", "no array": "7", null: "null", "an empty reply": '[null,"1","a","phx_reply",null]',
    "too few": "[]", "no payload": '["1",null,"a","phx_close"]', "unknown kind": Uint8Array.of(9, 1, 2, 3), "too short": Uint8Array.of(3, 1, 1, 0), empty: Uint8Array.of(),
  })) {
    test(`${name}: the connection goes on`, async () => {
      const channel = await page.joined("a"), seen = [];
      channel.on("x", (x) => seen.push(x));
      page.server.saysRaw(data);
      page.server.says(null, null, "a", "x", 1);
      assert.deepEqual([seen, page.socket.state], [[1], "open"]);
      assert.ok(page.told.filter(([type]) => type === "error").length <= 1);
    });
  }
});

describe("presence", () => {
  let presence, told;

  beforeEach(async () => {
    const channel = page.socket.channel("a");
    presence = new Presence(channel);
    told = [];
    const refs = (entry) => entry?.metas.map(({ phx_ref }) => phx_ref).join() ?? "";
    for (const type of ["join", "leave"]) presence.on(type, (key, other, change) => told.push(`${type} ${key} ${refs(other)}|${refs(change)}`));
    presence.on("sync", () => told.push("sync"));
    await page.joined("a");
  });

  const entry = (...refs) => ({ metas: refs.map((phx_ref) => ({ phx_ref })) });
  const state = (list) => page.server.says(page.server && page.socket.channel("a")._joinRef, null, "a", "presence_state", list);
  const diff = (joins, leaves) => page.server.says(null, null, "a", "presence_diff", { joins, leaves });
  const since = () => told.splice(0);

  test("keeps the list, by state and differences", () => {
    assert.deepEqual(Object.keys(presence.list()), []);
    state({ u1: entry("1"), u2: entry("2", "3") });
    assert.deepEqual(since(), ["join u1 |1", "join u2 |2,3", "sync"]);
    diff({ u1: entry("4") }, { u2: entry("2") });
    assert.deepEqual(since(), ["join u1 1|4", "leave u2 3|2", "sync"]);
    diff({}, { u2: entry("3") });
    assert.deepEqual(since(), ["leave u2 |3", "sync"]);
    assert.deepEqual({ ...presence.list() }, { u1: entry("1", "4") });
  });

  test("an update is a join and a leave of one key", () => {
    state({ u1: entry("1") });
    since();
    diff({ u1: { metas: [{ phx_ref: "2", phx_ref_prev: "1", at: 5 }] } }, { u1: entry("1") });
    assert.deepEqual(since(), ["join u1 1|2", "leave u1 2|1", "sync"]);
    assert.deepEqual(presence.list().u1.metas, [{ phx_ref: "2", phx_ref_prev: "1", at: 5 }]);
  });

  test("what is known is not told again, nor what was never there", () => {
    state({ u1: entry("1") });
    since();
    diff({ u1: entry("1") }, { u2: entry("7"), u1: entry("8") });
    assert.deepEqual(since(), ["sync"]);
  });

  test("differences wait for the state that follows each join, and are bounded", async () => {
    diff({ u2: entry("2") }, {});
    assert.deepEqual(since(), []);
    state({ u1: entry("1") });
    assert.deepEqual(since(), ["join u1 |1", "join u2 |2", "sync"]);
    page.server.ends(1006);
    await page.clock.pass(250);
    await page.opensAndJoins("a");
    for (let i = 0; i < 2000; i++) diff({ u3: entry(`x${i}`) }, {});
    state({ u1: entry("5") });
    assert.deepEqual(since().slice(0, 3), ["join u1 1|5", "leave u1 5|1", "leave u2 |2"]);
    assert.equal(presence.list().u3.metas.length, 1000);
  });

  test("a key can be any word", () => {
    state(JSON.parse('{"__proto__":{"metas":[{"phx_ref":"1"}]},"constructor":{"metas":[{"phx_ref":"2"}]}}'));
    assert.deepEqual(Object.keys(presence.list()), ["__proto__", "constructor"]);
    state({});
    assert.deepEqual(Object.keys(presence.list()), []);
    assert.equal({}.metas, undefined);
  });
});

// Every frame of the protocol, byte for byte, as a client that nobody wrote may send it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Raw, Server, bytes } from "./server.mjs";

const SLOW = { timeout: 30000 };
let server;
before(async () => { server = await Server.start(); });
after(() => server.stop());

const OK = (joinRef, ref, topic, response = {}) => JSON.stringify([joinRef, ref, topic, "phx_reply", { status: "ok", response }]);
const ERROR = (joinRef, ref, topic, reason) => JSON.stringify([joinRef, ref, topic, "phx_reply", { status: "error", response: { reason } }]);
const CLOSE = (joinRef, topic) => JSON.stringify([joinRef, joinRef, topic, "phx_close", {}]);

/** A connection that has joined `topic`. */
async function joined(topic, joinRef = "1", query = undefined) {
  const raw = await Raw.open(server, query);
  raw.join = await raw.says([joinRef, joinRef, topic, "phx_join", {}]);
  return raw;
}

test("refuses by HTTP, before anything is accepted", SLOW, async () => {
  const path = "/socket/websocket?vsn=2.0.0";
  const token = (text, encoding = "base64url") => ({ "sec-websocket-protocol": `phoenix, base64url.bearer.phx.${Buffer.from(text, "latin1").toString(encoding)}` });
  for (const [asked, headers, status] of [
    ["/socket/websocket", {}, 400],
    ["/socket/websocket?vsn=1.0.0", {}, 400],
    ["/socket/websocket?vsn=3.0.0", {}, 400],
    ["/socket/websocket?vsn=2.1.0", {}, 101],
    [path, token("wrong"), 401],
    [path, token("\xff\xfe"), 401],
    [path, { "sec-websocket-protocol": "phoenix, base64url.bearer.phx.a!b" }, 401],
    [`${path}&token=wrong`, {}, 401],
    [`${path}&token=secret-anna`, {}, 101],
    [path, token("secret-anna"), 101],
    [path, token("secret-~~~???>>>"), 101],
    // The other alphabet. With a `/` or a `=` it is no token of HTTP: browsers do not send it, and the core refuses it.
    [path, token("secret-~~~~~", "base64"), 101],
    [path, token("secret-???", "base64"), 400],
    [path, { upgrade: "other" }, 426],
    ["/elsewhere", {}, 404],
    ["/socket/longpoll?vsn=2.0.0", {}, 400],
  ]) {
    assert.equal((await server.handshake(asked, headers))[0], status, `${asked} ${JSON.stringify(headers)}`);
  }
});

test("answers the subprotocol phoenix, and never the token", SLOW, async () => {
  const offered = `phoenix, base64url.bearer.phx.${Buffer.from("secret-anna").toString("base64url")}`;
  const [, headers] = await server.handshake("/socket/websocket?vsn=2.0.0", { "sec-websocket-protocol": offered });
  assert.equal(headers["sec-websocket-protocol"], "phoenix");
  const [, none] = await server.handshake("/socket/websocket?vsn=2.0.0");
  assert.equal(none["sec-websocket-protocol"], undefined);
});

test("heartbeat", SLOW, async () => {
  const raw = await Raw.open(server);
  assert.equal(await raw.says([null, "2", "phoenix", "heartbeat", {}]), OK(null, "2", "phoenix"));
  raw.close();
});

test("join: the two refs may differ, and come back as they were; what follows the fifth element is ignored", SLOW, async () => {
  for (const [joinRef, ref] of [["3", "3"], ["1", "0"], ["žluť", "\u{1F642}"], ["x".repeat(32), "\"\\/"]]) {
    const raw = await Raw.open(server);
    assert.equal(await raw.says([joinRef, ref, "echo:1", "phx_join", { last: 10 }, 6, "seven"]), OK(joinRef, ref, "echo:1"));
    assert.equal(await raw.says([joinRef, ref, "echo:1", "echo", [1, "é", null]]), OK(joinRef, ref, "echo:1", [1, "é", null]));
    raw.close();
  }
});

test("join with ext=1 is told its connection", SLOW, async () => {
  const raw = await joined("echo:conn", "1", "vsn=2.0.0&ext=1");
  const { $conn, ...rest } = JSON.parse(raw.join)[4].response;
  assert.equal(typeof $conn, "string");
  assert.equal($conn.length, 26);
  assert.deepEqual(rest, {});
  assert.equal((await server.members("echo:conn"))[0].conn, $conn);
  raw.close();
});

test("a history: numbers and positions for those who asked for them, five elements for the others", SLOW, async () => {
  const topic = "log:wire", raw = await joined(topic, "1", "vsn=2.0.0&ext=1&token=secret-ext"), stock = await joined(topic);
  const { $conn, $pos: { e }, ...rest } = JSON.parse(raw.join)[4].response;
  assert.equal(raw.join, OK("1", "1", topic, { $conn, $pos: { e, o: 0 } }));
  assert.deepEqual([typeof e, rest], ["string", {}]);
  assert.equal(stock.join, OK("1", "1", topic));
  await server.broadcast(topic, "said", { n: 1 });
  await server.broadcast(topic, "said", { n: 2 }, { except_user: "ext" });
  await server.broadcast(topic, "be", Uint8Array.of(1, 255));
  await server.broadcast(topic, "said", { n: 3 }, { class: "volatile" });
  const binary = [...bytes([3, topic.length, 2, 0, 0, 0, 0, 0, 0, 0, 3], topic, "be", [1, 255])];
  const numbered = [`[null,null,"${topic}","said",{"n":1},1]`, `[null,null,"${topic}","$pos",{},2]`, binary];
  for (const frame of [...numbered, `[null,null,"${topic}","said",{"n":3}]`]) assert.deepEqual(await raw.next(), frame);
  assert.equal(await stock.next(), `[null,null,"${topic}","said",{"n":1}]`);
  assert.equal(await stock.next(), `[null,null,"${topic}","said",{"n":2}]`);
  assert.deepEqual(await stock.next(), [...bytes([2, topic.length, 2], topic, "be", [1, 255])]);
  assert.equal(await stock.next(), `[null,null,"${topic}","said",{"n":3}]`);
  assert.ok(await raw.silence());
  assert.ok(await stock.silence());
  assert.deepEqual((await server.state()).topics.find(({ name }) => name === topic).position, { e, o: 3 });
  // Back, with what was said, and with what never was.
  const again = await Raw.open(server, "vsn=2.0.0&ext=1&token=secret-ext");
  const since = (o, epoch = e) => ({ $since: { e: epoch, o, c: $conn } });
  const [reply, ...missed] = await again.says(["1", "1", topic, "phx_join", since(0)], 4);
  const conn = JSON.parse(reply)[4].response.$conn;
  assert.equal(reply, OK("1", "1", topic, { $conn: conn, $pos: { e, o: 0 }, $recovered: true }));
  assert.deepEqual(missed, numbered);
  for (const [n, params] of [since(4), since(0, "other"), { $since: "x" }].entries()) {
    const [close, lost] = await again.says([`${n + 2}`, `${n + 2}`, topic, "phx_join", params], 2);
    assert.equal(close, CLOSE(`${n + 1}`, topic));
    assert.equal(lost, OK(`${n + 2}`, `${n + 2}`, topic, { $conn: conn, $pos: { e, o: 3 }, $recovered: false }));
  }
  assert.ok(await again.silence());
  for (const each of [raw, stock, again]) each.close();
});

test("the latest come to who joins first", SLOW, async () => {
  const topic = "recent:wire", first = await joined(topic);
  for (let n = 1; n <= 5; n++) await server.broadcast(topic, "said", n);
  const stock = await joined(topic), raw = await joined(topic, "1", "vsn=2.0.0&ext=1");
  assert.equal(stock.join, OK("1", "1", topic));
  assert.equal(JSON.parse(raw.join)[4].response.$pos.o, 2);
  for (const n of [3, 4, 5]) {
    assert.equal(await stock.next(), `[null,null,"${topic}","said",${n}]`);
    assert.equal(await raw.next(), `[null,null,"${topic}","said",${n},${n}]`);
  }
  assert.ok(await stock.silence());
  for (const each of [first, stock, raw]) each.close();
});

test("join refused: to be tried again, and for good", SLOW, async () => {
  const raw = await Raw.open(server);
  const [, , , , later] = JSON.parse(await raw.says(["1", "1", "later:1", "phx_join", {}]));
  assert.equal(later.status, "error");
  assert.equal(typeof later.response.reason, "string");
  assert.ok(await raw.silence());
  for (const [topic, reason] of [["closed:1", "unauthorized"], ["nowhere", "unmatched topic"], ["echo:1:2", "unmatched topic"]]) {
    assert.deepEqual(await raw.says(["2", "3", topic, "phx_join", {}], 2), [ERROR("2", "3", topic, reason), CLOSE("2", topic)]);
  }
  assert.deepEqual((await server.state()).topics.filter(({ name }) => /later|closed|nowhere/.test(name)), []);
  raw.close();
});

test("push: answered, refused, unknown, without an answer, without a join_ref", SLOW, async () => {
  const raw = await joined("echo:1");
  assert.equal(await raw.says(["1", "5", "echo:1", "echo", { t: "hi" }]), OK("1", "5", "echo:1", { t: "hi" }));
  assert.equal(await raw.says(["1", "6", "echo:1", "fail", {}]), ERROR("1", "6", "echo:1", "no"));
  assert.equal(await raw.says(["1", "7", "echo:1", "nothing", {}]), ERROR("1", "7", "echo:1", "unknown event"));
  raw.send(["1", null, "echo:1", "echo", {}]);
  assert.ok(await raw.silence());
  assert.equal(await raw.says([null, "8", "echo:1", "echo", 1]), OK("1", "8", "echo:1", 1));
  raw.close();
});

test("what is not for this session: stale is ignored, elsewhere is unmatched, reserved is refused", SLOW, async () => {
  const raw = await joined("echo:1", "4");
  raw.send(["3", "5", "echo:1", "echo", {}]);
  raw.send(["3", "6", "echo:1", "phx_leave", {}]);
  assert.ok(await raw.silence());
  assert.equal(await raw.says([null, "9", "echo:2", "echo", {}]), ERROR(null, "9", "echo:2", "unmatched topic"));
  raw.send([null, null, "echo:2", "echo", {}]);
  assert.ok(await raw.silence());
  for (const event of ["phx_reply", "phx_close", "phx_error", "phx_other", "$dom", "$other", "presence_state", "presence_diff"]) {
    assert.equal(await raw.says(["4", "10", "echo:1", event, {}]), ERROR("4", "10", "echo:1", "reserved event"), event);
  }
  raw.close();
});

test("broadcast: the same bytes for all, and only to members", SLOW, async () => {
  const raws = [await joined("relay:1", "1"), await joined("relay:1", "é")], other = await joined("relay:2");
  assert.deepEqual(await server.broadcast("relay:1", "said", { t: "hi é" }), { local: 2 });
  for (const raw of raws) assert.equal(await raw.next(), '[null,null,"relay:1","said",{"t":"hi é"}]');
  assert.ok(await other.silence());
  assert.deepEqual(await server.broadcast("relay:3", "said", {}), { local: 0 });
  for (const raw of [...raws, other]) raw.close();
});

test("relay: to the others, and not to the one who pushed", SLOW, async () => {
  const [a, b] = [await joined("relay:1", "1"), await joined("relay:1", "2")];
  const [, ref, , event, { status }] = JSON.parse(await a.says(["1", "7", "relay:1", "say", [1]]));
  assert.deepEqual([ref, event, status], ["7", "phx_reply", "ok"]);
  assert.equal(await b.next(), '[null,null,"relay:1","say",[1]]');
  assert.ok(await a.silence());
  a.close();
  b.close();
});

test("broadcast but for one user", SLOW, async () => {
  const query = (user) => `vsn=2.0.0&token=secret-${user}`;
  const [a, b] = [await joined("relay:1", "1", query("anna")), await joined("relay:1", "1", query("bob"))];
  await server.broadcast("relay:1", "said", 1, { except_user: "anna" });
  assert.equal(await b.next(), '[null,null,"relay:1","said",1]');
  assert.ok(await a.silence());
  a.close();
  b.close();
});

test("ask, and the answers: once, from the session that was asked", SLOW, async () => {
  const raw = await joined("echo:1", "3", "vsn=2.0.0&token=secret-asked"), other = await joined("echo:1", "3");
  const conn = await server.conn("asked");
  const ask = (within = 20000) => server.asks("POST", "/ask", { conn, topic: "echo:1", event: "pick", within }, '{"of":[1,2]}');
  async function question() {
    const [joinRef, ref, topic, event, payload] = JSON.parse(await raw.next());
    assert.deepEqual([joinRef, topic, event, payload], ["3", "echo:1", "pick", { of: [1, 2] }]);
    assert.match(ref, /^s/);
    return ref;
  }
  let asked = ask(), ref = await question();
  other.send(["3", null, "echo:1", "$reply", { ref, status: "ok", response: "not mine" }]);
  assert.ok(await other.silence());
  raw.send(["3", null, "echo:1", "$reply", { ref: "s999999", status: "ok", response: 1 }]);
  raw.send(["2", null, "echo:1", "$reply", { ref, status: "ok", response: "stale" }]);
  raw.send(["3", null, "echo:1", "$reply", { ref, status: "ok", response: 2 }]);
  raw.send(["3", null, "echo:1", "$reply", { ref, status: "ok", response: 3 }]);
  assert.deepEqual(await asked, [200, 2]);
  assert.ok(await raw.silence());

  asked = ask();
  ref = await question();
  assert.equal(await raw.says(["3", "9", "echo:1", "$reply", { ref, status: "ok", response: { a: null } }]), OK("3", "9", "echo:1"));
  assert.deepEqual(await asked, [200, { a: null }]);

  asked = ask();
  ref = await question();
  raw.send(["3", null, "echo:1", "$reply", { ref, status: "error", response: { reason: "no" } }]);
  assert.equal((await asked)[0], 502);

  asked = ask(50);
  ref = await question();
  assert.equal((await asked)[0], 504);
  raw.send(["3", null, "echo:1", "$reply", { ref, status: "ok", response: "late" }]);
  assert.ok(await raw.silence());

  asked = ask();
  await question();
  await raw.says(["3", "10", "echo:1", "phx_leave", {}], 2);
  assert.equal((await asked)[0], 410);
  assert.equal((await ask())[0], 410);
  raw.close();
  other.close();
});

test("leave: a member, nobody's, and at once with a join", SLOW, async () => {
  const raw = await joined("echo:leave", "3");
  assert.deepEqual(await raw.says(["3", "6", "echo:leave", "phx_leave", {}], 2), [OK("3", "6", "echo:leave"), CLOSE("3", "echo:leave")]);
  assert.equal(await raw.says(["3", "7", "echo:leave", "phx_leave", {}]), OK("3", "7", "echo:leave"));
  raw.send(["8", "8", "echo:leave", "phx_join", {}]);
  assert.equal(await raw.next(), OK("8", "8", "echo:leave"));
  raw.send(["8", "9", "echo:leave", "phx_leave", {}]);
  raw.send(["10", "10", "echo:leave", "phx_join", {}]);
  raw.send(["10", "11", "echo:leave", "echo", 1]);
  assert.deepEqual([await raw.next(), await raw.next(), await raw.next(), await raw.next()], [
    OK("8", "9", "echo:leave"), CLOSE("8", "echo:leave"), OK("10", "10", "echo:leave"), OK("10", "11", "echo:leave", 1),
  ]);
  assert.equal((await server.members("echo:leave")).length, 1);
  raw.close();
});

test("a join of what is joined ends the old session, then answers", SLOW, async () => {
  const raw = await joined("echo:1", "3");
  assert.deepEqual(await raw.says(["4", "4", "echo:1", "phx_join", {}], 2), [CLOSE("3", "echo:1"), OK("4", "4", "echo:1")]);
  raw.send(["3", "5", "echo:1", "echo", {}]);
  assert.equal(await raw.says(["4", "6", "echo:1", "echo", 1]), OK("4", "6", "echo:1", 1));
  raw.close();
});

test("quit ends the session, crash breaks it, and neither the others", SLOW, async () => {
  const raw = await joined("echo:1", "3");
  await raw.says(["4", "4", "echo:2", "phx_join", {}]);
  assert.deepEqual(await raw.says(["3", "5", "echo:1", "quit", {}], 2), [OK("3", "5", "echo:1"), CLOSE("3", "echo:1")]);
  assert.equal(await raw.says(["3", "6", "echo:1", "echo", {}]), ERROR(null, "6", "echo:1", "unmatched topic"));
  await raw.says(["7", "7", "echo:1", "phx_join", {}]);
  raw.send(["7", "8", "echo:1", "crash", {}]);
  let frame = await raw.next();
  if (frame.includes("phx_reply")) frame = await raw.next();
  assert.equal(frame, '["7","7","echo:1","phx_error",{"reason":"channel_crash"}]');
  assert.equal(await raw.says(["4", "9", "echo:2", "echo", 1]), OK("4", "9", "echo:2", 1));
  assert.equal(await raw.says(["10", "10", "echo:1", "phx_join", {}]), OK("10", "10", "echo:1"));
  raw.close();
});

test("handlers of one topic run in order, of two at the same time; a heartbeat passes them by", SLOW, async () => {
  const raw = await joined("echo:1", "3");
  await raw.says(["4", "4", "echo:2", "phx_join", {}]);
  raw.send(["3", "5", "echo:1", "slow", {}]);
  raw.send(["3", "6", "echo:1", "echo", 1]);
  assert.equal(await raw.says(["4", "7", "echo:2", "echo", 2]), OK("4", "7", "echo:2", 2));
  assert.ok(await raw.silence());
  assert.deepEqual([await raw.next(), await raw.next()], [OK("3", "5", "echo:1"), OK("3", "6", "echo:1", 1)]);
  raw.close();
});

test("bytes: pushed, answered, relayed and broadcast as in the vectors", SLOW, async () => {
  const raw = await joined("echo:é", "5");
  assert.deepEqual(await raw.says(bytes([0, 1, 1, 7, 4], "5", "6", "echo:é", "echo", [1, 2, 255])), [...bytes([1, 1, 1, 7, 2], "5", "6", "echo:é", "ok", [1, 2, 255])]);
  assert.equal(await raw.says(bytes([0, 1, 1, 7, 4], "5", "6", "echo:é", "fail")), ERROR("5", "6", "echo:é", "no"));
  assert.deepEqual(await raw.says(bytes([0, 0, 1, 7, 4], "6", "echo:é", "echo")), [...bytes([1, 1, 1, 7, 2], "5", "6", "echo:é", "ok")]);
  raw.send(bytes([0, 1, 0, 7, 4], "5", "echo:é", "echo", [1]));
  assert.ok(await raw.silence());
  const [a, b] = [await joined("relay:1", "1"), await joined("relay:1", "2")];
  a.send(bytes([0, 1, 0, 7, 2], "1", "relay:1", "be", [0, 255]));
  assert.deepEqual(await b.next(), [...bytes([2, 7, 2], "relay:1", "be", [0, 255])]);
  await server.broadcast("relay:1", "be", Uint8Array.of(1, 2));
  for (const member of [a, b]) assert.deepEqual(await member.next(), [...bytes([2, 7, 2], "relay:1", "be", [1, 2])]);
  for (const member of [raw, a, b]) member.close();
});

test("topics of a connection are bounded", SLOW, async () => {
  const raw = await Raw.open(server);
  for (let i = 0; i < 100; i++) assert.equal(await raw.says([`${i}`, `${i}`, `echo:${i}`, "phx_join", {}]), OK(`${i}`, `${i}`, `echo:${i}`));
  assert.deepEqual(await raw.says(["x", "x", "echo:100", "phx_join", {}], 2), [ERROR("x", "x", "echo:100", "too many channels joined"), CLOSE("x", "echo:100")]);
  await raw.says(["0", "y", "echo:0", "phx_leave", {}], 2);
  assert.equal(await raw.says(["z", "z", "echo:100", "phx_join", {}]), OK("z", "z", "echo:100"));
  raw.close();
});

const long = (length) => "x".repeat(length);
const nested = (depth) => `["1","2","echo:1","echo",${"[".repeat(depth)}${"]".repeat(depth)}]`;
for (const [name, frame, end] of [
  ["no JSON", "{", "frame"],
  ["no array", '{"a":1}', "frame"],
  ["four elements", [null, "1", "a", "b"], "frame"],
  ["a number for a ref", [null, 1, "a", "b", {}], "frame"],
  ["a number for a join_ref", [1, "1", "a", "b", {}], "frame"],
  ["no topic", [null, "1", null, "b", {}], "frame"],
  ["a number for an event", [null, "1", "a", 2, {}], "frame"],
  ["something behind it", '[null,"1","phoenix","heartbeat",{}] x', "frame"],
  ["nesting over 64", nested(70), "frame"],
  ["an empty topic", [null, "1", "", "b", {}], "topic"],
  ["a long topic", [null, "1", long(256), "b", {}], "topic"],
  ["an empty event", [null, "1", "a", "", {}], "event"],
  ["a long event", [null, "1", "a", long(65), {}], "event"],
  ["a long ref", [null, long(33), "a", "b", {}], "ref"],
  ["a long join_ref", [long(33), "1", "a", "b", {}], "ref"],
  ["an unknown kind of bytes", bytes([1, 0, 0, 1, 1], "ab"), "frame"],
  ["no bytes", bytes(), "frame"],
  ["bytes that are too short", bytes([0, 1, 1, 7, 2], "1"), "frame"],
  ["bytes whose topic is no UTF-8", bytes([0, 0, 0, 1, 1], [255], "b"), null],
]) {
  test(`bad input: ${name}`, SLOW, async () => {
    const raw = await Raw.open(server);
    raw.send(frame);
    const [code, reason] = await raw.closed;
    assert.equal(code, 1008);
    if (end) assert.equal(reason, end);
  });
}

test("at the limits nothing is bad", SLOW, async () => {
  const raw = await Raw.open(server);
  assert.equal(await raw.says([null, "1", long(255), "b", {}]), ERROR(null, "1", long(255), "unmatched topic"));
  assert.equal(await raw.says([null, long(32), "a", long(64), {}]), ERROR(null, long(32), "a", "unmatched topic"));
  for (const topic of ["a\u0007", "$a", "echo:\u0000"]) {
    assert.deepEqual(JSON.parse(await raw.says([null, "1", topic, "b", {}])), JSON.parse(ERROR(null, "1", topic, "unmatched topic")));
  }
  await raw.says(["1", "1", "echo:1", "phx_join", {}]);
  assert.match(await raw.says(nested(60)), /"status":"ok"/);
  const head = JSON.stringify(["1", "2", "echo:1", "echo", ""]).length;
  assert.match(await raw.says(["1", "2", "echo:1", "echo", long(65536 - head)]), /"status":"ok"/);
  raw.close();
});

for (const [name, code, breaks] of [
  ["a frame over 64 KiB", 1009, (raw) => raw.send(["1", "2", "echo:1", "echo", long(65536)])],
  ["an unknown opcode", 1002, (raw) => raw.write(0x83, 0x80, 0, 0, 0, 0)],
  ["a frame that is not masked", 1002, (raw) => raw.write(0x81, 0x01, 0x41)],
  ["text that is no UTF-8", 1007, (raw) => raw.write(0x81, 0x81, 0, 0, 0, 0, 0xff)],
]) {
  test(`${name}: Close ${code}`, SLOW, async () => {
    const raw = await joined("echo:1");
    breaks(raw);
    assert.equal((await raw.closed)[0], code);
  });
}

test("a Close is answered with its code", SLOW, async () => {
  for (const [code, answer] of [[1000, 1000], [4000, 4000], [undefined, 1005]]) {
    const raw = await joined("echo:1");
    raw.ws.close(code);
    assert.equal((await raw.closed)[0], answer);
  }
});

// The client against a server with history that is cut, restarted and refuses at random: what holds, whatever happens.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Page, settled } from "./fake.js";

const RUNS = 150, STEPS = 120, RING = 8;

/** Numbers that are the same in each run. */
function random(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** One topic with history, as section by section of the protocol: what a connection is sent for what it sends. */
class Topic {
  epoch = 1;
  entries = []; // offsets that are still in the ring, with whether the page is to have them
  offset = 0;
  hidden = new Set(); // the positions that the page is not to have
  pushed = [];

  constructor(page, chance) {
    Object.assign(this, { page, chance, ws: null, joinRef: null });
  }

  /** Looks at what came. */
  serve() {
    if (this.ws !== this.page.server) [this.ws, this.joinRef] = [this.page.server, null];
    if (this.ws?.state !== "open") return;
    for (const frame of this.ws.taken()) {
      const [joinRef, ref, topic, event, payload] = frame;
      if (topic === "phoenix") this.ws.replies(frame);
      else if (event === "phx_join" && this.chance(5) === 0) this.ws.replies(frame, { reason: "busy" }, "error");
      else if (event === "phx_join") this.join(joinRef, frame, payload.$since);
      else if (joinRef !== this.joinRef) continue;
      else {
        this.pushed.push(payload.id);
        if (this.chance(4)) this.ws.says(joinRef, ref, topic, "phx_reply", this.chance(2) ? { status: "ok", response: payload } : { status: "error", response: { reason: "no" } });
      }
    }
  }

  join(joinRef, frame, since) {
    const kept = this.entries[0]?.o ?? this.offset + 1;
    const recovered = since?.e === `e${this.epoch}` && since.o >= kept - 1;
    const from = recovered ? since.o : this.offset;
    this.joinRef = joinRef;
    this.ws.replies(frame, { $conn: `c${joinRef}`, $pos: { e: `e${this.epoch}`, o: from }, ...(since && { $recovered: recovered }) });
    for (const entry of this.entries.filter(({ o }) => o > from)) this.tell(entry);
  }

  broadcast() {
    const entry = { o: ++this.offset, visible: this.chance(4) > 0 };
    if (!entry.visible) this.hidden.add(`${this.epoch}/${entry.o}`);
    this.entries = [...this.entries, entry].slice(-RING);
    if (this.joinRef && this.ws.state === "open") this.tell(entry);
  }

  tell({ o, visible }) {
    this.ws.says(null, null, "a", visible ? "said" : "$pos", visible ? { e: this.epoch, o } : {}, o);
  }

  /** Some are lost on the way, and it says so; or it begins anew. */
  loses() {
    if (this.chance(2)) {
      this.epoch++;
      [this.offset, this.entries] = [this.chance(5), []];
    } else {
      this.offset += 1 + this.chance(5);
      this.entries = [];
    }
    if (this.joinRef && this.ws.state === "open") this.ws.says(this.joinRef, null, "a", "$gap", { e: `e${this.epoch}`, o: this.offset });
  }
}

test("nothing is seen twice, nothing is missed in silence, and each push ends once", { timeout: 100000 }, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const chance = random(seed), page = new Page({ timeout: 3000, buffer: 5 });
    try {
      await run(chance, page);
    } catch (e) {
      e.message = `seed ${seed}: ${e.message}`;
      throw e;
    } finally {
      page.end();
    }
    assert.equal(page.clock.timers, 0);
  }
});

async function run(chance, page) {
  const topic = new Topic(page, chance), channel = page.socket.channel("a");
  const ends = new Map(), seen = [];
  channel.on("said", ({ e, o }) => seen.push({ e, o }));
  channel.on("$gap", (gap) => seen.push(gap));
  channel.join().catch(() => {});
  let pushes = 0;
  const steps = [
    () => topic.broadcast(),
    () => topic.broadcast(),
    () => topic.broadcast(),
    () => topic.serve(),
    () => topic.serve(),
    () => page.server?.state === "connecting" && page.server.opens(),
    () => page.server?.state === "connecting" && page.server.opens(),
    () => page.server && page.server.state !== "closed" && page.server.ends([1001, 1006, 1012, 4008][chance(4)]),
    () => chance(3) || topic.loses(),
    () => page.happens(["online", "pageshow"][chance(2)]),
    () => page.happens("pagehide", { persisted: true }),
    () => page.clock.pass(chance(4000)),
    () => page.clock.pass(chance(400)),
    () => page.hide(chance(3) === 0),
    () => {
      const id = ++pushes;
      ends.set(id, []);
      const end = (how) => ends.get(id).push(how);
      channel.push("x", { id }).then(() => end("ok"), (e) => end(e.reason));
    },
  ];
  for (let step = 0; step < STEPS; step++) {
    await steps[chance(steps.length)]();
    await settled();
  }
  // In the end all goes well: it is there, and has all.
  page.hide(false);
  for (let i = 0; i < 60 && channel.state !== "joined"; i++) {
    if (page.server?.state === "connecting") page.server.opens();
    topic.serve();
    await page.clock.pass(1000);
  }
  assert.equal(channel.state, "joined");
  topic.broadcast();
  complete(seen, topic);
  await page.clock.pass(3000);
  for (const [id, how] of ends) {
    assert.equal(how.length, 1, `push ${id}: ${how}`);
    assert.ok(["ok", "no", "timeout", "disconnected", "buffer full"].includes(how[0]), how[0]);
    if (["ok", "no"].includes(how[0])) assert.ok(topic.pushed.includes(id));
    if (how[0] === "buffer full") assert.ok(!topic.pushed.includes(id));
  }
  assert.equal(new Set(topic.pushed).size, topic.pushed.length);
  assert.equal(page.socket._asked.size, 0);
}

/** Between two messages there are only such as the page is not to have, or a gap that has all others. */
function complete(seen, { epoch, offset, hidden }) {
  let at = null; // up to where it is known what became of each: null before the first message
  const nothing = (e, from, to) => {
    for (let o = from; o <= to; o++) assert.ok(hidden.has(`${e}/${o}`), `${e}/${o} is missing`);
  };
  for (const { e, o, from, to } of seen) {
    if (e === undefined) {
      if (from !== null && at) {
        assert.ok(from > at.o, `a gap from ${from} after ${at.o}`);
        if (at.e) nothing(at.e, at.o + 1, from - 1);
      }
      // Of a new epoch the name is seen with the first message.
      at = { e: from === null ? undefined : at?.e, o: to };
      continue;
    }
    assert.ok(!at || ((at.e ?? e) === e && o > at.o), `${e}/${o} after ${at?.e}/${at?.o}`);
    if (at) nothing(e, at.o + 1, o - 1);
    at = { e, o };
  }
  if (at) nothing(at.e ?? epoch, at.o + 1, offset);
}

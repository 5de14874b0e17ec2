// A page without a browser: its clock, its events, and a WebSocket whose other end is the test.

import { Socket } from "../channels.js";

/** The time, which passes when a test says so. */
export class Clock {
  now = 0;
  #timers = new Map();
  #next = 0;
  #real = { setTimeout, clearTimeout };

  constructor() {
    globalThis.setTimeout = (f, after = 0) => {
      this.#timers.set(++this.#next, { f, at: this.now + Math.max(0, after) });
      return this.#next;
    };
    globalThis.clearTimeout = (id) => void this.#timers.delete(id);
  }

  /** Lets time pass, and what is due happen, in order. */
  async pass(milliseconds) {
    const end = this.now + milliseconds;
    for (await settled(); ; await settled()) {
      const [due] = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!due) break;
      this.#timers.delete(due[0]);
      this.now = Math.max(this.now, due[1].at);
      due[1].f();
    }
    this.now = end;
  }

  /** How many timers are set. */
  get timers() {
    return this.#timers.size;
  }

  restore() {
    Object.assign(globalThis, this.#real);
  }
}

/** What was promised happens. */
export function settled() {
  return new Promise(setImmediate);
}

/** A page with one socket. */
export class Page extends EventTarget {
  /** Every WebSocket that was made, the newest last. */
  dialled = [];
  /** What the socket told: `[type, event]`. */
  told = [];
  hidden = false;
  random = 0.5;
  #before = { random: Math.random, location: globalThis.location, document: globalThis.document };

  constructor(options) {
    super();
    const page = this;
    this.clock = new Clock();
    Math.random = () => this.random;
    globalThis.location = { href: "https://example.com/news/today?q" };
    globalThis.addEventListener = (...listener) => this.addEventListener(...listener);
    globalThis.document = { addEventListener: globalThis.addEventListener, get hidden() { return page.hidden; } };
    this.options = {
      WebSocket: class extends FakeWebSocket {
        constructor(...request) {
          super(...request);
          page.dialled.push(this);
        }
      },
      ...options,
    };
    this.socket = new Socket("/socket", this.options);
    for (const type of ["open", "close", "error"]) this.socket.on(type, (event) => this.told.push([type, event]));
  }

  /** The other end of the newest connection. */
  get server() {
    return this.dialled.at(-1);
  }

  /** Something happens in the browser. */
  happens(type, fields = {}) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }

  hide(hidden) {
    this.hidden = hidden;
    this.happens("visibilitychange");
  }

  /** The server takes the newest dial. Returns what it is sent then. */
  async opens() {
    await settled();
    this.server.opens();
    await settled();
    return this.server.taken();
  }

  /** The server takes the newest dial, and the join of `topic` that comes. */
  async opensAndJoins(topic, response = {}) {
    const frames = await this.opens();
    this.server.joins(frames, topic, response);
    return frames;
  }

  /** Joins a channel of a server that is reached by that, if it was not. */
  async joined(topic, response = {}, params = undefined) {
    const channel = this.socket.channel(topic, params);
    channel.join();
    const frames = this.socket.state === "open" ? this.server.taken() : await this.opens();
    this.server.joins(frames, topic, response);
    await settled();
    return channel;
  }

  end() {
    this.socket.disconnect();
    this.clock.restore();
    Math.random = this.#before.random;
    delete globalThis.addEventListener;
    for (const name of ["location", "document"]) {
      if (this.#before[name] === undefined) delete globalThis[name];
      else globalThis[name] = this.#before[name];
    }
  }
}

class FakeWebSocket {
  state = "connecting";
  closed = null;
  #sent = [];

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
  }

  send(data) {
    if (this.state !== "open") throw new Error(`sent while ${this.state}`);
    this.#sent.push(typeof data === "string" ? JSON.parse(data) : data);
  }

  close(code, reason) {
    if (this.state === "closed") return;
    this.state = "closing";
    this.closed ??= [code, reason];
  }

  /** What was sent since the last look. */
  taken() {
    return this.#sent.splice(0);
  }

  opens() {
    this.state = "open";
    this.onopen({});
  }

  says(...frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }

  saysRaw(data) {
    this.onmessage({ data: data instanceof Uint8Array ? data.slice().buffer : data });
  }

  /** Answers the join of `topic` that is among `frames`. */
  joins(frames, topic, response = {}) {
    const [joinRef, ref] = frames.find(([, , to, event]) => to === topic && event === "phx_join");
    this.says(joinRef, ref, topic, "phx_reply", { status: "ok", response });
    return joinRef;
  }

  replies([joinRef, ref, topic], response = {}, status = "ok") {
    this.says(joinRef, ref, topic, "phx_reply", { status, response });
  }

  /** The connection ends as the browser tells it. */
  ends(code, reason = "") {
    this.state = "closed";
    this.onclose({ code, reason, wasClean: code !== 1006 });
  }

  fails() {
    this.state = "closed";
    this.onerror({ type: "error" });
    this.onclose({ code: 1006, reason: "", wasClean: false });
  }
}

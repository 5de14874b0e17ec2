// The page's side of sansocket-channels: see channels.d.ts.

export class ChannelError extends Error {
  constructor(reason, response, final = false) {
    super(reason);
    Object.assign(this, { name: "ChannelError", reason, response, final });
  }
}

class Emitter {
  _handlers = new Map();

  on(type, f) {
    const handler = (...values) => f(...values), handlers = this._handlers.get(type) ?? new Set();
    this._handlers.set(type, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  _emit(type, ...values) {
    return [...(this._handlers.get(type) ?? [])].map(async (f) => f(...values));
  }
}

export class Socket extends Emitter {
  state = "idle";
  _channels = new Map();
  _asked = new Map(); // by ref: what waits
  _refs = 0;
  _tries = 0;

  constructor(url, options) {
    super();
    this._options = {
      heartbeat: 25000,
      timeout: 10000,
      buffer: 256,
      backoff,
      WebSocket: globalThis.WebSocket,
      encode: JSON.stringify,
      decode: JSON.parse,
      ...options,
    };
    this._url = new URL(url, globalThis.location?.href);
    this._url.protocol = this._url.protocol.replace("http", "ws");
    this._url.pathname = this._url.pathname.replace(/\/?$/, "/websocket");
  }

  channel(topic, params) {
    const channel = this._channels.get(topic) ?? new Channel(this, topic);
    this._channels.set(topic, channel);
    channel._params = params ?? channel._params;
    return channel;
  }

  connect() {
    if (this.state === "idle" || this.state === "closed") {
      this._tries = 0;
      this._listen();
    }
    if (!this._ws) this._dial();
    return this;
  }

  disconnect() {
    this._away?.abort();
    clearTimeout(this._timer);
    if (this._ws) this._close(1000, "", "closed");
    else this.state = "closed";
  }

  _listen() {
    this._away?.abort();
    const { signal } = (this._away = new AbortController());
    const listen = (type, f, target = globalThis) => target.addEventListener?.(type, f, { signal });
    const wake = () => {
      if (hidden()) return;
      if (this.state === "waiting") this._dial();
      else if (this.state === "open") this._beat();
    };
    for (const type of ["online", "pageshow", "visibilitychange"]) listen(type, wake);
    listen("resume", wake, globalThis.document ?? {}); // not always with the one before
    // The back/forward cache would keep the socket.
    listen("pagehide", ({ persisted }) => {
      if (persisted) clearTimeout(this._timer);
      if (persisted && this._ws) this._close(1000, "", "waiting");
    });
  }

  async _dial() {
    const { token, params, timeout, WebSocket } = this._options;
    const before = (this._ws = { close() {} }); // there is no socket yet
    this.state = "connecting";
    clearTimeout(this._timer);
    // Firefox may wait for 15 s before it dials.
    this._timer = setTimeout(() => this._close(1000, "timeout"), 3 * timeout);
    try {
      const secret = await value(token), url = new URL(this._url);
      for (const [name, v] of Object.entries({ vsn: "2.0.0", ext: 1, ...value(params) })) url.searchParams.set(name, v);
      if (this._ws !== before) return;
      const ws = new WebSocket(url.href, secret ? ["phoenix", "base64url.bearer.phx." + base64url(secret)] : []);
      const mine = (f) => (e) => this._ws === ws && f(e);
      this._ws = ws;
      ws.binaryType = "arraybuffer";
      ws.onopen = mine(() => this._opened());
      ws.onmessage = mine(({ data }) => this._read(data));
      ws.onclose = mine(({ code, reason }) => this._down(code, reason));
      ws.onerror = mine((e) => {
        this._emit("error", e);
        if (this.state === "connecting") this._down(1006, ""); // Node 20 says no `close` then
      });
    } catch (e) {
      this._emit("error", e);
      if (this._ws === before) this._down(1006, "");
    }
  }

  _opened() {
    this.state = "open";
    clearTimeout(this._timer);
    for (const channel of this._channels.values()) channel._rejoin();
    if (this.state !== "open") return;
    this._beat();
    this._emit("open", {});
  }

  // A page that wakes may run its timers before it sees what came.
  _beat() {
    const { heartbeat, timeout } = this._options, asked = this._deadline, lax = hidden();
    clearTimeout(this._pulse);
    this._pulse = setTimeout(() => this._beat(), heartbeat);
    if (!asked) this._send([null, `${++this._refs}`, "phoenix", "heartbeat", {}]);
    if (asked && this._lax === lax) return;
    clearTimeout(asked);
    this._lax = lax;
    this._deadline = setTimeout(() => {
      this._deadline = setTimeout(() => this._close(4000, "heartbeat"), 1000);
    }, lax ? Math.max(timeout, 120000) : timeout);
  }

  _close(code, reason, then) {
    this._ws.close(code, reason);
    this._down(code, reason, then);
  }

  _down(code, reason, then) {
    const final = code >= 3500 && code % 1000 >= 500; // 1001 is not
    const error = new ChannelError(final ? reason || "closed" : "disconnected", { code, reason }, final);
    const state = (this.state = then ?? (final ? "closed" : "waiting"));
    if (state === "closed") this._away.abort();
    [this._timer, this._pulse, this._deadline, this._good].map(clearTimeout);
    this._ws = this._deadline = this._good = null;
    if (!then && !final) {
      const pause = (code === 1011 || code === 1013 ? 1000 : 0) + this._pause(this._tries++);
      const spread = code === 1012 ? Math.random() * 2000 : 0;
      this._timer = setTimeout(() => hidden() || this._dial(), Math.max(pause, spread));
    }
    this._lose(error);
    for (const channel of this._channels.values()) channel._cut(error);
    this._emit("close", { code, reason, final: state === "closed" });
  }

  _pause(tries) {
    try {
      const pause = this._options.backoff(tries);
      if (typeof pause === "number" && pause < 1e9) return pause;
    } catch (e) {
      console.error(e);
    }
    return backoff(tries);
  }

  _read(data) {
    clearTimeout(this._deadline);
    this._deadline = null;
    this._good ??= setTimeout(() => { this._tries = 0; }, 5000);
    try {
      const [joinRef, ref, topic, event, payload, offset] = typeof data === "string" ? this._options.decode(data) : unpack(data);
      if (event !== "phx_reply") return this._channels.get(topic)?._receive(joinRef, ref, event, payload, offset);
      const { status, response } = payload, asked = this._take(ref);
      if (status === "ok") asked?.ok(response);
      else asked?.fail(new ChannelError(response?.reason ?? "error", response));
    } catch (e) {
      this._emit("error", e);
    }
  }

  _send(frame) {
    this._ws.send(isBytes(frame[4]) ? pack(frame) : this._options.encode(frame));
  }

  // Calls `ok` or `fail`, once, before the next frame.
  _ask(channel, event, payload, timeout, ok, fail) {
    const ref = `${++this._refs}`;
    const timer = setTimeout(() => this._take(ref).fail(new ChannelError("timeout")), timeout);
    this._asked.set(ref, { channel, event, payload, timer, ok, fail });
    return ref;
  }

  _transmit(ref, joinRef) {
    const asked = this._asked.get(ref);
    asked.sent = true;
    try {
      this._send([joinRef, ref, asked.channel.topic, asked.event, asked.payload]);
    } catch (e) {
      this._take(ref).fail(e);
    }
  }

  _lose(error, lost) {
    for (const [ref, { channel, sent }] of this._asked) {
      if ((lost ?? channel) === channel && (sent || error.final)) this._take(ref).fail(error);
    }
  }

  _take(ref) {
    const asked = this._asked.get(ref);
    clearTimeout(asked?.timer);
    this._asked.delete(ref);
    return asked;
  }
}

export class Channel extends Emitter {
  state = "closed";
  conn = null;
  _joinRef = null;
  _at = null; // position, with the `conn` that had it

  constructor(socket, topic) {
    super();
    this._socket = socket;
    this.topic = topic;
  }

  join() {
    const socket = this._socket;
    if (this.state === "closed") {
      if (socket.state === "closed") return Promise.reject(new ChannelError("closed", null, true));
      socket.channel(this.topic).leave(); // one that was made since
      socket._channels.set(this.topic, this);
      this.state = "waiting";
      this._tries = 0;
      this._known = false;
      this._promise();
      if (socket.state === "idle") socket.connect();
      this._rejoin();
    }
    return this._joining;
  }

  push(event, payload = {}, { timeout = this._socket._options.timeout } = {}) {
    return new Promise((ok, fail) => {
      const socket = this._socket, joined = this.state === "joined";
      if (this.state === "closed") return fail(new ChannelError("closed"));
      if (!joined && [...socket._asked.values()].filter(({ sent }) => !sent).length >= socket._options.buffer) return fail(new ChannelError("buffer full"));
      const ref = socket._ask(this, event, payload, timeout, ok, fail);
      if (joined) socket._transmit(ref, this._joinRef);
    });
  }

  cast(event, payload = {}) {
    if (this.state === "joined") this._socket._send([this._joinRef, null, this.topic, event, payload]);
  }

  async leave() {
    const socket = this._socket, joinRef = this._joinRef;
    // A join that nobody waits for any more may have been let in.
    const there = joinRef && socket.state === "open";
    if (socket._channels.get(this.topic) === this) socket._channels.delete(this.topic);
    this._end(new ChannelError("left", null, true));
    if (there) await new Promise((done) => socket._transmit(socket._ask(this, "phx_leave", {}, socket._options.timeout, done, done), joinRef));
  }

  _promise() {
    this._joining = new Promise((ok, fail) => Object.assign(this, { _ok: ok, _fail: fail }));
  }

  _rejoin() {
    const socket = this._socket, since = this._at && { ...this._at };
    const is = (state) => this.state === state && socket.state === "open";
    if (!is("waiting")) return;
    try {
      const payload = { ...value(this._params), ...(since && { $since: since }) };
      if (!is("waiting")) return; // it has left
      this.state = "joining";
      this._refused = null;
      const ref = (this._joinRef = socket._ask(this, "phx_join", payload, socket._options.timeout, (r) => this._joined(r ?? {}, since), (e) => is("joining") && this._refuse(e)));
      socket._transmit(ref, ref);
    } catch (e) {
      if (is("waiting")) this._refuse(e);
    }
  }

  _joined({ $conn = null, $pos, $recovered = false, ...response }, since) {
    const socket = this._socket, rejoined = this._known;
    this.state = "joined";
    this.conn = $conn;
    this._at = $pos ? { ...$pos, ...($recovered && since), c: $conn } : null;
    this._known = true;
    this._tries = 0;
    this._ok(response);
    for (const [ref, { channel, sent }] of socket._asked) {
      if (channel === this && !sent) socket._transmit(ref, this._joinRef);
    }
    this._emit("$joined", { recovered: $recovered, rejoined, response });
    if (since && !$recovered && this.state === "joined") this._gap(since, $pos);
  }

  _refuse(error) {
    this._refused = error;
    this._later();
    this._emit("$refused", error);
  }

  _later() {
    this.state = "waiting";
    this._timer = setTimeout(() => this._rejoin(), 1000 + this._socket._pause(this._tries++));
  }

  _cut(error) {
    clearTimeout(this._timer);
    this._socket._lose(error, this);
    if (error.final) return this._end(error);
    if (this.state === "closed") return;
    if (this.state === "joined") {
      this._promise();
      this._joining.catch(() => {});
    }
    this.conn = this._joinRef = null;
    this.state = "waiting";
  }

  _end(error) {
    if (this.state === "closed") return;
    clearTimeout(this._timer);
    this._socket._channels.delete(this.topic);
    this.state = "closed";
    this.conn = this._joinRef = this._at = null;
    this._fail(error);
    this._socket._lose(error, this);
    this._emit("$closed", error);
  }

  _receive(joinRef, ref, event, payload, offset) {
    const at = this._at;
    if (joinRef !== null && joinRef !== this._joinRef) return; // of an earlier join
    if (event === "phx_close") {
      const { reason = "closed", response = payload } = this._refused ?? payload;
      return this._end(new ChannelError(reason, response, true));
    }
    if (this.state !== "joined") return;
    if (event === "phx_error") {
      const error = new ChannelError(payload.reason ?? "error", payload);
      this._cut(error);
      this._later();
      return this._emit("$error", error);
    }
    if (at && offset) {
      if (offset <= at.o) return;
      if (offset > at.o + 1) this._emit("$gap", { from: at.o + 1, to: offset - 1 });
      at.o = offset;
    }
    if (event === "$pos") return;
    if (event === "$gap") {
      this._at = payload.e ? { ...payload, c: this.conn } : null;
      return this._gap(at, payload);
    }
    const answers = this._emit(event, payload, { ref });
    if (ref !== null) this._answer(ref, answers);
  }

  // Offsets of two epochs do not compare.
  _gap(at, to) {
    const from = at && at.e === to?.e ? at.o + 1 : null;
    if (from > to?.o) return this._gap();
    this._emit("$gap", { from, to: to?.o ?? null });
  }

  async _answer(ref, answers) {
    const joinRef = this._joinRef;
    const reply = (status, response) => {
      if (this.state === "joined" && this._joinRef === joinRef) this.cast("$reply", { ref, status, response });
    };
    if (!answers.length) return reply("error", { reason: "no handler" });
    try {
      reply("ok", (await Promise.all(answers)).find((answer) => answer !== undefined) ?? null);
    } catch (e) {
      console.error(e);
      reply("error", { reason: String(e?.message ?? e) });
    }
  }
}

export class Presence extends Emitter {
  _entries = new Map();
  _early = [];

  constructor(channel) {
    super();
    channel.on("$joined", () => { this._early = []; });
    channel.on("presence_state", (joins) => {
      const gone = [...this._entries].map(([key, { metas }]) => [key, { metas: metas.filter((m) => !has(joins[key], m)) }]);
      for (const diff of [{ joins, leaves: Object.fromEntries(gone) }, ...(this._early ?? [])]) this._apply(diff);
      this._early = null;
      this._emit("sync");
    });
    channel.on("presence_diff", (diff) => {
      if (this._early) return this._early.length < 1000 && this._early.push(diff);
      this._apply(diff);
      this._emit("sync");
    });
  }

  list() {
    return Object.fromEntries(this._entries);
  }

  _apply({ joins = {}, leaves = {} }) {
    for (const [key, entry] of Object.entries(joins)) {
      const old = this._entries.get(key), metas = entry.metas.filter((m) => !has(old, m));
      if (!metas.length) continue;
      this._entries.set(key, { ...entry, metas: [...(old?.metas ?? []), ...metas] });
      this._emit("join", key, old, { ...entry, metas });
    }
    for (const [key, entry] of Object.entries(leaves)) {
      const old = this._entries.get(key), metas = entry.metas.filter((m) => has(old, m));
      if (!metas.length) continue;
      const rest = { ...old, metas: old.metas.filter((m) => !has(entry, m)) };
      if (rest.metas.length) this._entries.set(key, rest);
      else this._entries.delete(key);
      this._emit("leave", key, rest, { ...entry, metas });
    }
  }
}

const backoff = (tries) => Math.random() * ([250, 500, 1000, 2000, 5000][tries] ?? 10000);
const hidden = () => globalThis.document?.hidden;
const value = (v) => (typeof v === "function" ? v() : v);
const has = (entry, meta) => entry?.metas?.some((m) => m.phx_ref === meta.phx_ref);
const isBytes = (v) => v instanceof ArrayBuffer || ArrayBuffer.isView(v);
const utf8 = (text) => new TextEncoder().encode(text);
const base64url = (text) =>
  btoa(String.fromCharCode(...utf8(text))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

function pack([joinRef, ref, topic, event, data]) {
  const fields = [joinRef ?? "", ref ?? "", topic, event].map(utf8), lengths = fields.map(({ length }) => length);
  if (Math.max(...lengths) > 255) throw new RangeError("too long");
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  const head = [0, ...lengths, ...fields.flatMap((field) => [...field])], frame = new Uint8Array(head.length + bytes.length);
  frame.set(head);
  frame.set(bytes, head.length);
  return frame;
}

function unpack(buffer) {
  const view = new DataView(buffer), kind = view.getUint8(0), count = [3, 4, 2, 2][kind];
  let end = 1 + count + (kind === 3 && 8);
  const [a, b, c, d] = Array.from({ length: count }, (_, i) => {
    const start = end;
    end += view.getUint8(1 + i);
    return new TextDecoder().decode(buffer.slice(start, end)) || null;
  });
  const data = buffer.slice(end);
  if (kind === 0) return [a, null, b, c, data];
  if (kind === 1) return [a, b, c, "phx_reply", { status: d, response: data }];
  return [null, null, a, b, data, kind === 3 && Number(view.getBigUint64(3))];
}

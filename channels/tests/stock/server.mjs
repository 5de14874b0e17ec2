// The server that the tests talk to, and what they use to talk to it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

export const { WebSocket } = createRequire(import.meta.url)("ws");

/** The example `conformance`. */
export class Server {
  static async start(address = "127.0.0.1:0") {
    const server = new Server();
    server.process = spawn(process.env.CONFORMANCE, ["--addr", address], { stdio: ["ignore", "pipe", process.env.SHOW ? "inherit" : "ignore"] });
    const [line] = await once(createInterface(server.process.stdout), "line");
    server.address = /^listening on http:\/\/(.*)$/.exec(line)[1];
    return server;
  }

  get endPoint() {
    return `ws://${this.address}/socket`;
  }

  async stop() {
    if (this.process.exitCode !== null) return;
    const ended = once(this.process, "exit");
    this.process.kill("SIGINT");
    const late = setTimeout(() => this.process.kill("SIGKILL"), 15000);
    await ended;
    clearTimeout(late);
  }

  /** Asks by HTTP: the status, and the body, of JSON if it is. */
  async asks(method, path, query = {}, body = "", type = "application/json") {
    const url = `http://${this.address}${path}?${new URLSearchParams(query)}`;
    const response = await fetch(url, { method, ...(method === "POST" && { body, headers: { "content-type": type } }) });
    const text = await response.text();
    return [response.status, /json/.test(response.headers.get("content-type")) ? JSON.parse(text) : text];
  }

  async broadcast(topic, event, payload, more = {}) {
    const bytes = payload instanceof Uint8Array;
    return (await this.asks("POST", "/broadcast", { topic, event, ...more }, bytes ? payload : JSON.stringify(payload), bytes ? "application/octet-stream" : undefined))[1];
  }

  async state() {
    return (await this.asks("GET", "/state"))[1];
  }

  async present(topic) {
    return (await this.state()).presence[topic] ?? {};
  }

  async members(topic) {
    return (await this.state()).topics.find(({ name }) => name === topic)?.members ?? [];
  }

  /** The id of a user's only connection. */
  async conn(user) {
    return (await this.state()).connections.find((conn) => conn.user === user)?.id;
  }

  kick(user) {
    return this.asks("POST", "/kick", { user });
  }

  /** The HTTP status of an answer to this handshake. */
  handshake(path, headers = {}) {
    const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": 13, "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==" };
    return new Promise((resolve, reject) => {
      const request = http.get(`http://${this.address}${path}`, { agent: false, headers: { ...upgrade, ...headers } });
      request.on("upgrade", (response, socket) => { socket.destroy(); resolve([101, response.headers]); });
      request.on("response", (response) => { response.destroy(); resolve([response.statusCode, response.headers]); });
      request.on("error", reject);
    });
  }
}

/** A connection that sends what no client would, and looks at each byte that comes. */
export class Raw {
  #frames = [];
  #waiting = [];

  static async open(server, query = "vsn=2.0.0", protocols = []) {
    const raw = new Raw();
    raw.ws = new WebSocket(`${server.endPoint}/websocket?${query}`, protocols);
    raw.closed = once(raw.ws, "close").then(([code, reason]) => [code, String(reason)]);
    raw.ws.on("message", (data, isBinary) => {
      raw.#frames.push(isBinary ? [...data] : String(data));
      raw.#waiting.shift()?.();
    });
    await once(raw.ws, "open");
    return raw;
  }

  /** A frame of text, from what it is made of or as it stands; or of bytes. */
  send(frame) {
    this.ws.send(Array.isArray(frame) ? JSON.stringify(frame) : frame);
  }

  /** Bytes below WebSocket. */
  write(...bytes) {
    this.ws._socket.write(Uint8Array.from(bytes));
  }

  async next() {
    while (!this.#frames.length) await new Promise((resolve) => { this.#waiting.push(resolve); });
    return this.#frames.shift();
  }

  /** Sends, and takes as many frames as are expected. */
  async says(frame, count = 1) {
    this.send(frame);
    const frames = [];
    for (let i = 0; i < count; i++) frames.push(await this.next());
    return count === 1 ? frames[0] : frames;
  }

  /** Whether nothing comes: nothing before the answer to a heartbeat. */
  async silence() {
    return (await this.says([null, "quiet", "phoenix", "heartbeat", {}])) === '[null,"quiet","phoenix","phx_reply",{"status":"ok","response":{}}]';
  }

  close() {
    this.ws.close();
  }
}

/** Numbers that look random, and are the same in each run. */
export class Random {
  constructor(seed) {
    this.seed = seed;
  }

  below(bound) {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.seed / 2 ** 32) * bound);
  }
}

/** Counts how often each reference was told to have come, and to have gone: once at most. */
export class Told {
  counts = new Map();

  note(what, key, { metas }) {
    for (const { phx_ref } of metas) {
      const id = `${what} ${key} ${phx_ref}`;
      this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
    }
  }

  get repeated() {
    return [...this.counts].filter(([, count]) => count !== 1);
  }
}

/** Waits for a condition; the test's own time ends it. */
export async function until(condition) {
  for (;;) {
    const value = await condition();
    if (value) return value;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

/** The bytes of numbers and texts. */
export function bytes(...parts) {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...Buffer.from(part)] : part)));
}

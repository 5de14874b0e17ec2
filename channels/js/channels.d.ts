/**
 * Topics over one WebSocket: the page's side of `sansocket-channels`.
 *
 * ```js
 * import { Socket } from "/channels.js";
 * const news = new Socket("/socket").channel("news");
 * news.on("tick", ({ n }) => { document.getElementById("status").textContent = n; });
 * await news.join();
 * ```
 *
 * A socket comes back by itself, for ever, and joins again what was joined: after 250 ms, 500 ms, 1, 2, 5, and then each
 * 10 s, each time after a random part of that. It begins anew after a connection that has answered something and then
 * lived for 5 s. It dials at once when the network is back, or the page is shown again; a hidden page waits until then.
 */

/** One connection, whatever the number of channels. */
export class Socket {
  /**
   * @param url `"/socket"` on the page's own server, or `"wss://…/socket"`.
   * @throws TypeError if it is no URL.
   */
  constructor(url: string, options?: SocketOptions);

  /**
   * The channel of this topic: the same object each time, until it has been left or has ended for good; that one may be joined
   * again, and so may a new one, of which the last that joins leaves the other. It is not joined by that.
   * @param params what the server is told at each join: an object, or what makes one. The last that was given counts.
   */
  channel(topic: string, params?: object | (() => object)): Channel;

  /** Dials, unless it has. The first join does it, too. After `disconnect`, or a final close, nothing else does. */
  connect(): this;

  /** Closes, and stays away. What was joined is joined again by `connect`. */
  disconnect(): void;

  /**
   * `idle` has not dialled yet; `waiting` will dial: after a pause, or when the page is shown; `closed` stays away.
   */
  readonly state: "idle" | "connecting" | "open" | "waiting" | "closed";

  /**
   * `open`; `error`: what could not be read, a token that could not be had, the browser's own error;
   * `close`: `{ code, reason, final }`, also after a dial that failed. `final`: it does not come back.
   * @returns what takes `f` away again.
   */
  on(type: "open" | "close" | "error", f: (e: any) => void): () => void;
}

export interface SocketOptions {
  /** Proves to the server who this is. Asked for before each dial; empty for none. */
  token?: string | (() => string | Promise<string>);
  /** Goes into the URL, where proxies' logs see it. Asked for before each dial. */
  params?: object | (() => object);
  /** The time between two questions to the server whether it is there, in milliseconds: 25000. */
  heartbeat?: number;
  /**
   * How long a push, a join and a heartbeat wait for an answer, in milliseconds: 10000. A hidden page, whose timers run
   * rarely, waits 2 minutes for a heartbeat's, and any page 3 times as long for a dial.
   */
  timeout?: number;
  /** How many pushes may wait for their channel to be joined, over all channels: 256. */
  buffer?: number;
  /** Milliseconds before the next try, from the number of those that failed. Where it throws, or says no number, it is as by default. */
  backoff?: (tries: number) => number;
  /** For programs without one of their own, or with a better one. */
  WebSocket?: any;
  /** Instead of `JSON.stringify` and `JSON.parse`; for whole frames. */
  encode?: (v: any) => string;
  decode?: (s: string) => any;
}

/** Made by `Socket.channel`. */
export class Channel {
  private constructor();
  readonly topic: string;

  /** `waiting`: to be joined once there is a connection, or again after a refusal. */
  readonly state: "closed" | "joining" | "joined" | "waiting";

  /** The connection's id, while joined; null where the server gives none. */
  readonly conn: string | null;

  /**
   * Joins, and joins again whenever the connection was away. Goes on trying where the server asks for that.
   * @returns the server's response. Called again, the same promise, or that of the join which is under way.
   * @throws ChannelError, always `final`: refused for good, kicked, left, or the socket was told to stay away.
   */
  join(): Promise<any>;

  /**
   * Sends, and waits for the answer. While the channel is not joined it waits for that, too.
   *
   * A push that was sent when the connection was cut fails at once with `disconnected`: it may have been handled or
   * not, and is never repeated.
   * @param payload bytes (an ArrayBuffer or a view of one) are sent as they are, all else as JSON.
   * @throws ChannelError with the server's word, or `disconnected`, `timeout`, `buffer full`, `left`, `closed`.
   */
  push(event: string, payload?: any, options?: { timeout?: number }): Promise<any>;

  /** Sends, and wants no answer. Dropped while the channel is not joined. */
  cast(event: string, payload?: any): void;

  /** Leaves at once; what waits for an answer fails with `left`. The promise ends when the server has answered, or is gone. */
  leave(): Promise<void>;

  /**
   * Calls `f` for each such event of the server. Is it a question (`meta.ref` is not null), then what `f` returns or
   * promises is the answer; if it throws, the server is told the error's message. Of several the first that returns something counts.
   *
   * The client's own events:
   * - `$joined` `{ recovered, rejoined, response }`: joined, for the first time or again. `recovered`: nothing was missed.
   * - `$gap` `{ from, to }`: these offsets were missed, and the page is to load its state anew. null: not known, or, both of them,
   *   that what was missed had none. They are numbers, exact up to 2^53: as many messages of a topic take 285 years, at a million a
   *   second.
   * - `$refused`, `$error`, `$closed`, each with a ChannelError: a join was refused, and is tried again unless `$closed`
   *   follows; the session crashed, and is joined again; it is over, and not joined again.
   * @returns what takes `f` away again.
   */
  on(event: "$joined", f: (e: { recovered: boolean; rejoined: boolean; response: any }) => void): () => void;
  on(event: "$gap", f: (e: { from: number | null; to: number | null }) => void): () => void;
  on(event: "$refused" | "$error" | "$closed", f: (e: ChannelError) => void): () => void;
  on(event: string, f: (payload: any, meta: { ref: string | null }) => any): () => void;
}

/** Who is there, by key, with what each of its sessions tells of itself. Make it before the channel is joined. */
export class Presence {
  constructor(channel: Channel);
  list(): Record<string, { metas: any[] }>;

  /**
   * `join`: `(key, before, { metas })` with those that came; `leave`: `(key, after, { metas })` with those that went;
   * `sync`: the list has changed, whatever came of it.
   */
  on(type: "join" | "leave" | "sync", f: (...a: any[]) => void): () => void;
}

/** Why a push or a join failed, or a channel ended. */
export class ChannelError extends Error {
  constructor(reason: string, response?: any, final?: boolean);
  /** The server's word, or `disconnected`, `timeout`, `buffer full`, `left`, `closed`. */
  reason: string;
  /** All that the server said. */
  response: any;
  /** It is not tried again. */
  final: boolean;
}

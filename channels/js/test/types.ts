// Compiles: what a page writes has the types of channels.d.ts, and what it must not write has not.

import { mount, type Mounted } from "../channels-dom.js";
import { Channel, ChannelError, Presence, Socket, type SocketOptions } from "../channels.js";

const options: SocketOptions = {
  token: async () => "secret",
  params: () => ({ lang: "cs" }),
  heartbeat: 25_000,
  timeout: 10_000,
  buffer: 256,
  backoff: (tries) => tries * 100,
  WebSocket,
  encode: (v) => JSON.stringify(v),
  decode: (s) => JSON.parse(s),
};
const socket = new Socket("/socket", options).connect();
const state: "idle" | "connecting" | "open" | "waiting" | "closed" = socket.state;
const off: () => void = socket.on("close", ({ code, reason, final }) => console.log(state, code, reason, final));

const room: Channel = socket.channel("room:1", () => ({ last: 10 }));
new Socket("wss://example.com/socket").channel("news", {}).topic satisfies string;
room.state satisfies "closed" | "joining" | "joined" | "waiting";
room.conn satisfies string | null;
room.on("$joined", ({ recovered, rejoined, response }) => console.log(recovered && rejoined, response));
room.on("$gap", ({ from, to }) => console.log((from ?? 0) + (to ?? 0)));
room.on("$closed", (e) => console.log(e.reason, e.response, e.final, e.message));
room.on("pick", async ({ of }, { ref }) => (ref ? of[0] : undefined));

const presence = new Presence(room);
presence.on("sync", () => console.log(Object.entries(presence.list()).map(([key, { metas }]) => [key, metas.length])));
presence.on("join", (key, before, { metas }) => console.log(key, before, metas));

const mounting = { allow: ["/libraries/", new URL("https://example.com")], limit: 100, elements: ["own-chart"], onSkip: (why: string) => console.warn(why) };
const list: Mounted = mount(room, document.body, mounting);
mount(room, document.createElement("ul"));
console.log(list.skipped + 1, list.root.id);
list.remove();

try {
  await room.join();
  console.log((await room.push("say", { t: "hi" }, { timeout: 500 })).n);
  await room.push("bytes", new Uint8Array(3));
  room.cast("typing");
  await room.leave();
} catch (e) {
  if (e instanceof ChannelError && !e.final) console.log(e.reason);
}
off();
socket.disconnect();

// @ts-expect-error: it is the socket's to change
socket.state = "open";
// @ts-expect-error: channels are made by the socket
new Channel(socket, "room:1");
// @ts-expect-error: no such event
socket.on("message", () => {});
// @ts-expect-error: one token
new Socket("/socket", { token: 7 });
// @ts-expect-error: not for pages
room._at;
// @ts-expect-error: an element of HTML
mount(room, document.createElementNS("http://www.w3.org/2000/svg", "g"));
// @ts-expect-error: it is counted, not set
list.skipped = 0;

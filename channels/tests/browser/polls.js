// A page of Phoenix's own client, whose WebSocket is refused: it polls, from another origin than the server's.

import { LongPoll, Socket } from "/phoenix.mjs";

const query = new URLSearchParams(location.search);
const server = `ws://${query.get("server")}`;

class Refused extends WebSocket {
  constructor() {
    super(`${server}/nowhere`);
  }
}

const log = [];
const socket = new Socket(`${server}/socket`, { transport: Refused, longPollFallbackMs: 2500, authToken: query.get("token") });
const channel = socket.channel("echo:page");

socket.onClose(({ code }) => log.push(`close ${code}`));
channel.on("tick", ({ n }) => {
  const item = document.createElement("li");
  item.textContent = n;
  document.getElementById("ticks").append(item);
});
socket.connect();
channel.join().receive("ok", () => log.push(`joined ${socket.transport === LongPoll}`));
window.field = { log, ask: (text) => channel.push("echo", text).receive("ok", (answer) => log.push(`answer ${answer}`)) };

// The page that the tests open: what it shows is what came by its channel.

import { Socket } from "/channels.js";

const element = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const log = [];
const socket = new Socket(`ws://${query.get("server")}/socket`, { token: query.get("token"), timeout: Number(query.get("timeout") ?? 10000) });
const channel = socket.channel("echo:page");

for (const type of ["open", "close", "error"]) socket.on(type, (e) => note(type, e.code ?? ""));
for (const event of ["$joined", "$refused", "$error", "$closed"]) channel.on(event, (e) => note(event, e.rejoined ?? e.reason));
channel.on("tick", ({ n }) => {
  const item = document.createElement("li");
  item.textContent = n;
  element("ticks").append(item);
});
channel.on("question", ({ of }) => `${of}: ${element("mine").value}`);
element("ask").addEventListener("click", async () => {
  element("answer").textContent = await channel.push("echo", "asked").catch((e) => e.reason);
});
for (const type of ["pagehide", "pageshow", "visibilitychange", "online", "offline"]) addEventListener(type, (e) => note(type, e.persisted ?? document.visibilityState));
for (const type of ["freeze", "resume"]) document.addEventListener(type, () => note(type, document.visibilityState));
addEventListener("securitypolicyviolation", (e) => note("violation", e.violatedDirective));

function note(what, how) {
  log.push(`${what} ${how}`);
  element("socket").textContent = socket.state;
  element("channel").textContent = channel.state;
  element("away").textContent = `${log.filter((line) => line.startsWith("close")).length} times away`;
}

// What the policy forbids: HTML from text, and text that is run.
function breaks() {
  for (const attempt of [() => { document.body.innerHTML = ""; }, () => (0, eval)("window.broken = true")]) {
    try {
      attempt();
    } catch {
      // It is reported as an event.
    }
  }
}

channel.join();
// By this name the tests know that a page is there.
window.field = { socket, channel, log, breaks };

// The page whose elements the tests change through its channel.

import { Socket } from "/channels.js";
import { mount } from "/channels-dom.js";

const query = new URLSearchParams(location.search);
const log = [], skips = [];
const socket = new Socket(`ws://${query.get("server")}/socket`);
const channel = socket.channel("echo:page");
const dom = mount(channel, document.getElementById("root"), { onSkip: (why) => skips.push(why), elements: ["own-element", "script"] });

channel.on("$joined", (e) => log.push(`$joined ${e.rejoined}`));
addEventListener("securitypolicyviolation", (e) => log.push(`violation ${e.violatedDirective}`));

// Ops that no server of ours sends.
function raw(payload) {
  channel._receive(null, null, "$dom", payload);
}

channel.join();
// By this name the tests know that a page is there.
window.field = { socket, channel, dom, log, skips, raw };

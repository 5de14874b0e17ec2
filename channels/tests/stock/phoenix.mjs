// npm's `phoenix`, of the version in $PHOENIX, and what its tests do with it.

import assert from "node:assert/strict";

/** Version 1.7 knows no other place for a token than the address, and polls by XMLHttpRequest. */
export const IS_1_7 = process.env.PHOENIX.startsWith("1.7.");

/** What makes a socket a user's. */
export const credentials = (user) => user && (IS_1_7 ? { params: { token: `secret-${user}` } } : { authToken: `secret-${user}` });

/** How a push, a join or a leave ended: `["ok", response]`. */
export function answer(push) {
  return new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) push.receive(status, (response) => resolve([status, response]));
  });
}

/** A channel that is joined. */
export async function joined(socket, topic, params) {
  const channel = socket.channel(topic, params);
  assert.equal((await answer(channel.join()))[0], "ok");
  return channel;
}

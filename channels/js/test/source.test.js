// What the file is, before it runs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import * as module from "../channels.js";

const source = readFileSync(new URL("../channels.js", import.meta.url), "utf8");

test("it is at most 5 KiB, compressed as any server can", (t) => {
  const size = gzipSync(source, { level: 9 }).length;
  t.diagnostic(`${size} bytes of 5120, ${source.length} uncompressed`);
  assert.ok(size <= 5120, `${size} bytes`);
});

test("it has no dependencies, and nothing that a content security policy or Trusted Types forbid", () => {
  for (const word of [/\bimport\b/, /\beval\b/, /\bFunction\b/, /innerHTML/, /outerHTML/, /insertAdjacentHTML/, /document\.write/, /set(Timeout|Interval)\(\s*["'`]/, /\bWorker\b/]) {
    assert.doesNotMatch(source, word);
  }
});

test("it exports what its types say", () => {
  const types = readFileSync(new URL("../channels.d.ts", import.meta.url), "utf8");
  const declared = [...types.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(Object.keys(module).sort(), declared.sort());
  for (const name of declared) {
    const [, body] = types.match(new RegExp(`^export class ${name} [^]*?\\{\n([^]*?)^\\}`, "m"));
    const methods = [...body.matchAll(/^ {2}(\w+)\(/gm)].map(([, method]) => method).filter((method) => method !== "constructor");
    for (const method of methods) assert.equal(typeof module[name].prototype[method], "function", `${name}.${method}`);
  }
});

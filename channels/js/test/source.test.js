// What the file is, before it runs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import * as dom from "../channels-dom.js";
import * as module from "../channels.js";

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const source = read("channels.js");

test("it is at most 5 KiB, compressed as any server can", (t) => {
  const size = gzipSync(source, { level: 9 }).length;
  t.diagnostic(`${size} bytes of 5120, ${source.length} uncompressed`);
  assert.ok(size <= 5120, `${size} bytes`);
});

const forbidden = [/\beval\b/, /\bFunction\b/, /innerHTML/, /outerHTML/, /insertAdjacentHTML/, /setHTMLUnsafe/, /document\.write/, /createContextualFragment/, /DOMParser/, /set(Timeout|Interval)\(\s*["'`]/, /\bWorker\b/];

test("it has no dependencies, and nothing that a content security policy or Trusted Types forbid", () => {
  for (const word of [/\bimport\b/, ...forbidden]) assert.doesNotMatch(source, word);
});

test("nor has what changes pages, which imports what it is asked for, at one place, and looks nothing up by the document", () => {
  const source = read("channels-dom.js");
  for (const word of [...forbidden, /^import\b/m, /\bfrom\s*["'`]/, /document\.(getElement|querySelector)/]) assert.doesNotMatch(source, word);
  assert.deepEqual(source.match(/\bimport\b.*/g).length, 1);
});

test("it exports what its types say", () => {
  const types = read("channels.d.ts");
  const declared = [...types.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(Object.keys(module).sort(), declared.sort());
  assert.deepEqual(Object.keys(dom), [...read("channels-dom.d.ts").matchAll(/^export function (\w+)/gm)].map(([, name]) => name));
  for (const name of declared) {
    const [, body] = types.match(new RegExp(`^export class ${name} [^]*?\\{\n([^]*?)^\\}`, "m"));
    const methods = [...body.matchAll(/^ {2}(\w+)\(/gm)].map(([, method]) => method).filter((method) => method !== "constructor");
    for (const method of methods) assert.equal(typeof module[name].prototype[method], "function", `${name}.${method}`);
  }
});

test("the lists of files of the package are whole", () => {
  const { files, exports } = JSON.parse(read("package.json"));
  const known = Object.values(exports).flatMap(({ types, default: script }) => [script, types].map((path) => path.slice(2)));
  assert.deepEqual(known, files);
  for (const file of files) assert.ok(read(file), file);
});

// What channels-dom.js decides by itself. That browsers do nothing else with it is for tests/browser to see.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { mount } from "../channels-dom.js";
import { Page, settled } from "./fake.js";

const HTML = "http://www.w3.org/1999/xhtml";
const before = ["HTMLElement", "CSS"].map((name) => [name, globalThis[name]]);

/** An element, as far as it is used. */
class FakeElement {
  localName;
  namespaceURI = HTML;
  childNodes = [];
  attributes = new Map();
  parent = null;
  ownerDocument = globalThis.document;
  style = { setProperty: (name, value) => this.attributes.set(`style.${name}`, value) };
  classList = { toggle: (name, on) => this.attributes.set(`class.${name}`, on) };

  constructor(name, ...children) {
    this.localName = name;
    this.append(...children);
  }

  append(...children) {
    for (const child of children) child.parent = this;
    this.childNodes.push(...children);
  }

  remove() {
    this.parent.childNodes.splice(this.parent.childNodes.indexOf(this), 1);
  }

  get parentElement() {
    return this.parent;
  }

  getElementsByTagName() {
    return this.childNodes.flatMap((child) => [child, ...child.getElementsByTagName()]);
  }

  querySelector(selector) {
    return this.getElementsByTagName().find(({ id }) => `#${id}` === selector) ?? null;
  }

  getRootNode() {
    return this.parent?.getRootNode() ?? this;
  }

  setAttribute(name, value) {
    this.attributes.set(name, value);
  }

  removeAttribute(name) {
    this.attributes.delete(name);
  }

  /** What is in it, as text. */
  toString() {
    const attributes = [...this.attributes].map(([name, value]) => ` ${name}=${value}`).join("");
    return `<${this.localName}${attributes}>${this.text ?? ""}${this.childNodes.join("")}`;
  }
}

/** Whose getters and methods are those of every element, whatever it has of its own. */
const prototype = new Proxy({}, {
  get: (_, name, element) => (name === "id" ? element.attributes.get("id") : Reflect.get(element, name)),
  set: (_, name, value, element) => {
    assert.equal(name, "textContent");
    element.childNodes = [];
    element.text = value;
    return true;
  },
  has: () => false,
});

let page, channel, root, dom, skips;

beforeEach(async () => {
  page = new Page();
  globalThis.location.origin = "https://example.com";
  Object.assign(globalThis, { HTMLElement: { prototype }, CSS: { escape: (text) => text } });
  Object.assign(globalThis.document, { baseURI: globalThis.location.href, createElementNS: (space, name) => Object.assign(new FakeElement(name), { namespaceURI: space }) });
  Object.defineProperty(FakeElement.prototype, "id", { configurable: true, get() { return this.attributes.get("id"); } });
  root = new FakeElement("ul");
  root.setAttribute("id", "list");
  skips = [];
  channel = await page.joined("a");
  mounted();
});

afterEach(() => {
  page.end();
  for (const [name, value] of before) globalThis[name] = value;
});

function mounted(options) {
  dom?.remove();
  skips = [];
  dom = mount(channel, root, { onSkip: (why, what) => skips.push([why, what]), ...options });
}

async function says(...ops) {
  page.server.says(null, null, "a", "$dom", { ops });
  await settled();
}

function nested(to, count) {
  return Array.from({ length: count }, (_, n) => ({ op: "append", to: n ? `n${n - 1}` : to, el: { tag: "p", id: `n${n}` } }));
}

/** What the server is answered when it has asked for that to be loaded. */
async function loads(url) {
  const error = console.error;
  console.error = () => {};
  page.server.taken();
  page.server.says(channel._joinRef, "s1", "a", "$load", { url });
  await settled();
  await settled();
  console.error = error;
  const [[, , , event, { ref, status, response }]] = page.server.taken();
  assert.deepEqual([event, ref], ["$reply", "s1"]);
  return status === "ok" ? response : response.reason;
}

test("ops are carried out in order, and what is none is counted beside", async () => {
  await says(
    { op: "append", to: "list", el: { tag: "li", id: "1", text: "a", children: [{ tag: "b" }, { tag: "script" }, null, { tag: "i", id: "1" }] } },
    { op: "boom" },
    { op: "append", to: "1", el: { tag: "a", attrs: { href: "/x", onclick: "x" }, style: { color: "red" } } },
    { op: "update", id: "1", attrs: { title: "t", href: null }, class: { new: true, old: false } },
    { op: "append", to: "list", el: { tag: "li", id: "2" } },
    { op: "remove", id: "2" },
  );
  assert.equal(String(root), "<ul id=list><li id=1 title=t class.new=true class.old=false>a<b><a href=/x style.color=red>");
  assert.deepEqual(skips.map(([why]) => why), ["tag", "form", "id", "op", "attribute"]);
  assert.deepEqual(skips.at(-1), ["attribute", "onclick"]);
  assert.equal(dom.skipped, 5);
});

test("without setHTML there is the text, and the HTML is counted", async () => {
  await says({ op: "append", to: "list", el: { tag: "li", text: "a", html: "<b>a</b>" } });
  assert.equal(String(root), "<ul id=list><li>a");
  assert.deepEqual(skips, [["html", "<b>a</b>"]]);
});

test("there is an end to the elements, as deep as they may be", async () => {
  mounted({ limit: 5 });
  const el = { tag: "p", children: [{ tag: "b" }, { tag: "b" }] };
  await says({ op: "append", to: "list", el: { id: "1", ...el } }, { op: "append", to: "list", el });
  assert.equal(String(root), "<ul id=list><p id=1><b><b><p><b>");
  // What is gone makes room, in the same message too.
  await says({ op: "update", id: "1", text: "" }, { op: "append", to: "1", el }, { op: "remove", id: "1" }, { op: "append", to: "list", el });
  assert.equal(String(root), "<ul id=list><p><b><p><b><b>");
  assert.deepEqual(skips.map(([why]) => why), ["limit", "limit"]);
  mounted();
  let deep = { tag: "i" };
  for (let depth = 1; depth < 40; depth++) deep = { tag: "i", children: [deep] };
  await says({ op: "append", to: "list", el: deep });
  assert.equal(String(root).match(/<i>/g).length, 32);
  assert.deepEqual(skips.map(([why]) => why), ["depth"]);
});

test("nor are they deeper by many ops, each of which appends to the one before", async () => {
  await says(...nested("list", 40));
  assert.equal(String(root), `<ul id=list>${Array.from({ length: 32 }, (_, n) => `<p id=n${n}>`).join("")}`);
  // Nothing is below those that are not there.
  assert.deepEqual(skips.map(([why]) => why), ["depth", ...Array(7).fill("id")]);
  await says({ op: "append", to: "n30", el: { tag: "b", children: [{ tag: "i" }] } });
  assert.deepEqual([String(root).match(/<[bi]>/g), skips.at(-1)[0]], [["<b>"], "depth"]);
});

test("a link gives away no opener", async () => {
  await says({ op: "append", to: "list", el: { tag: "a", attrs: { rel: "nofollow OPENER\topener noopener", target: "_blank" } } });
  assert.equal(String(root), "<ul id=list><a rel=nofollow noopener target=_blank>");
  await says({ op: "append", to: "list", el: { tag: "p", id: "1" } }, { op: "update", id: "1", attrs: { REL: "opener" } });
  assert.deepEqual([String(root.childNodes[1]), skips], ["<p id=1 rel=>", []]);
});

test("of custom elements there are those that the page allows, and no others by that", async () => {
  const own = ["own-chart", "script"].map((tag) => ({ op: "append", to: "list", el: { tag } }));
  await says(...own);
  mounted({ elements: ["own-chart", "script"] });
  await says(...own);
  assert.equal(String(root), "<ul id=list><own-chart>");
  assert.deepEqual(skips.map(([why]) => why), ["tag"]);
});

test("one that tells what is skipped may throw, and one that is removed does nothing", async () => {
  const faults = [], note = (e) => faults.push(e.message);
  const listeners = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", note);
  mounted({ onSkip: (why) => { throw new Error(why); } });
  await says({ op: "boom" }, { op: "append", to: "list", el: { tag: "li" } });
  process.removeListener("uncaughtException", note);
  for (const listener of listeners) process.on("uncaughtException", listener);
  assert.deepEqual([faults, dom.skipped, String(root)], [["op"], 1, "<ul id=list><li>"]);
  dom.remove();
  await says({ op: "append", to: "list", el: { tag: "li" } });
  assert.equal(String(root), "<ul id=list><li>");
  assert.equal(await loads("/x.css"), "no handler");
});

test("style sheets are loaded once, from where the page allows, and anew where that failed", async () => {
  const links = [];
  const link = () => ({ remove() { links.splice(links.indexOf(this), 1); } });
  Object.assign(globalThis.document, { createElement: link, head: { append: (link) => { links.push(link); queueMicrotask(() => (link.href.includes("none") ? link.onerror() : link.onload({}))); } } });
  for (const url of ["/x.css", "https://example.com/x.css#y", "/none.css", "/none.css"]) {
    assert.equal(await loads(url), url === "/none.css" ? "not loaded" : null, url);
  }
  assert.deepEqual(links.map(({ href, rel }) => [href, rel]), [["https://example.com/x.css", "stylesheet"]]);
  const wrong = ["//other.example/x.css", "http://example.com/x.css", "https://example.com:444/x.css", "data:text/css,x.css", "javascript:x.css", "blob:https://example.com/x.css"];
  for (const url of wrong) assert.equal(await loads(url), "not allowed", url);
  mounted({ allow: ["/libraries/", "one.css", "https://other.example"] });
  for (const [url, answer] of [
    ["/libraries/x.css", null], ["/libraries/../x.css", "not allowed"], ["/libraries/%2e%2e/x.css", "not allowed"], ["/libraries.css", "not allowed"],
    ["/libraries/..%2fx.css", "not allowed"], ["/libraries/..%5Cx.css", "not allowed"], ["/libraries/x.css?%2f", null],
    ["/news/one.css?v=2", null], ["/news/one.css/x.css", "not allowed"], ["//other.example/any/x.css", null], ["//example.org/x.css", "not allowed"],
  ]) assert.equal(await loads(url), answer, url);
  // A page whose origin is none allows nothing by it.
  mounted({ allow: ["data:"] });
  assert.equal(await loads("data:text/css,x.css"), "not allowed");
  mounted();
  for (let n = 0; n < 100; n++) assert.equal(await loads(`/x.css?${n}`), null);
  assert.equal(await loads("/x.css?100"), "too many");
  assert.equal(await loads("/x.css?7"), null);
});

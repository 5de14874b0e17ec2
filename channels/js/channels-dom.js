// Carries out what the server says of the page, below one element, and nothing that could run a script. See channels-dom.d.ts.

export function mount(channel, root, { allow = [location.origin], limit = 10000, elements = [], onSkip } = {}) {
  const document = get(root, "ownerDocument");
  const tags = new Set([...TAGS, ...elements.filter((name) => name.includes("-"))]);
  const allowed = allow.map((url) => new URL(url, location.href));
  const loads = new Map(); // by URL: a promise
  let room; // for so many elements more

  const mounted = { root, skipped: 0, remove: () => handlers.forEach((off) => off()) };
  const handlers = [channel.on("$dom", (payload) => perform(payload?.ops)), channel.on("$load", load)];
  return mounted;

  function perform(ops) {
    room = limit - count(root);
    if (!Array.isArray(ops)) return skip("form", ops);
    for (const op of ops) attempt(op, () => carryOut(op));
  }

  // What throws is skipped, and what is beside it done. Words are reasons.
  function attempt(what, f) {
    try {
      f();
    } catch (e) {
      skip(typeof e === "string" ? e : "form", what);
    }
  }

  function skip(why, what) {
    mounted.skipped++;
    // Later, so that what it throws stops nothing.
    if (onSkip) queueMicrotask(() => onSkip(why, what));
  }

  function carryOut(op) {
    const { to, id, el } = op;
    if (op.op === "append") {
      const parent = to && to === get(root, "id") ? root : found(to);
      known(op, ["op", "to", "el"]);
      call(parent, "append", make(el, depthOf(parent) + 1, new Set()));
    } else if (op.op === "update") {
      const element = found(id);
      known(op, ["op", "id", "class", ...CONTENT]);
      change(element, op);
    } else if (op.op === "remove") {
      const element = found(id);
      known(op, ["op", "id"]);
      room += 1 + count(element);
      call(element, "remove");
    } else {
      throw "op";
    }
  }

  // Whatever else there is may stand for something that must not be.
  function known(object, fields) {
    for (const name of Object.keys(object)) attempt(name, () => check(fields.includes(name), "field"));
  }

  // Never by the document: what is outside is not the server's.
  function lookUp(id) {
    check(typeof id === "string" && id, "id");
    return call(root, "querySelector", `#${CSS.escape(id)}`);
  }

  function found(id) {
    const element = lookUp(id);
    check(element, "id");
    check(isElement(element), "tag"); // one of the page's own, such as its script
    return element;
  }

  // How many elements there are in one another below `root`, down to this one.
  function depthOf(element) {
    let depth = 0;
    for (let at = element; at !== root; at = get(at, "parentElement")) depth++;
    return depth;
  }

  function isElement(element) {
    return get(element, "namespaceURI") === HTML && tags.has(get(element, "localName"));
  }

  function make(el, depth, ids) {
    const { id, children = [] } = el, tag = lower(el.tag);
    check(tags.has(tag), "tag");
    check(depth <= DEPTH, "depth");
    check(room > 0, "limit");
    const element = document.createElementNS(HTML, tag);
    if (id !== undefined) {
      // Of two with one id, scripts of the page would find the wrong one.
      check(!lookUp(id) && !call(root, "getRootNode").getElementById?.(id) && !ids.has(id), "id");
      ids.add(id);
      call(element, "setAttribute", "id", id);
    }
    room--;
    known(el, ["tag", "id", "children", ...CONTENT]);
    change(element, el);
    for (const child of children) attempt(child, () => call(element, "append", make(child, depth + 1, ids)));
    return element;
  }

  function change(element, { text, html, attrs = {}, style = {}, class: classes = {} }) {
    if (text !== undefined) attempt(text, () => fill(element, text));
    if (html !== undefined) attempt(html, () => fillWithHtml(element, html));
    each(attrs, (name, value) => attribute(element, lower(name), value));
    each(style, (name, value) => {
      check(typeof value === "string" && !LOADS.test(value), "style");
      get(element, "style").setProperty(name, value);
    });
    each(classes, (name, on) => {
      check(typeof on === "boolean", "class");
      get(element, "classList").toggle(name, on);
    });
  }

  function each(entries, f) {
    for (const [name, value] of Object.entries(entries)) attempt(name, () => f(name, value));
  }

  function fill(element, text) {
    check(typeof text === "string", "text");
    room += count(element);
    Reflect.set(HTMLElement.prototype, "textContent", text, element);
  }

  function fillWithHtml(element, html) {
    check(typeof html === "string" && "setHTML" in HTMLElement.prototype, "html");
    room += count(element);
    call(element, "setHTML", html);
    // The browser's rules are wider than ours.
    for (const one of call(element, "querySelectorAll", "*")) {
      if (isElement(one)) prune(one);
      else if (call(element, "contains", one)) {
        call(one, "remove");
        skip("tag", get(one, "localName"));
      }
    }
    room -= count(element);
    if (room >= 0) return;
    fill(element, "");
    throw "limit";
  }

  function prune(element) {
    for (const { name, value } of [...get(element, "attributes")]) {
      call(element, "removeAttribute", name);
      attempt(name, () => attribute(element, name, value));
    }
  }

  function attribute(element, name, value) {
    const isName = name === "name" && NAMED.has(get(element, "localName"));
    check(isName || ATTRIBUTES.has(name) || URLS.has(name) || /^(aria|data)-[\w-]+$/.test(name), "attribute");
    if (value === null) return call(element, "removeAttribute", name);
    check(typeof value === "string", "attribute");
    check(!URLS.has(name) || isUrl(value), "url");
    call(element, "setAttribute", name, name === "rel" ? closed(value) : value);
  }

  // What a link leads to has no hold of the page.
  function closed(rel) {
    return rel.split(/\s+/).filter((word) => lower(word) !== "opener").join(" ");
  }

  // As the browser reads it, whatever spaces and control characters are in it.
  function isUrl(value) {
    return URL.canParse(value, document.baseURI) && ["http:", "https:", "mailto:"].includes(new URL(value, document.baseURI).protocol);
  }

  // The answer is that it is loaded.
  async function load({ url }) {
    const target = new URL(url, document.baseURI), { origin, pathname, protocol } = target;
    const isIn = (place) => (place.pathname.endsWith("/") ? pathname.startsWith(place.pathname) : pathname === place.pathname);
    target.hash = "";
    // Escaped, they are none for us, but may be some for a server, which then leaves the folder.
    const hidesSlashes = /%2f|%5c/i.test(pathname);
    if (hidesSlashes || !/^https?:$/.test(protocol) || !allowed.some((place) => place.origin === origin && isIn(place))) throw new Error("not allowed");
    if (!loads.has(target.href)) {
      if (loads.size >= MAX_LOADS) throw new Error("too many");
      const loading = pathname.endsWith(".css") ? sheet(target.href) : import(/* webpackIgnore: true */ /* @vite-ignore */ target.href);
      loads.set(target.href, loading);
      loading.catch(() => loads.delete(target.href));
    }
    await loads.get(target.href);
  }

  function sheet(href) {
    return new Promise((loaded, failed) => {
      const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: loaded });
      link.onerror = () => {
        link.remove();
        failed(new Error("not loaded"));
      };
      document.head.append(link);
    });
  }
}

function check(condition, why) {
  if (!condition) throw why;
}

function lower(name) {
  return typeof name === "string" ? name.toLowerCase() : "";
}

function count(element) {
  return call(element, "getElementsByTagName", "*").length;
}

// What an element is, and does: controls of a form hide the form's own properties behind their names.
function get(element, name) {
  return Reflect.get(HTMLElement.prototype, name, element);
}

function call(element, method, ...values) {
  return get(element, method).apply(element, values);
}

const words = (text) => new Set(text.trim().split(/\s+/));

const HTML = "http://www.w3.org/1999/xhtml";

const CONTENT = ["text", "html", "attrs", "style"];

// As in src/dom.rs.
const DEPTH = 32;

const MAX_LOADS = 100;

const TAGS = words(`
  a abbr address article aside audio b bdi bdo blockquote br button canvas caption cite code col colgroup data datalist dd del details
  dfn dialog div dl dt em fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr i img input ins kbd label legend li
  main mark menu meter nav ol optgroup option output p picture pre progress q rp rt ruby s samp search section select small source span
  strong sub summary sup table tbody td textarea tfoot th thead time tr track u ul var video wbr
`);

const ATTRIBUTES = words(`
  abbr accept alt autocomplete checked class cols colspan controls datetime dir disabled download draggable enterkeyhint headers height
  hidden high hreflang inert inputmode kind label lang loading loop low max maxlength media method min minlength multiple muted open
  optimum pattern placeholder playsinline preload readonly rel required reversed role rows rowspan scope selected size sizes span
  spellcheck srclang start step tabindex target title translate type value width wrap
`);

const URLS = words("action cite href poster src");

// Of others, a name would hide something of the document's.
const NAMED = words("button fieldset input output select textarea");

// What fetches, and escapes that could hide it.
const LOADS = /\\|(url|src|image|image-set|cross-fade)\(/i;

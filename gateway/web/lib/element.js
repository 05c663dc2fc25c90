// DOM building and the base class of all pages and components.
//
//   h("button", {class: "button", onclick: save, disabled: busy}, t("save"))
//
// Text is always text: there is no way to pass markup. Props:
//   onclick, oninput ...  functions; called with the event
//   class                 string, or array whose false values are left out
//   style                 object, set through the CSSOM (`"--x"` works); never a string
//   key                   tells siblings of a list apart when they move
//   ref                   called with the element once it is in the page
//   .name                 a property of the element instead of an attribute (.value, .checked, .session)
//   anything else         an attribute; true is "", false, null and undefined leave it out

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "circle", "rect", "line", "g", "text", "polyline", "title_", "defs",
  "clipPath", "linearGradient", "stop"]);
const FACTS = Symbol("what h() said of an element");

/** Build an element. */
export function h(tag, props, ...children) {
  const isSvg = SVG_TAGS.has(tag);
  const element = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  const facts = { on: {}, attributes: {}, properties: {}, style: null, key: null, ref: null };
  element[FACTS] = facts;
  for (const [name, value] of Object.entries(props || {})) {
    if (name === "key") facts.key = value;
    else if (name === "ref") facts.ref = value;
    else if (name === "style") facts.style = value;
    else if (name.startsWith("on") && (typeof value === "function" || value == null)) {
      if (value) listen(element, name.slice(2), value);
    } else if (name.startsWith(".")) facts.properties[name.slice(1)] = value;
    else if (name === "class") {
      const words = Array.isArray(value) ? value.filter(Boolean).join(" ") : value;
      if (words) facts.attributes.class = words;
    } else if (value !== false && value !== null && value !== undefined) {
      facts.attributes[name] = value === true ? "" : String(value);
    }
  }
  for (const [name, value] of Object.entries(facts.attributes)) element.setAttribute(name, value);
  if (facts.style) applyStyle(element, {}, facts.style);
  append(element, children);
  // After the children: the value of a select needs its options.
  for (const [name, value] of Object.entries(facts.properties)) element[name] = value;
  return element;
}

function listen(element, type, handler) {
  element[FACTS].on[type] = handler;
  element.addEventListener(type, dispatch);
}

function dispatch(event) {
  const handler = event.currentTarget[FACTS]?.on[event.type];
  if (handler) return handler.call(event.currentTarget, event);
  return undefined;
}

function applyStyle(element, before, after) {
  for (const name of Object.keys(before || {})) if (!(name in after)) element.style.removeProperty(name);
  for (const [name, value] of Object.entries(after)) {
    if (value === null || value === undefined || value === false) element.style.removeProperty(name);
    else element.style.setProperty(name, String(value));
  }
}

function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false || child === true) continue;
    if (Array.isArray(child)) append(parent, child);
    else parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Make the children of `parent` what `fresh` says, touching only what differs: focus, selection and scroll stay. */
export function morph(parent, ...fresh) {
  const holder = document.createDocumentFragment();
  append(holder, fresh);
  morphChildren(parent, holder);
}

function keyOf(node) {
  return node[FACTS]?.key ?? null;
}

function alike(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh) &&
    (old.nodeType !== 1 || old.getAttribute("type") === fresh.getAttribute("type"));
}

function morphChildren(parent, source) {
  const keyed = new Map();
  for (let node = parent.firstChild; node; node = node.nextSibling) {
    const key = keyOf(node);
    if (key !== null) keyed.set(key, node);
  }
  let old = parent.firstChild;
  const referred = [];
  for (const node of [...source.childNodes]) {
    const key = keyOf(node);
    let match = null;
    if (key !== null) {
      const known = keyed.get(key);
      if (known && alike(known, node)) match = known;
    } else {
      let candidate = old;
      // Keyed elements in the way belong to somebody else.
      while (candidate && keyOf(candidate) !== null) candidate = candidate.nextSibling;
      if (candidate && alike(candidate, node)) match = candidate;
    }
    if (match === null) {
      parent.insertBefore(node, old);
      collectRefs(node, referred);
    } else {
      if (match === old) old = old.nextSibling;
      else parent.insertBefore(match, old);
      morphNode(match, node, referred);
    }
  }
  while (old) {
    const next = old.nextSibling;
    old.remove();
    old = next;
  }
  for (const node of referred) node[FACTS].ref(node);
}

function collectRefs(node, found) {
  if (node[FACTS]?.ref) found.push(node);
  if (!node.tagName?.includes("-")) for (const child of node.childNodes) collectRefs(child, found);
}

function morphNode(old, fresh, referred) {
  if (old.nodeType === 3) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old === fresh || old.nodeType !== 1) return;
  const before = old[FACTS];
  const after = fresh[FACTS];
  if (!before || !after) {
    old.replaceWith(fresh);
    return;
  }
  for (const name of Object.keys(before.attributes)) {
    if (!(name in after.attributes)) old.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(after.attributes)) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  applyStyle(old, before.style, after.style || {});
  for (const type of Object.keys(after.on)) if (!(type in before.on)) old.addEventListener(type, dispatch);
  // Elements whose name has a hyphen own what is in them.
  if (!old.tagName.includes("-")) morphChildren(old, fresh);
  for (const [name, value] of Object.entries(after.properties)) {
    if (name === "value" || name === "checked" ? old[name] !== value : before.properties[name] !== value) {
      old[name] = value;
    }
  }
  old[FACTS] = after;
  if (after.ref) referred.push(old);
}

/**
 * Base class. A subclass overrides render() (returns nodes) and calls update() after its state changed;
 * start() runs whenever it enters the page, and everything bound to `this.signal` ends when it leaves.
 */
export class View extends HTMLElement {
  #leaving = null;
  #due = false;

  /** Aborted when the element leaves the page: hand it to api calls and addEventListener. */
  get signal() {
    return this.#leaving?.signal;
  }

  connectedCallback() {
    if (this.#leaving) return;
    this.#leaving = new AbortController();
    this.start();
    this.update();
  }

  disconnectedCallback() {
    // Moving an element disconnects and connects it at once.
    queueMicrotask(() => {
      if (this.isConnected || !this.#leaving) return;
      this.#leaving.abort();
      this.#leaving = null;
      this.stop();
    });
  }

  /** Entered the page: load, subscribe. */
  start() {}

  /** Left the page. */
  stop() {}

  /** What the element holds: a node, text, or an array of them. */
  render() {
    return null;
  }

  /** After a rendering is in the page. */
  rendered() {}

  /** Render soon; many calls of one turn render once. */
  update() {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      if (!this.isConnected) return;
      morph(this, this.render());
      this.rendered();
    });
  }

  /** Handle events of what is inside: `this.on("click", "[data-go]", (event, element) => ...)`; call in start(). */
  on(type, selector, handler) {
    this.addEventListener(type, (event) => {
      const found = event.target instanceof Element ? event.target.closest(selector) : null;
      if (found && this.contains(found)) handler(event, found);
    }, { signal: this.signal });
  }

  /** Call now and every `ms`, while in the page and visible; never twice at once. */
  every(ms, work) {
    const signal = this.signal;
    let running = false;
    const turn = async () => {
      if (running || document.hidden || signal.aborted) return;
      running = true;
      try {
        await work();
      } finally {
        running = false;
      }
    };
    const timer = setInterval(turn, ms);
    signal.addEventListener("abort", () => clearInterval(timer));
    document.addEventListener("visibilitychange", turn, { signal });
    turn();
  }
}

/** Register an element and return its class. */
export function define(name, type) {
  if (!customElements.get(name)) customElements.define(name, type);
  return type;
}

let numbers = 0;

/** An id for label/for and aria-*. */
export function newId(prefix = "gb") {
  numbers += 1;
  return `${prefix}-${numbers}`;
}

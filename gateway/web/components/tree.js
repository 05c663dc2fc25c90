// <gb-tree>: a tree whose branches are loaded when they are opened (WAI-ARIA tree, with its keys).
//
//   h("gb-tree", {
//     ".load": async (parent | null, {offset, signal}) => ({items, total}),
//     ".keyOf": (node) => node.id, ".isBranch": (node) => node.has_children, ".row": (node) => nodes, ".label": "...",
//     ".selected": id, onpick: (event) => event.detail,
//   })

import { View, define, h, newId } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { button, empty, errorState, skeleton } from "../lib/ui.js";
import { number, words } from "../lib/i18n.js";
import { isAbort } from "../lib/api.js";

export const strings = {
  zh: { "more": "再显示 {n} 项" },
  en: { "more": "Show {n} more" },
};
const t = words(strings);

const ROOT = Symbol("root");

export class Tree extends View {
  #load = null;
  #branches = new Map(); // key -> {items, total, error, loading}
  #open = new Set();
  #focused = null;
  #selected = null;
  #id = newId("tree");
  row = (node) => String(node);
  keyOf = (node) => node.id;
  isBranch = (node) => node.has_children;
  empty = () => empty();
  label = "";
  page = 200; // as many more when asked

  set load(value) {
    this.#load = value;
    if (this.isConnected) this.reload();
  }

  set selected(value) {
    this.#selected = value;
    if (this.isConnected) this.update();
  }

  start() {
    this.reload();
  }

  /** Load the root and all open branches again; what is open stays open. */
  async reload() {
    if (!this.#load) return;
    await this.#fetch(ROOT, null);
    await this.#again(ROOT);
  }

  async #again(key) {
    for (const node of this.#branches.get(key)?.items || []) {
      const own = this.keyOf(node);
      if (!this.#branches.get(own)?.items) continue;
      if (this.#open.has(own)) {
        await this.#fetch(own, node);
        await this.#again(own);
      } else this.#branches.delete(own);
    }
  }

  async #fetch(key, node, { more = false } = {}) {
    const branch = this.#branches.get(key) || { items: null, total: 0, error: null, loading: false };
    if (branch.loading) return;
    this.#branches.set(key, { ...branch, loading: true });
    this.update();
    try {
      const offset = more ? branch.items.length : 0;
      const { items, total } = await this.#load(node, { offset, limit: this.page, signal: this.signal });
      const all = more ? [...branch.items, ...items] : items;
      this.#branches.set(key, { items: all, total, error: null, loading: false });
      // The only thing at the top is opened: nobody wants to click through it.
      if (key === ROOT && items.length === 1 && this.isBranch(items[0])) this.#expand(items[0]);
    } catch (error) {
      if (isAbort(error)) {
        this.#branches.delete(key);
        return;
      }
      this.#branches.set(key, { ...branch, error, loading: false });
    }
    this.update();
  }

  #expand(node) {
    const key = this.keyOf(node);
    this.#open.add(key);
    const branch = this.#branches.get(key);
    if (!branch?.items) this.#fetch(key, node);
    this.update();
  }

  #toggle(node) {
    const key = this.keyOf(node);
    if (this.#open.has(key)) {
      this.#open.delete(key);
      this.update();
    } else this.#expand(node);
  }

  /** Open or close a branch. */
  toggle(node) {
    this.#toggle(node);
  }

  #pick(node) {
    this.#focused = this.keyOf(node);
    this.dispatchEvent(new CustomEvent("pick", { detail: node }));
    this.update();
  }

  /** What is in sight, in order: [{node, level, parent}]. */
  #visible(key = ROOT, level = 1, parent = null) {
    const found = [];
    for (const node of this.#branches.get(key)?.items || []) {
      found.push({ node, level, parent });
      const own = this.keyOf(node);
      if (this.#open.has(own)) found.push(...this.#visible(own, level + 1, node));
    }
    return found;
  }

  #key(event) {
    if (event.target.closest("button")) return;
    const seen = this.#visible();
    const at = Math.max(0, seen.findIndex(({ node }) => this.keyOf(node) === this.#focused));
    const { node, parent } = seen[at] || {};
    if (!node) return;
    const key = this.keyOf(node);
    const focus = (target) => {
      if (!target) return;
      this.#focused = this.keyOf(target);
      this.update();
      queueMicrotask(() => this.querySelector('[role="treeitem"][tabindex="0"]')?.focus());
    };
    if (event.key === "ArrowDown") focus(seen[at + 1]?.node);
    else if (event.key === "ArrowUp") focus(seen[at - 1]?.node);
    else if (event.key === "Home") focus(seen[0].node);
    else if (event.key === "End") focus(seen.at(-1).node);
    else if (event.key === "ArrowRight") {
      if (this.isBranch(node) && !this.#open.has(key)) this.#expand(node);
      else if (this.#open.has(key)) focus(seen[at + 1]?.node);
    } else if (event.key === "ArrowLeft") {
      if (this.#open.has(key)) this.#toggle(node);
      else focus(parent);
    } else if (event.key === "Enter" || event.key === " ") this.#pick(node);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  render() {
    const root = this.#branches.get(ROOT);
    if (root?.error && !root.items) return errorState(root.error, { retry: () => this.reload() });
    if (!root?.items) return skeleton(6);
    if (!root.items.length) return this.empty();
    if (this.#focused === null) this.#focused = this.keyOf(root.items[0]);
    return h("ul", { class: "tree", role: "tree", "aria-label": this.label, onkeydown: (event) => this.#key(event) },
      this.#items(ROOT, null, 1));
  }

  #items(key, parent, level) {
    const branch = this.#branches.get(key);
    if (!branch || (branch.loading && !branch.items)) return h("li", { class: "tree-note", role: "none" }, skeleton(2));
    if (branch.error && !branch.items) {
      return h("li", { class: "tree-note", role: "none" },
        errorState(branch.error, { compact: true, retry: () => this.#fetch(key, parent) }));
    }
    const rest = branch.total - branch.items.length;
    return [
      ...branch.items.map((node) => this.#item(node, level)),
      rest > 0 ? h("li", { class: "tree-note", role: "none", key: "more" },
        button(t("more", { n: number(Math.min(rest, this.page)) }), {
          small: true, busy: branch.loading, onclick: () => this.#fetch(key, parent, { more: true }),
        })) : null,
    ];
  }

  #item(node, level) {
    const key = this.keyOf(node);
    const open = this.#open.has(key);
    const isBranch = this.isBranch(node);
    return h("li", { key, class: "tree-item", role: "none" },
      h("div", {
        class: "tree-row", role: "treeitem", id: `${this.#id}-${key}`, "aria-level": level,
        "aria-expanded": isBranch ? String(open) : null, "aria-selected": String(key === this.#selected),
        tabindex: key === this.#focused ? "0" : "-1", style: { "--level": level },
        onclick: (event) => {
          if (event.target.closest(".tree-twist")) this.#toggle(node);
          else this.#pick(node);
        },
        ondblclick: () => isBranch && this.#toggle(node),
      }, isBranch ? h("span", { class: ["tree-twist", open && "tree-open"], "aria-hidden": "true" }, icon("chevron", { size: 16 }))
        : h("span", { class: "tree-twist-none", "aria-hidden": "true" }), this.row(node)),
      open && h("ul", { class: "tree-branch", role: "group" }, this.#items(key, node, level + 1)));
  }
}

define("gb-tree", Tree);

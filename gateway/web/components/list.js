// <gb-list>: a list of any length of which only what is in sight exists.
//
//   h("gb-list", {
//     ".load": async ({offset, limit, signal}) => ({items, total}),   // a new function loads anew
//     ".row": (item, index) => node, ".rowHeight": 52, ".keyOf": (item) => id, ".empty": () => node, ".label": "..."
//     onpick: (event) => event.detail,     // Enter or a click on a row; arrows move
//   })

import { View, define, h } from "../lib/element.js";
import { empty, errorState, skeleton } from "../lib/ui.js";
import { isAbort } from "../lib/api.js";
import { newId } from "../lib/element.js";

const PAGE = 100;
const PAGES_KEPT = 30;
const SPARE = 6; // rows beyond either edge
const TALLEST = 8_000_000; // pixels; browsers have no taller elements

export class List extends View {
  #load = null;
  #pages = new Map();
  #asking = new Map();
  #total = null;
  #error = null;
  #current = 0;
  #round = 0;
  #stale = false; // what is shown answers an earlier question; it stays until the new answer is there
  #id = newId("list");
  row = (item) => String(item);
  rowHeight = 52;
  keyOf = (item) => item.id;
  empty = () => empty();
  label = "";

  set load(value) {
    this.#load = value;
    if (this.isConnected) this.reload();
  }

  get total() {
    return this.#total;
  }

  start() {
    this.on("click", "[data-index]", (event, row) => {
      if (!event.target.closest("a, button")) this.#pick(Number(row.dataset.index));
    });
    const watch = new ResizeObserver(() => this.update());
    watch.observe(this);
    this.signal.addEventListener("abort", () => watch.disconnect());
    this.reload();
  }

  reload() {
    for (const asking of this.#asking.values()) asking.abort();
    this.#asking.clear();
    this.#stale = true;
    this.#round += 1;
    this.#error = null;
    this.#need(0);
  }

  async #need(page) {
    if (!this.#load || this.#asking.has(page) || (this.#stale ? page > 0 : this.#pages.has(page))) return;
    const asking = new AbortController();
    const round = this.#round;
    this.#asking.set(page, asking);
    this.signal?.addEventListener("abort", () => asking.abort(), { once: true });
    try {
      const { items, total } = await this.#load({ offset: page * PAGE, limit: PAGE, signal: asking.signal });
      if (round !== this.#round) return;
      if (this.#stale) {
        this.#stale = false;
        this.#pages.clear();
        this.#current = 0;
        this.#scroller?.scrollTo(0, 0);
      }
      this.#total = total;
      this.#pages.set(page, items);
      while (this.#pages.size > PAGES_KEPT) this.#pages.delete(this.#pages.keys().next().value);
      this.dispatchEvent(new CustomEvent("loaded", { detail: { total } }));
    } catch (error) {
      if (isAbort(error) || round !== this.#round) return;
      this.#error = error;
    } finally {
      if (this.#asking.get(page) === asking) this.#asking.delete(page);
    }
    this.update();
  }

  get #scroller() {
    return this.querySelector(".list-scroll");
  }

  #item(index) {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  #pick(index) {
    const item = this.#item(index);
    if (item === undefined) return;
    this.#current = index;
    this.update();
    this.dispatchEvent(new CustomEvent("pick", { detail: item }));
  }

  #key(event) {
    const page = Math.max(1, Math.floor((this.#scroller?.clientHeight || 0) / this.rowHeight) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Enter") this.#pick(this.#current);
    else if (step !== undefined) {
      this.#current = Math.min(this.#total - 1, Math.max(0, this.#current + step));
      this.#reveal();
      this.update();
    } else return;
    event.preventDefault();
  }

  #reveal() {
    const scroller = this.#scroller;
    const top = this.#current * this.rowHeight;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + this.rowHeight > scroller.scrollTop + scroller.clientHeight) {
      scroller.scrollTop = top + this.rowHeight - scroller.clientHeight;
    }
  }

  render() {
    if (this.#error) return errorState(this.#error, { retry: () => this.reload() });
    if (this.#total === null) return h("div", { class: "table-waiting" }, skeleton(8));
    if (this.#total === 0) return this.empty();
    const scroller = this.#scroller;
    const top = scroller?.scrollTop || 0;
    const height = scroller?.clientHeight || this.clientHeight || 600;
    const first = Math.max(0, Math.floor(top / this.rowHeight) - SPARE);
    const last = Math.min(this.#total, Math.ceil((top + height) / this.rowHeight) + SPARE);
    const rows = [];
    for (let index = first; index < last; index += 1) {
      const item = this.#item(index);
      if (item === undefined) this.#need(Math.floor(index / PAGE));
      rows.push(h("div", {
        key: index, id: `${this.#id}-${index}`, role: "option", class: "list-row", "data-index": index,
        "aria-selected": String(index === this.#current), "aria-setsize": this.#total, "aria-posinset": index + 1,
        style: { top: `${index * this.rowHeight}px`, height: `${this.rowHeight}px` },
      }, item === undefined ? skeleton(1) : this.row(item, index)));
    }
    return h("div", {
      class: "list-scroll", role: "listbox", tabindex: "0", "aria-label": this.label,
      "aria-activedescendant": `${this.#id}-${this.#current}`, onscroll: () => this.update(), onkeydown: (event) => this.#key(event),
    }, h("div", { class: "list-space", style: { height: `${Math.min(TALLEST, this.#total * this.rowHeight)}px` } }, rows));
  }
}

define("gb-list", List);

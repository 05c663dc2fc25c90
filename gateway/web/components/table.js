// <gb-table>: a table with pages that come from the server, and its loading, empty and error states.
//
//   h("gb-table", {
//     ".columns": [{id, title, cell: (row) => node, class, hide: "phone"}],
//     ".load": async ({offset, limit, signal}) => ({items, total}),     // a new function loads anew
//     ".keyOf": (row) => row.id, ".hrefOf": (row) => "#/...", ".empty": () => node, ".label": "Devices",
//   })
// On a phone rows become cards: each cell is labelled with its column's title. `reload()` loads the page again.

import { View, define, h } from "../lib/element.js";
import { empty, errorState, iconButton, skeleton } from "../lib/ui.js";
import { number, t } from "../lib/i18n.js";
import { isAbort } from "../lib/api.js";

export class Table extends View {
  #load = null;
  #asking = null;
  #state = { items: null, total: 0, error: null, offset: 0 };
  #columns = [];
  limit = 50;
  keyOf = (row) => row.id;
  hrefOf = null;
  empty = () => empty();
  label = "";
  live = 0; // milliseconds; 0: only when asked

  set columns(value) {
    this.#columns = value;
    if (this.isConnected) this.update();
  }

  set load(value) {
    this.#load = value;
    this.#state = { ...this.#state, offset: 0, error: null };
    if (this.isConnected) this.reload();
  }

  /** The number of rows in all, once known. */
  get total() {
    return this.#state.total;
  }

  start() {
    if (this.live) this.every(this.live, () => this.reload({ quiet: true }));
    else this.reload();
  }

  async reload({ quiet = false } = {}) {
    if (!this.#load) return;
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.signal?.addEventListener("abort", () => asking.abort(), { once: true });
    if (!quiet) this.toggleAttribute("busy", true);
    try {
      const { offset } = this.#state;
      const { items, total } = await this.#load({ offset, limit: this.limit, signal: asking.signal });
      this.#state = { items, total, error: null, offset };
    } catch (error) {
      if (isAbort(error)) return;
      // What is shown already stays when a refreshment fails.
      if (!quiet || this.#state.items === null) this.#state = { ...this.#state, error, items: null };
    }
    this.removeAttribute("busy");
    this.update();
    this.dispatchEvent(new CustomEvent("loaded", { detail: this.#state }));
  }

  #page(offset) {
    this.#state = { ...this.#state, offset };
    this.reload();
    this.querySelector(".table-scroll")?.scrollTo({ top: 0 });
  }

  render() {
    const { items, total, error, offset } = this.#state;
    if (error) return errorState(error, { retry: () => this.reload() });
    if (items === null) return h("div", { class: "table-waiting" }, skeleton(6));
    if (!items.length && offset === 0) return this.empty();
    return [
      h("div", { class: "table-scroll" }, h("table", { class: "table", "aria-label": this.label },
        h("thead", null, h("tr", null, this.#columns.map((column) =>
          h("th", { scope: "col", class: [column.class, column.hide && `hide-${column.hide}`] }, column.title)))),
        h("tbody", null, items.map((row) => this.#row(row))))),
      total > this.limit || offset ? this.#pager(offset, items.length, total) : null,
    ];
  }

  #row(row) {
    const href = this.hrefOf?.(row);
    const open = href && ((event) => {
      // The link in the row is for the keyboard; a click anywhere else in the row does the same.
      if (event.target.closest("a, button, input, label, summary") || String(getSelection())) return;
      location.hash = href.slice(1);
    });
    return h("tr", { key: this.keyOf(row), class: href && "table-link", onclick: open || null }, this.#columns.map((column) =>
      h("td", { class: [column.class, column.hide && `hide-${column.hide}`], "data-title": column.title }, column.cell(row))));
  }

  #pager(offset, shown, total) {
    const text = t("page.of", { from: number(offset + 1), to: number(offset + shown), total: number(total) });
    return h("nav", { class: "pager", "aria-label": text }, h("span", { class: "pager-text", "aria-live": "polite" }, text),
      iconButton("chevron", t("previous"), {
        class: "flip", disabled: offset === 0, onclick: () => this.#page(Math.max(0, offset - this.limit)),
      }),
      iconButton("chevron", t("next"), { disabled: offset + shown >= total, onclick: () => this.#page(offset + this.limit) }));
  }
}

define("gb-table", Table);

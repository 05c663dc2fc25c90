// <gb-since .at=ISO>: how long ago, kept current; the exact time on hover and for machines.

import { View, define, h } from "../lib/element.js";
import { ago, dateTime } from "../lib/i18n.js";

const all = new Set();
setInterval(() => {
  if (!document.hidden) for (const item of all) item.update();
}, 15_000);

export class Since extends View {
  #at = null;

  set at(value) {
    this.#at = value;
    if (this.isConnected) this.update();
  }

  start() {
    all.add(this);
  }

  stop() {
    all.delete(this);
  }

  render() {
    if (!this.#at) return "–";
    return h("time", { datetime: this.#at, title: dateTime(this.#at, { full: true }) }, ago(this.#at));
  }
}

define("gb-since", Since);

/** since(iso): the element. */
export const since = (at) => h("gb-since", { ".at": at });

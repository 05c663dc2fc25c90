// <gb-sync .device=...>: the catalogue of a device and its synchronisation, with progress while it runs.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { codes } from "../lib/codes.js";
import { number, words } from "../lib/i18n.js";
import { may } from "../lib/session.js";
import { badge, button, card, facts, meter, technical } from "../lib/ui.js";
import { since } from "./since.js";
import { toast, toastError } from "./toast.js";

export const strings = {
  zh: { "title": "目录", "sync": "同步目录", "at": "上次同步", "channels": "通道", "never": "尚未同步", "progress": "已收到 {got} / {of}", "got": "已收到 {got}",
    "last": "最近结果", "added": "新增 {n}", "removed": "移除 {n}", "changed": "变更 {n}", "kept": "不完整，保留 {n}", "same": "没有变化", "done": "目录已同步" },
  en: { "title": "Catalogue", "sync": "Synchronise", "at": "Last synchronised", "channels": "Channels", "never": "Not yet",
    "progress": "{got} of {of} received", "got": "{got} received", "last": "Latest result", "added": "{n} added", "removed": "{n} removed",
    "changed": "{n} changed", "kept": "incomplete, {n} kept", "same": "no change", "done": "Catalogue synchronised" },
};
const t = words(strings);

const LOOK = 700; // milliseconds between two looks while it runs

class Sync extends View {
  #device = null;
  #state = null;
  #asking = false;
  changed = () => {};

  set device(value) {
    const other = value?.device_id !== this.#device?.device_id;
    this.#device = value;
    if (other && this.isConnected) this.#look();
    if (this.isConnected) this.update();
  }

  start() {
    this.#look();
  }

  get #path() {
    return `devices/${encodeURIComponent(this.#device.device_id)}/sync`;
  }

  get #running() {
    return this.#asking || ["queued", "asking", "receiving"].includes(this.#state?.state);
  }

  async #look() {
    if (!this.#device?.catalog_at) return;
    try {
      this.#state = await api.get(this.#path, { signal: this.signal });
    } catch (error) {
      if (!isAbort(error) && error.status !== 404) toastError(error);
    }
    this.update();
    if (this.#running) this.#follow();
  }

  async #sync() {
    this.#asking = true;
    this.update();
    try {
      this.#state = await api.post(this.#path, undefined, { signal: this.signal });
      this.#asking = false;
      this.#follow();
    } catch (error) {
      this.#asking = false;
      toastError(error);
    }
    this.update();
  }

  async #follow() {
    const { signal } = this;
    while (this.#running && !signal.aborted) {
      await new Promise((resolve) => { setTimeout(resolve, LOOK); });
      try {
        this.#state = await api.get(this.#path, { signal });
      } catch (error) {
        if (isAbort(error)) return;
        break;
      }
      this.update();
    }
    if (signal.aborted) return;
    if (this.#state?.state === "done") toast(t("done"));
    this.changed();
  }

  render() {
    const device = this.#device;
    const state = this.#state;
    if (!device) return null;
    return card({
      title: t("title"),
      actions: may("operator") && button(t("sync"), { icon: "refresh", small: true, busy: this.#running, onclick: () => this.#sync() }),
    }, h("div", { class: "stack" }, facts([
      [t("channels"), number(device.channel_count)],
      [t("at"), device.catalog_at ? since(device.catalog_at) : t("never")],
      state && !this.#running && [t("last"), this.#result(state)],
    ]), this.#running && state ? this.#progress(state) : null,
    state?.state === "failed" && state.detail ? technical({ detail: state.detail }) : null));
  }

  #progress(state) {
    const text = state.expected ? t("progress", { got: number(state.received), of: number(state.expected) }) : t("got", { got: number(state.received) });
    return h("div", { class: "gauge", role: "status" }, h("div", { class: "gauge-head" }, h("span", null, codes.code("sync", state.state)), h("span", { class: "muted" }, text)),
      meter(state.expected ? state.received / state.expected : 0, { label: text, tone: "info" }));
  }

  #result(state) {
    if (state.state === "failed") return badge(codes("sync.failed"), "bad");
    const { diff } = state;
    if (!diff) return codes.code("sync", state.state);
    const parts = [["added", diff.added], ["removed", diff.removed], ["changed", diff.changed], ["kept", diff.kept_missing]]
      .filter(([, list]) => list.length).map(([name, list]) => t(name, { n: number(list.length) }));
    return parts.join(" · ") || t("same");
  }
}

define("gb-sync", Sync);

/** The catalogue of a device; `changed` is called after a synchronisation. */
export const syncCard = (device, changed) => h("gb-sync", { class: "block", ".device": device, ".changed": changed });

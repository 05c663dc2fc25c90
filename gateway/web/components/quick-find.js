// <gb-quick-find>: finds cameras and devices from every page. "/" focuses it; arrows, Enter and Escape as in any combo box.

import { View, define, h, newId } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { number, words } from "../lib/i18n.js";
import { api, isAbort } from "../lib/api.js";
import { go, link } from "../lib/route.js";
import { status } from "../lib/ui.js";
import { codes } from "../lib/codes.js";
import { hasPresence, kindIcon } from "./device-row.js";

export const strings = {
  zh: { "placeholder": "搜索通道、设备、地址", "label": "搜索通道和设备", "devices": "设备", "channels": "通道", "none": "没有找到“{q}”",
    "all": "查看全部 {n} 个通道", "failed": "搜索没有成功", "results": "找到 {n} 个通道" },
  en: { "placeholder": "Find a camera, device or address", "label": "Find channels and devices", "devices": "Devices",
    "channels": "Channels", "none": "Nothing matches “{q}”", "all": "Show all {n} channels", "failed": "The search failed",
    "results": "{n} channels found" },
};
const t = words(strings);

const WAIT = 120; // milliseconds without a key before asking
const CHANNELS = 8;
const DEVICES = 4;

export class QuickFind extends View {
  #id = newId("find");
  #q = "";
  #open = false;
  #current = -1;
  #found = null; // {q, devices, channels, total} or {q, error}
  #timer = null;
  #asking = null;

  start() {
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable], dialog")) return;
      event.preventDefault();
      this.querySelector("input")?.focus();
    }, { signal: this.signal });
    this.addEventListener("focusout", (event) => {
      if (!this.contains(event.relatedTarget)) this.#close();
    }, { signal: this.signal });
  }

  stop() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
  }

  #typed(text) {
    this.#q = text;
    this.#open = true;
    this.#current = -1;
    clearTimeout(this.#timer);
    this.#asking?.abort();
    if (text.trim()) this.#timer = setTimeout(() => this.#ask(text.trim()), WAIT);
    else this.#found = null;
    this.update();
  }

  async #ask(q) {
    const asking = new AbortController();
    this.#asking = asking;
    try {
      const [devices, channels] = await Promise.all([
        api.get("devices", { query: { q, limit: DEVICES }, signal: asking.signal }),
        api.get("channels", { query: { q, limit: CHANNELS }, signal: asking.signal }),
      ]);
      this.#found = { q, devices: devices.items, channels: channels.items, total: channels.total };
    } catch (error) {
      if (isAbort(error)) return;
      this.#found = { q, error };
    }
    this.update();
  }

  #options() {
    const found = this.#found;
    if (!found || found.error) return [];
    return [
      ...found.devices.map((item) => ({ kind: "device", item, href: link("devices", item.device_id) })),
      ...found.channels.map((item) => ({ kind: "channel", item, href: link("channels", item.device_id, item.channel_id) })),
      ...(found.total > found.channels.length ? [{ kind: "all", total: found.total, href: link("devices", { q: found.q }) }] : []),
    ];
  }

  #close() {
    this.#open = false;
    this.#current = -1;
    this.update();
  }

  #go(option) {
    this.#close();
    this.#q = "";
    this.#found = null;
    this.querySelector("input")?.blur();
    go(option.href);
    this.update();
  }

  #key(event) {
    const options = this.#options();
    if (event.key === "Escape") {
      if (this.#q) this.#typed("");
      else event.target.blur();
      this.#close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (options.length) this.#current = (this.#current + step + options.length + (this.#current < 0 && step < 0 ? 1 : 0)) % options.length;
      this.#open = true;
      this.update();
    } else if (event.key === "Enter") {
      if (options[this.#current]) this.#go(options[this.#current]);
      else if (this.#q.trim()) this.#go({ href: link("devices", { q: this.#q.trim() }) });
    } else return;
    event.preventDefault();
  }

  render() {
    const options = this.#options();
    const shown = this.#open && this.#q.trim() && this.#found;
    return [
      icon("search", { size: 18, class: "search-icon" }),
      h("input", {
        type: "search", class: "input search-input", role: "combobox", "aria-label": t("label"), placeholder: t("placeholder"),
        "aria-expanded": String(Boolean(shown)), "aria-controls": `${this.#id}-list`, "aria-autocomplete": "list", autocomplete: "off",
        spellcheck: "false", enterkeyhint: "search", ".value": this.#q,
        "aria-activedescendant": shown && this.#current >= 0 ? `${this.#id}-${this.#current}` : null,
        oninput: (event) => this.#typed(event.target.value), onkeydown: (event) => this.#key(event),
        onfocus: () => { this.#open = true; this.update(); },
      }),
      h("kbd", { class: "find-key", "aria-hidden": "true" }, "/"),
      shown && h("div", { class: "find-panel", role: "listbox", id: `${this.#id}-list`, "aria-label": t("label") },
        this.#found.error ? h("p", { class: "find-note" }, t("failed"), " — ", this.#found.error.words?.title) :
          options.length ? options.map((option, index) => this.#option(option, index, options)) :
            h("p", { class: "find-note" }, t("none", { q: this.#found.q }))),
      h("span", { class: "visually-hidden", role: "status" }, shown && !this.#found.error ? t("results", { n: this.#found.total }) : ""),
    ];
  }

  #option(option, index, options) {
    const head = index === 0 || options[index - 1].kind !== option.kind;
    const title = { device: t("devices"), channel: t("channels") }[option.kind];
    return [
      head && title && h("div", { class: "find-head", role: "presentation" }, title),
      h("a", {
        class: ["find-option", option.kind === "all" && "find-all"], id: `${this.#id}-${index}`, role: "option", href: option.href,
        tabindex: "-1", "aria-selected": String(index === this.#current),
        onclick: (event) => {
          event.preventDefault();
          this.#go(option);
        },
      }, option.kind === "all" ? t("all", { n: number(option.total) }) : this.#words(option)),
    ];
  }

  #words({ kind, item }) {
    const id = kind === "device" ? item.device_id : item.channel_id;
    return [
      kindIcon(kind === "device" ? "registered" : item.kind, { size: 18 }),
      h("span", { class: "find-text" }, h("span", { class: "find-name" }, item.name || id),
        h("span", { class: "find-id" }, id, kind === "channel" && item.address ? ` · ${item.address}` : "",
          kind === "channel" && item.kind !== "camera" ? ` · ${codes.code("kind", item.kind)}` : "")),
      (kind === "device" || hasPresence(item.kind)) && status(item.online ? t("online") : t("offline"), item.online ? "good" : "bad"),
    ];
  }
}

define("gb-quick-find", QuickFind);

// Devices: the tree of civil codes, devices and channels; search over all channels; the list of devices.

import { View, define, h } from "../lib/element.js";
import { api } from "../lib/api.js";
import { number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { button, empty, iconButton, pageHead, searchField, segmented } from "../lib/ui.js";
import { channelRow, devicePresence, deviceTitle, isVideo, treeRow } from "../components/device-row.js";
import { since } from "../components/since.js";
import { isLocal } from "../lib/session.js";
import "../components/list.js";
import "../components/table.js";
import "../components/tree.js";

export const strings = {
  zh: {
    "title": "设备", "tree": "目录树", "channels": "通道", "devices": "设备", "view": "显示", "find": "按名称、编码或地址搜索",
    "state": "在线状态", "found": "{n} 个通道", "found.devices": "{n} 台设备", "only": "仅 {name}", "clear.device": "取消设备筛选",
    "col.device": "设备", "col.state": "状态", "col.since": "自", "col.channels": "通道", "col.model": "厂商与型号", "col.address": "地址",
    "empty.devices": "还没有设备注册", "empty.devices.hint": "在设备的 GB/T 28181 设置中填写本网关的地址、编码和密码，注册后会出现在这里。",
    "empty.channels": "没有符合条件的通道", "empty.tree": "目录树是空的", "outside.empty": "目前没有与您共享的通道",
    "outside.empty.hint": "获得授权后会出现在这里。",
  },
  en: {
    "title": "Devices", "tree": "Tree", "channels": "Channels", "devices": "Devices", "view": "Show", "find": "Find by name, code or address",
    "state": "Presence", "found": "{n} channels", "found.devices": "{n} devices", "only": "Only {name}", "clear.device": "All devices again",
    "col.device": "Device", "col.state": "State", "col.since": "Since", "col.channels": "Channels", "col.model": "Maker and model",
    "col.address": "Address", "empty.devices": "No device has registered yet",
    "empty.devices.hint": "Enter this gateway's address, code and password in the GB/T 28181 settings of a device; it then appears here.",
    "empty.channels": "No channel fits", "empty.tree": "The tree is empty", "outside.empty": "Nothing is shared with you now",
    "outside.empty.hint": "What you are granted appears here.",
  },
};
const t = words(strings);

const WAIT = 150; // milliseconds without a key before searching

export default define("page-devices", class extends View {
  #q = "";
  #timer = null;
  #total = null;
  #asked = null;
  #load = null;

  start() {
    this.classList.add("full-view");
    this.#q = this.route.query.q || "";
  }

  stop() {
    clearTimeout(this.#timer);
  }

  routed() {
    const q = this.route.query.q || "";
    if (q !== this.#q.trim()) this.#q = q;
    this.update();
  }

  get #view() {
    const { view } = this.route.query;
    return ["tree", "devices"].includes(view) ? view : "channels";
  }

  get #online() {
    const { online } = this.route.query;
    return online === "true" || online === "false" ? online : "";
  }

  #change(changes) {
    const query = { ...this.route.query, ...changes };
    go(link("devices", query), { replace: true });
  }

  #typed(text) {
    this.#q = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#change({ q: text.trim() }), WAIT);
    this.update();
  }

  /** The same function as long as the question is the same, so that lists load anew only when it changes. */
  #loader(path, query) {
    const asked = JSON.stringify([path, query]);
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#total = null;
      this.#load = ({ offset, limit, signal }) => api.get(path, { query: { ...query, offset, limit }, signal });
    }
    return this.#load;
  }

  render() {
    const view = this.#view;
    return h("div", { class: "page page-full devices" },
      h("div", { class: "devices-top" },
        pageHead({ title: t("title"), note: this.#count(view) }),
        h("div", { class: "toolbar" },
          searchField({ value: this.#q, label: t("find"), oninput: (text) => this.#typed(text), class: "toolbar-search input search-input" }),
          segmented([["channels", t("channels")], ["devices", t("devices")], ["tree", t("tree")]], view,
            (id) => this.#change({ view: id === "channels" ? null : id }), { label: t("view") }),
          view === "tree" ? null : segmented([["", t("all")], ["true", t("online")], ["false", t("offline")]], this.#online,
            (id) => this.#change({ online: id }), { label: t("state") }),
          this.#filter())),
      h("div", { class: ["devices-panes", view === "devices" && "devices-panes-one"] },
        view === "devices" ? null : h("aside", { class: ["card", "devices-tree", view === "tree" && "devices-tree-only"], "aria-label": t("tree") }, this.#tree()),
        view === "tree" ? null : h("div", { class: "card devices-list" }, view === "devices" ? this.#devices() : this.#channels())));
  }

  #count(view) {
    if (view === "tree" || this.#total === null) return null;
    return h("span", { role: "status" }, t(view === "devices" ? "found.devices" : "found", { n: number(this.#total) }));
  }

  #filter() {
    const { device, name } = this.route.query;
    if (!device) return null;
    return h("span", { class: "chip chip-filter" }, h("span", { class: "truncate" }, t("only", { name: name || device })),
      iconButton("close", t("clear.device"), { small: true, onclick: () => this.#change({ device: null, name: null }) }));
  }

  #tree() {
    return h("gb-tree", {
      ".load": loadTree, ".row": treeRow, ".label": t("tree"), ".isBranch": isBranch, ".selected": this.#selected(),
      ".empty": () => this.#nothing(t("empty.tree")),
      onpick: (event) => this.#picked(event.detail),
    });
  }

  #selected() {
    return this.route.query.device ? `device:${this.route.query.device}` : null;
  }

  #picked(node) {
    if (node.kind === "civil") this.querySelector("gb-tree").toggle(node);
    else if (node.kind === "registered") {
      if (this.#view === "tree") go(link("devices", node.device_id));
      else this.#change({ device: node.device_id, name: node.name, view: null });
    } else if (node.branch && !isVideo(node)) this.querySelector("gb-tree").toggle(node);
    else go(link("channels", node.device_id, node.channel_id));
  }

  #channels() {
    const { q, device } = this.route.query;
    return h("gb-list", {
      class: "fill", ".load": this.#loader("channels", { q, device_id: device, online: this.#online }), ".row": channelRow, ".rowHeight": 56,
      ".keyOf": (channel) => `${channel.device_id}/${channel.channel_id}`, ".label": t("channels"),
      ".empty": () => (q ? empty({ title: t("empty.search", { q }), hint: t("empty.search.hint"), icon: "search" })
        : this.#nothing(this.#online || device ? t("empty.channels") : null)),
      onpick: (event) => go(link("channels", event.detail.device_id, event.detail.channel_id)),
      onloaded: (event) => this.#counted(event),
    });
  }

  #devices() {
    const { q } = this.route.query;
    const local = isLocal();
    return h("gb-table", {
      class: "fill-scroll", ".label": t("devices"), ".load": this.#loader("devices", { q, online: this.#online }),
      ".keyOf": (device) => device.device_id, ".hrefOf": (device) => link("devices", device.device_id),
      ".empty": () => (q ? empty({ title: t("empty.search", { q }), hint: t("empty.search.hint"), icon: "search" })
        : this.#nothing(this.#online ? t("empty.search", { q: t(this.#online === "true" ? "online" : "offline") }) : null)),
      ".columns": [
        { id: "device", title: t("col.device"), class: "wide", cell: deviceTitle },
        { id: "state", title: t("col.state"), cell: devicePresence },
        { id: "since", title: t("col.since"), cell: (device) => h("span", { class: "nowrap" }, since(device.status_since)) },
        { id: "channels", title: t("col.channels"), class: "right", cell: (device) => number(device.channel_count) },
        local && { id: "model", title: t("col.model"), hide: "phone", cell: (device) => [device.manufacturer, device.model].filter(Boolean).join(" ") || "–" },
        local && { id: "address", title: t("col.address"), hide: "phone", cell: (device) => (device.address
          ? h("span", { class: "mono nowrap" }, `${device.address.transport} ${device.address.host}:${device.address.port}`) : "–") },
      ].filter(Boolean),
      onloaded: (event) => this.#counted(event),
    });
  }

  #counted(event) {
    if (event.detail.total === this.#total) return;
    this.#total = event.detail.total ?? null;
    this.update();
  }

  #nothing(title) {
    if (title) {
      return empty({ title, icon: "search", action: button(t("clear"), { onclick: () => this.#change({ online: null, device: null, name: null, q: null }) }) });
    }
    return isLocal()
      ? empty({ title: t("empty.devices"), hint: t("empty.devices.hint"), icon: "devices" })
      : empty({ title: t("outside.empty"), hint: t("outside.empty.hint"), icon: "devices" });
  }
});

const isBranch = (node) => node.branch;

async function loadTree(parent, { offset, limit, signal }) {
  return api.get("tree", { query: { parent: parent?.id, offset, limit }, signal });
}

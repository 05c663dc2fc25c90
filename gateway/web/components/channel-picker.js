// <gb-channel-picker>: finds channels: by a search over all of them, else by the tree of civil codes and devices.
// Rows can be dragged (pages/live-words.js DRAG).
//
//   h("gb-channel-picker", {onpick: (event) => event.detail /* {device, channel, name, ptzType} */, ".marked": Set of "d/c"})

import { api } from "../lib/api.js";
import { View, define, h } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { number, words } from "../lib/i18n.js";
import { isLocal } from "../lib/session.js";
import { empty, searchField } from "../lib/ui.js";
import { isVideo, treeRow } from "./device-row.js";
import { DRAG } from "../pages/live-words.js";
import "./list.js";
import "./tree.js";

export const strings = {
  zh: { search: "搜索通道", list: "通道", tree: "设备与通道", none: "还没有通道", none_hint: "设备注册并上报目录后，通道会出现在这里。",
    found: "找到 {n} 个通道", online_only: "仅在线", offline: "离线" },
  en: { search: "Find channels", list: "Channels", tree: "Devices and channels", none: "No channels yet",
    none_hint: "They appear once a device has registered and sent its catalogue.", found: "{n} channels found",
    online_only: "Online only", offline: "Offline" },
};
const t = words(strings);
const WAIT = 150; // milliseconds without a key before asking

/** What the wall and the recordings need of a channel. */
export const cellOf = (channel) => ({
  device: channel.device_id, channel: channel.channel_id, name: channel.name || "", ptzType: channel.ptz_type ?? null,
});

export class ChannelPicker extends View {
  #q = "";
  #typed = "";
  #online = false;
  #timer = 0;
  #total = null;
  #load = null;
  #marked = new Set();

  set marked(value) {
    this.#marked = value;
    if (this.isConnected) this.update();
  }

  start() {
    this.#searchAnew();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #type(text) {
    this.#typed = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#q = text.trim();
      this.#searchAnew();
    }, WAIT);
    this.update();
  }

  #searchAnew() {
    const query = { q: this.#q, kind: "camera", online: this.#online ? "true" : null };
    this.#total = null;
    // A new function: the list loads anew.
    this.#load = ({ offset, limit, signal }) => api.get("channels", { query: { ...query, offset, limit }, signal });
    this.update();
  }

  #pick(channel) {
    this.dispatchEvent(new CustomEvent("pick", { detail: cellOf(channel) }));
  }

  #row(channel, withAddress) {
    const key = `${channel.device_id}/${channel.channel_id}`;
    return h("span", {
      class: ["pick-row", this.#marked.has(key) && "pick-marked", !channel.online && "pick-offline"], draggable: "true",
      "data-channel": key, title: `${channel.name}\n${key}${channel.online ? "" : `\n${t("offline")}`}`,
      ondragstart: (event) => {
        event.dataTransfer.setData(DRAG, JSON.stringify(cellOf(channel)));
        event.dataTransfer.effectAllowed = "copyMove";
      },
    },
      icon(channel.ptz_type === 1 ? "ptz" : "camera", { size: 16 }),
      h("span", { class: "pick-text" }, h("span", { class: "pick-name" }, channel.name || channel.channel_id),
        withAddress ? h("span", { class: "pick-note" }, channel.address || channel.channel_id) : null),
      channel.online ? null : h("span", { class: "pick-state" }, t("offline")));
  }

  render() {
    const flat = this.#q !== "" || this.#online || !isLocal();
    return [
      h("div", { class: "pick-head" },
        searchField({ value: this.#typed, label: t("search"), oninput: (text) => this.#type(text) }),
        h("label", { class: "check pick-check" },
          h("input", { type: "checkbox", class: "check-box", ".checked": this.#online, onchange: (event) => {
            this.#online = event.target.checked;
            this.#searchAnew();
          } }), h("span", null, t("online_only"))),
        flat && this.#total !== null ? h("p", { class: "pick-found", role: "status" }, t("found", { n: number(this.#total) })) : null),
      flat ? h("gb-list", {
        class: "pick-list", key: "list", ".load": this.#load, ".row": (channel) => this.#row(channel, true), ".rowHeight": 48,
        ".keyOf": (channel) => `${channel.device_id}/${channel.channel_id}`, ".label": t("list"),
        ".empty": () => (this.#q ? empty({ title: t("empty.search", { q: this.#q }), hint: t("empty.search.hint"), icon: "search" })
          : empty({ title: t("none"), hint: t("none_hint"), icon: "camera" })),
        onpick: (event) => this.#pick(event.detail), onloaded: (event) => { this.#total = event.detail.total; this.update(); },
      }) : h("div", { class: "pick-tree", key: "tree" }, h("gb-tree", {
        ".load": loadTree, ".keyOf": (node) => node.id, ".isBranch": (node) => node.branch, ".label": t("tree"),
        ".row": (node) => (isVideo(node) ? this.#row(node, false) : treeRow(node)),
        ".empty": () => empty({ title: t("none"), hint: t("none_hint"), icon: "camera" }),
        onpick: (event) => {
          if (isVideo(event.detail)) this.#pick(event.detail);
          else event.currentTarget.toggle(event.detail);
        },
      })),
    ];
  }
}

const loadTree = (parent, { offset, limit, signal }) =>
  api.get("tree", { query: { parent: parent?.id, offset, limit }, signal });

define("gb-channel-picker", ChannelPicker);

// Upper platforms: how each link is, why not, and since when.

import { View, define, h } from "../lib/element.js";
import { api } from "../lib/api.js";
import { number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { button, empty, pageHead, searchField, segmented } from "../lib/ui.js";
import { linkStatus, remedyText, subscriptionText } from "../components/platform-words.js";
import { editPlatform } from "../components/platform-editor.js";
import { since } from "../components/since.js";
import "../components/table.js";

export const strings = {
  zh: {
    "title": "上级平台", "add": "添加平台", "find": "按名称或编码搜索", "state": "状态", "waiting": "未注册", "disabled": "已停用", "found": "{n} 个平台",
    "col.platform": "平台", "col.since": "自", "col.address": "地址", "col.items": "目录项", "col.subscriptions": "订阅", "col.streams": "点播",
    "empty": "还没有上级平台", "empty.hint": "添加后，本级向上级注册，并按共享策略上报目录和视频。", "empty.state": "没有处于此状态的平台", "none": "无",
    "off": "停用",
  },
  en: {
    "title": "Platforms", "add": "Add a platform", "find": "Find by name or code", "state": "State", "waiting": "Not registered", "disabled": "Disabled",
    "found": "{n} platforms", "col.platform": "Platform", "col.since": "Since", "col.address": "Address", "col.items": "Items",
    "col.subscriptions": "Subscriptions", "col.streams": "Streams", "empty": "There is no upper platform yet",
    "empty.hint": "This gateway registers at those you add, and gives them what the sharing policy allows.",
    "empty.state": "No platform is in this state", "none": "None", "off": "Disabled",
  },
};
const t = words(strings);

const EVERY = 5_000; // milliseconds
const WAIT = 150; // milliseconds without a key before searching

export default define("page-platforms", class extends View {
  #q = "";
  #timer = null;
  #asked = null;
  #load = null;
  #total = null;

  start() {
    this.#q = this.route.query.q || "";
  }

  stop() {
    clearTimeout(this.#timer);
  }

  routed() {
    this.update();
  }

  #change(changes) {
    go(link("platforms", { ...this.route.query, ...changes }), { replace: true });
  }

  #loader() {
    const { q, state } = this.route.query;
    const asked = JSON.stringify([q, state]);
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#load = ({ offset, limit, signal }) => api.get("platforms", { query: { q, state, offset, limit }, signal });
    }
    return this.#load;
  }

  render() {
    const { q, state = "" } = this.route.query;
    return h("div", { class: "page" },
      pageHead({
        title: t("title"), note: this.#total === null ? null : h("span", { role: "status" }, t("found", { n: number(this.#total) })),
        aside: may("admin") && button(t("add"), { kind: "primary", icon: "plus", onclick: () => this.#add() }),
      }),
      h("div", { class: "toolbar" },
        searchField({ value: this.#q, label: t("find"), oninput: (text) => {
          this.#q = text;
          clearTimeout(this.#timer);
          this.#timer = setTimeout(() => this.#change({ q: text.trim() }), WAIT);
        } }),
        segmented([["", t("all")], ["online", t("online")], ["waiting", t("waiting")], ["disabled", t("disabled")]], state,
          (id) => this.#change({ state: id }), { label: t("state") })),
      h("div", { class: "card" }, h("gb-table", {
        ".label": t("title"), ".live": EVERY, ".load": this.#loader(), ".keyOf": (row) => row.platform_id,
        ".hrefOf": (row) => link("platforms", row.platform_id), onloaded: (event) => this.#counted(event.detail.total),
        ".empty": () => (q ? empty({ title: t("empty.search", { q }), hint: t("empty.search.hint"), icon: "search" })
          : state ? empty({ title: t("empty.state"), icon: "platforms", action: button(t("clear"), { onclick: () => this.#change({ state: null }) }) })
            : empty({ title: t("empty"), hint: t("empty.hint"), icon: "platforms",
              action: may("admin") ? button(t("add"), { kind: "primary", icon: "plus", onclick: () => this.#add() }) : null })),
        ".columns": columns(),
      })));
  }

  #counted(total) {
    if (this.#total === total) return;
    this.#total = total;
    this.update();
  }

  async #add() {
    const saved = await editPlatform(null);
    if (saved) go(link("platforms", saved.platform_id));
  }
});

function columns() {
  return [
    { id: "platform", title: t("col.platform"), class: "wide", cell: (row) => h("div", { class: "cell-main" },
      h("a", { class: "cell-title", href: link("platforms", row.platform_id) }, row.name || row.platform_id),
      h("span", { class: "cell-note mono" }, row.platform_id)) },
    { id: "state", title: t("state"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, linkStatus(row.status),
      row.status.state === "waiting" && remedyText(row.status.reason) ? h("span", { class: "cell-note" }, remedyText(row.status.reason)) : null) },
    { id: "since", title: t("col.since"), cell: (row) => (row.status.since ? h("span", { class: "nowrap" }, since(row.status.since)) : "–") },
    { id: "address", title: t("col.address"), hide: "phone", cell: (row) => {
      const first = row.addresses[0];
      const address = row.status.address || (first ? `${first.host}:${first.port}` : "");
      return address ? h("span", { class: "mono nowrap" }, `${row.transport} ${address}`) : "–";
    } },
    { id: "items", title: t("col.items"), class: "right", cell: (row) => number(row.status.catalog_items) },
    { id: "subscriptions", title: t("col.subscriptions"), hide: "phone", cell: (row) =>
      Object.keys(row.status.subscriptions).map(subscriptionText).join(" · ") || h("span", { class: "muted" }, t("none")) },
    { id: "streams", title: t("col.streams"), class: "right", cell: (row) => number(row.status.sessions) },
  ];
}


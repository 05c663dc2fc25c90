// Foreign sources that become channels, and channels that are pushed to servers elsewhere.

import { View, define, h } from "../lib/element.js";
import { api } from "../lib/api.js";
import { remedy } from "../lib/codes.js";
import { bitrate, bytes, number, t as common, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { button, empty, iconButton, pageHead, searchField, status, tabPanel, tabs } from "../lib/ui.js";
import { changePush, deletePush, newPush, retryPush, togglePush } from "../components/pushes-acts.js";
import { since } from "../components/since.js";
import { changeSource, deleteSource, kindText, newSource, reasonText, rotateSource, showPublishing, testSource, toggleSource } from "../components/sources-acts.js";
import { toastError } from "../components/toast.js";
import "../components/table.js";

export const strings = {
  zh: {
    "title": "外部视频源", "sources": "视频源", "pushes": "转推", "source.new": "添加视频源", "push.new": "添加转推", "find": "按名称或编码搜索", "col.source": "视频源", "col.from": "来自", "col.state": "状态", "col.since": "自", "col.rate": "码率", "state.disabled": "已停用", "state.idle": "就绪，无人观看",
    "state.connecting": "连接中", "state.running": "正常", "state.failed": "失败", "state.waiting_publisher": "等待推流", "state.starting": "启动中", "state.waiting": "等待重试", "state.denied": "共享策略不允许", "test": "测试", "edit": "修改", "publish": "推流地址", "disable": "停用", "enable": "启用",
    "watch": "观看", "from.publisher": "推流方 {host}", "tries": "已失败 {n} 次", "retry.at": "下次重试", "sources.empty": "还没有外部视频源", "sources.empty.hint": "把 RTSP 摄像机、RTMP 流或推流的编码器变成有国标编码的通道，与其他通道一样观看、录像和共享。", "pushes.empty": "还没有转推",
    "pushes.empty.hint": "把通道持续推送到直播平台、指挥大屏等 RTMP、RTSP 或 SRT 服务器。", "col.channel": "通道", "col.target": "目标", "col.bytes": "已发送", "own": "本单位", "retry": "立即重试", "always": "始终拉流",
  },
  en: {
    "title": "Sources", "sources": "Sources", "pushes": "Pushes", "source.new": "Add a source", "push.new": "Add a push", "find": "Find by name or code", "col.source": "Source", "col.from": "From", "col.state": "State", "col.since": "Since", "col.rate": "Rate", "state.disabled": "Disabled",
    "state.idle": "Ready, nobody watches", "state.connecting": "Connecting", "state.running": "Running", "state.failed": "Failed", "state.waiting_publisher": "Nobody publishes", "state.starting": "Starting", "state.waiting": "Waiting to retry", "state.denied": "Not allowed by policy", "test": "Test",
    "edit": "Change", "publish": "Address", "disable": "Disable", "enable": "Enable", "watch": "Watch", "from.publisher": "from {host}", "tries": "Failures: {n}", "retry.at": "Next try", "sources.empty": "There is no foreign source yet",
    "sources.empty.hint": "RTSP cameras, RTMP streams and encoders that publish become channels with a GB code, watched, recorded and shared like all others.", "pushes.empty": "Nothing is pushed yet",
    "pushes.empty.hint": "A channel can be sent on to RTMP, RTSP or SRT servers: streaming platforms, video walls.", "col.channel": "Channel", "col.target": "Target", "col.bytes": "Sent", "own": "Our own", "retry": "Try now", "always": "Always fetched",
  },
};
const t = words(strings);

const EVERY = 2_000; // milliseconds
const WAIT = 150; // milliseconds without a key before searching
const TONES = { running: "good", failed: "bad", waiting: "bad", denied: "bad", connecting: "info", starting: "info", waiting_publisher: "warn" };

export default define("page-sources", class extends View {
  #q = "";
  #timer = null;
  #asked = null;
  #load = null;
  #departments = [];
  #channels = new Map(); // names by "device/channel"

  start() {
    this.#q = this.route.query.q || "";
    api.get("departments", { signal: this.signal }).then((page) => {
      this.#departments = page.items;
      this.update();
    }, () => {});
  }

  stop() {
    clearTimeout(this.#timer);
  }

  routed() {
    this.update();
  }

  get #tab() {
    return this.route.query.tab === "pushes" ? "pushes" : "sources";
  }

  async #do(work) {
    try {
      if (await work()) this.querySelector("gb-table")?.reload({ quiet: true });
    } catch (error) {
      toastError(error);
    }
  }

  #change(changes) {
    go(link("sources", { ...this.route.query, ...changes }), { replace: true });
  }

  #loader(tab, q) {
    const asked = `${tab} ${q}`;
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#load = tab === "sources" ? ({ offset, limit, signal }) => api.get("sources", { query: { q, offset, limit }, signal }) : async ({ offset, limit, signal }) => {
        const page = await api.get("pushes", { query: { offset, limit }, signal });
        await Promise.all(page.items.map((row) => this.#name(row, signal)));
        return page;
      };
    }
    return this.#load;
  }

  /** Pushes name their channels by code only. */
  async #name({ device_id: device, channel_id: channel }, signal) {
    const key = `${device}/${channel}`;
    if (this.#channels.has(key)) return;
    try {
      const found = await api.get(`channels/${encodeURIComponent(device)}/${encodeURIComponent(channel)}`, { signal });
      this.#channels.set(key, found.name || "");
    } catch (error) {
      if (error.status === 404) this.#channels.set(key, "");
    }
  }

  render() {
    const tab = this.#tab;
    const { q = "" } = this.route.query;
    const act = tab === "sources" ? [t("source.new"), () => this.#do(newSource)] : [t("push.new"), () => this.#do(() => newPush(this.#departments))];
    const first = may("admin") ? button(act[0], { kind: "primary", icon: "plus", onclick: act[1] }) : null;
    return h("div", { class: "page" },
      pageHead({ title: t("title"), aside: may("admin") && button(act[0], { kind: "primary", icon: "plus", onclick: act[1] }) }),
      tabs([["sources", t("sources")], ["pushes", t("pushes")]], tab, (id) => this.#change({ tab: id === "sources" ? null : id, q: null }), { label: t("title") }),
      tabPanel(tab,
        tab === "sources" ? h("div", { class: "toolbar" }, searchField({ value: this.#q, label: t("find"), oninput: (text) => {
          this.#q = text;
          clearTimeout(this.#timer);
          this.#timer = setTimeout(() => this.#change({ q: text.trim() }), WAIT);
        } })) : null,
        h("div", { class: "card" }, h("gb-table", {
          key: tab, ".label": t(tab), ".live": EVERY, ".load": this.#loader(tab, q), ".keyOf": (row) => row.source_id || row.push_id, ".columns": tab === "sources" ? this.#sources() : this.#pushes(),
          ".empty": () => (q ? empty({ title: common("empty.search", { q }), hint: common("empty.search.hint"), icon: "search" }) : empty({ title: t(`${tab}.empty`), hint: t(`${tab}.empty.hint`), icon: "sources", action: first })),
        }))));
  }

  #state(row) {
    const why = row.reason && row.state !== "running" && row.state !== "disabled" ? row.reason : "";
    return h("div", { class: "cell-main state-cell" }, status(t.code("state", row.state), TONES[row.state] || "neutral", { title: row.detail }),
      why && h("span", { class: "cell-title" }, reasonText(why)), why && remedy(why) ? h("span", { class: "cell-note" }, remedy(why)) : null,
      row.tries > 1 ? h("span", { class: "cell-note" }, t("tries", { n: number(row.tries) })) : null);
  }

  #sources() {
    const admin = may("admin");
    return [
      { id: "source", title: t("col.source"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, h("a", { class: "cell-title", href: link("channels", row.device_id, row.source_id) }, row.name || row.source_id), h("span", { class: "cell-note mono" }, row.source_id)) },
      { id: "from", title: t("col.from"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, h("span", null, kindText(row.kind), row.always ? ` · ${t("always")}` : ""),
        h("span", { class: "cell-note mono" }, row.kind === "push_rtmp" ? row.publisher && t("from.publisher", { host: row.publisher }) : row.url)) },
      { id: "state", title: t("col.state"), class: "wide", cell: (row) => this.#state(row) },
      { id: "since", title: t("col.since"), cell: (row) => h("span", { class: "nowrap" }, since(row.since)) },
      { id: "rate", title: t("col.rate"), class: "right", cell: (row) => (row.state === "running" && row.bitrate_kbps ? h("span", { class: "nowrap" }, bitrate(row.bitrate_kbps)) : "–") },
      { id: "acts", title: "", class: "cell-acts", cell: (row) => h("div", { class: "row acts" },
        may("operator") && row.kind !== "push_rtmp" ? button(t("test"), { small: true, onclick: () => this.#do(() => testSource(row)) }) : null,
        row.kind === "push_rtmp" ? button(t("publish"), { small: true, onclick: () => showPublishing(row, admin && (() => this.#do(() => rotateSource(row)))) }) : null,
        admin && button(t("edit"), { small: true, onclick: () => this.#do(() => changeSource(row)) }),
        admin && button(t(row.enabled ? "disable" : "enable"), { small: true, onclick: () => this.#do(() => toggleSource(row)) }),
        admin && iconButton("trash", `${common("delete")} ${row.name || row.source_id}`, { small: true, onclick: () => this.#do(() => deleteSource(row)) })) },
    ];
  }

  #pushes() {
    const admin = may("admin");
    const department = (code) => this.#departments.find((item) => item.code === code)?.name || code;
    return [
      { id: "channel", title: t("col.channel"), class: "wide", cell: (row) => h("div", { class: "cell-main" },
        h("a", { class: "cell-title", href: link("channels", row.device_id, row.channel_id) }, this.#channels.get(`${row.device_id}/${row.channel_id}`) || row.channel_id), h("span", { class: "cell-note mono" }, row.channel_id)) },
      { id: "target", title: t("col.target"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, h("span", { class: "mono" }, row.target), h("span", { class: "cell-note" }, [row.name, row.department ? department(row.department) : t("own")].filter(Boolean).join(" · "))) },
      { id: "state", title: t("col.state"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, this.#state(row)) },
      { id: "since", title: t("col.since"), cell: (row) => h("span", { class: "nowrap" }, since(row.since)) },
      { id: "bytes", title: t("col.bytes"), class: "right", cell: (row) => h("span", { class: "nowrap" }, row.state === "running" ? bytes(row.bytes) : "–") },
      { id: "acts", title: "", class: "cell-acts", cell: (row) => h("div", { class: "row acts" },
        may("operator") && ["waiting", "denied"].includes(row.state) ? button(t("retry"), { small: true, icon: "refresh", onclick: () => this.#do(() => retryPush(row)) }) : null,
        admin && button(t("edit"), { small: true, onclick: () => this.#do(() => changePush(row, this.#departments)) }),
        admin && button(t(row.enabled ? "disable" : "enable"), { small: true, onclick: () => this.#do(() => togglePush(row)) }),
        admin && iconButton("trash", `${common("delete")} ${row.name || row.target}`, { small: true, onclick: () => this.#do(() => deletePush(row)) })) },
    ];
  }
});

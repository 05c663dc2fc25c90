// One upper platform: its link, the catalogue it gets, the streams it was given and everything that happened.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { codes } from "../lib/codes.js";
import { dateTime, duration, number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { button, card, empty, errorState, facts, iconButton, notice, pageHead, skeleton, status, tabPanel, tabs, technical } from "../lib/ui.js";
import { confirm } from "../components/dialog.js";
import { editPlatform } from "../components/platform-editor.js";
import { bridgeEnd, linkStatus, platformEvents, reasonText, remedyText, subscriptionText } from "../components/platform-words.js";
import { since } from "../components/since.js";
import { toast, toastError } from "../components/toast.js";
import "../components/platform-catalog.js";
import "../components/table.js";

export const strings = {
  zh: {
    "crumb": "上级平台", "tab": "平台资料", "facts": "概况", "catalog": "目录", "streams": "点播", "timeline": "时间线", "link": "链路", "settings": "设置", "edit": "修改设置",
    "reconnect": "重新注册", "reconnecting": "已开始重新注册", "enable": "启用", "disable": "停用", "enabled": "平台已启用", "disabled": "平台已停用", "delete": "删除平台",
    "disable.title": "停用平台？", "disable.text": "将从“{name}”注销，正在传送的 {n} 路视频会中断，目录订阅结束。", "delete.title": "删除平台？",
    "delete.text": "将删除“{name}”的设置、密码和已分配的编码：以后重新添加时，各通道会得到新的编码。", "deleted": "平台已删除",
    "state": "状态", "since": "自", "reason": "原因", "address": "使用地址", "registered": "注册于", "expires": "注册到期", "keepalive": "最近心跳", "misses": "心跳缺失", "next": "下次尝试",
    "items": "目录项", "subscriptions": "订阅", "until": "至 {time}", "none": "无", "sessions": "正在传送", "in": "{time}后",
    "code": "平台编码", "addresses": "地址", "transport": "信令传输", "edition": "国标版本", "local": "本级编码", "own": "网关编码", "password": "密码", "password.yes": "已设置", "password.no": "未设置",
    "every": "心跳", "every.of": "每 {time}，允许缺失 {n} 次", "identity": "用户身份", "identity.yes": "必须携带", "identity.no": "不要求", "zone": "网络区域", "sip": "SIP 域 / 用户",
    "limit": "点播上限", "manage": "管理", "col.channel": "通道", "col.state": "结果", "col.at": "开始", "col.transport": "传输", "col.first": "首包", "col.end": "时长",
    "streams.none": "没有点播记录", "streams.none.hint": "上级点播本级视频后会出现在这里。", "events.none": "没有记录", "answer": "应答 {n}",
  },
  en: {
    "crumb": "Platforms", "tab": "About this platform", "facts": "Overview", "catalog": "Catalogue", "streams": "Streams", "timeline": "Timeline", "link": "Link",
    "settings": "Settings", "edit": "Edit settings", "reconnect": "Register anew", "reconnecting": "Registering anew", "enable": "Enable", "disable": "Disable",
    "enabled": "Platform enabled", "disabled": "Platform disabled", "delete": "Delete the platform", "disable.title": "Disable the platform?",
    "disable.text": "It is deregistered from “{name}”; {n} running streams end, and so do its subscriptions.", "delete.title": "Delete the platform?",
    "delete.text": "Settings, password and the codes given to “{name}” go: if it is added again, channels get new codes.", "deleted": "Platform deleted",
    "state": "State", "since": "Since", "reason": "Reason", "address": "Address in use", "registered": "Registered", "expires": "Registration ends",
    "keepalive": "Last keepalive", "misses": "Keepalives missed", "next": "Next try", "items": "Items", "subscriptions": "Subscriptions", "until": "until {time}",
    "none": "None", "sessions": "Streams now", "in": "in {time}", "code": "Code", "addresses": "Addresses", "transport": "Signalling", "edition": "Edition",
    "local": "Our code", "own": "The gateway's own", "password": "Password", "password.yes": "Set", "password.no": "None", "every": "Keepalive",
    "every.of": "every {time}, {n} may be missed", "identity": "User identity", "identity.yes": "Demanded", "identity.no": "Not demanded", "zone": "Network zone",
    "sip": "SIP domain / user", "limit": "Streams at once", "manage": "Management", "col.channel": "Channel", "col.state": "Result", "col.at": "Began",
    "col.transport": "Transport", "col.first": "First packet", "col.end": "Lasted", "streams.none": "No stream was asked for",
    "streams.none.hint": "Streams that the platform asks for appear here.", "events.none": "Nothing is on record", "answer": "answered {n}",
  },
};
const t = words(strings);

const EVERY = 3_000; // milliseconds

export default define("page-platform", class extends View {
  #platform = null;
  #error = null;
  #events = null;
  #busy = "";
  #loads = new Map();

  get #id() {
    return this.route.params.platform;
  }

  get #path() {
    return `platforms/${encodeURIComponent(this.#id)}`;
  }

  get #tab() {
    const { tab } = this.route.query;
    return ["streams", "timeline"].includes(tab) || (tab === "catalog" && may("operator")) ? tab : "facts";
  }

  start() {
    this.every(EVERY, () => this.#load());
  }

  routed() {
    if (this.#platform && this.#platform.platform_id !== this.#id) {
      this.#platform = null;
      this.#events = null;
    }
    this.#load();
    this.update();
  }

  async #load() {
    const id = this.#id;
    try {
      const platform = await api.get(this.#path, { signal: this.signal });
      const events = this.#tab === "timeline" ? await api.get(`${this.#path}/timeline`, { query: { limit: 100 }, signal: this.signal }) : null;
      if (id !== this.#id) return;
      this.#platform = platform;
      if (events) this.#events = events.items;
      this.#error = null;
    } catch (error) {
      if (isAbort(error)) return;
      if (!this.#platform || error.status === 404) this.#error = error;
      if (error.status === 404) this.#platform = null;
    }
    this.update();
  }

  get #name() {
    return this.#platform.name || this.#platform.platform_id;
  }

  async #act(what, work) {
    this.#busy = what;
    this.update();
    try {
      await work();
    } catch (error) {
      toastError(error);
    }
    this.#busy = "";
    await this.#load();
  }

  #reconnect() {
    this.#act("reconnect", async () => {
      await api.post(`${this.#path}/reconnect`);
      toast(t("reconnecting"));
    });
  }

  async #switch(enabled) {
    const act = () => api.patch(this.#path, { enabled });
    if (enabled) {
      await this.#act("switch", async () => {
        await act();
        toast(t("enabled"));
      });
      return;
    }
    const { sessions } = this.#platform.status;
    if (await confirm({ title: t("disable.title"), text: t("disable.text", { name: this.#name, n: number(sessions) }), yes: t("disable"), danger: true, act })) {
      toast(t("disabled"));
      await this.#load();
    }
  }

  async #delete() {
    const yes = await confirm({
      title: t("delete.title"), text: t("delete.text", { name: this.#name }), yes: t("delete"), danger: true, word: this.#id.slice(-6), act: () => api.delete(this.#path),
    });
    if (yes) {
      toast(t("deleted"));
      go(link("platforms"));
    }
  }

  async #edit() {
    if (await editPlatform(this.#platform)) await this.#load();
  }

  render() {
    const platform = this.#platform;
    const crumbs = [[t("crumb"), link("platforms")]];
    if (!platform) {
      return h("div", { class: "page" }, pageHead({ crumbs, title: this.#id }),
        this.#error ? errorState(this.#error, { retry: () => this.#load() }) : skeleton(8));
    }
    const link_ = platform.status;
    const why = link_.state !== "online" && link_.state !== "disabled" && link_.reason;
    return h("div", { class: "page" },
      pageHead({
        crumbs, title: this.#name,
        note: [linkStatus(link_), h("span", { class: "mono" }, platform.platform_id), link_.since && h("span", null, since(link_.since))],
        aside: may("operator") && [
          platform.enabled && button(t("reconnect"), { icon: "refresh", busy: this.#busy === "reconnect", onclick: () => this.#reconnect() }),
          may("admin") && button(t(platform.enabled ? "disable" : "enable"), { icon: platform.enabled ? "stop" : "play", busy: this.#busy === "switch",
            onclick: () => this.#switch(!platform.enabled) }),
        ],
      }),
      why ? h("div", { class: "stack-tight" }, notice(remedyText(why), "warn", { title: reasonText(why) }), technical({ detail: link_.detail })) : null,
      tabs([["facts", t("facts")], may("operator") && ["catalog", t("catalog"), link_.catalog_items === null ? null : number(link_.catalog_items)],
        ["streams", t("streams"), number(link_.sessions)], ["timeline", t("timeline")]].filter(Boolean), this.#tab, (id) => this.#choose(id), { label: t("tab") }),
      this.#panel(platform));
  }

  #choose(tab) {
    go(link("platforms", this.#id, { tab: tab === "facts" ? null : tab }), { replace: true });
  }

  #panel(platform) {
    const tab = this.#tab;
    if (tab === "catalog") return tabPanel(tab, h("gb-platform-catalog", { class: "block", ".platform": platform, onsaved: () => this.#load() }));
    if (tab === "streams") return tabPanel(tab, this.#streams());
    if (tab === "timeline") {
      return tabPanel(tab, card({}, this.#events === null ? skeleton(8) : this.#events.length ? platformEvents(this.#events) : empty({ title: t("events.none"), icon: "clock" })));
    }
    return tabPanel("facts", h("div", { class: "columns" }, this.#link(platform.status), this.#settings(platform)));
  }

  #link(seen) {
    const soon = seen.next_try_at && Math.max(0, (new Date(seen.next_try_at) - Date.now()) / 1000);
    return card({ title: t("link") }, facts([
      [t("state"), linkStatus(seen)],
      [t("since"), seen.since && h("span", null, dateTime(seen.since), " (", since(seen.since), ")")],
      [t("address"), seen.address && h("span", { class: "mono" }, seen.address)],
      seen.state === "online" && [t("registered"), dateTime(seen.registered_at)],
      seen.state === "online" && [t("expires"), dateTime(seen.expires_at)],
      seen.state === "online" && [t("keepalive"), seen.last_keepalive_at ? since(seen.last_keepalive_at) : null],
      seen.state === "online" && [t("misses"), number(seen.misses)],
      seen.next_try_at && [t("next"), h("span", null, dateTime(seen.next_try_at), soon ? ` (${t("in", { time: duration(Math.round(soon)) })})` : "")],
      [t("items"), number(seen.catalog_items)],
      [t("sessions"), number(seen.sessions)],
      [t("subscriptions"), Object.keys(seen.subscriptions).length ? h("ul", { class: "stack-tight" }, Object.entries(seen.subscriptions).map(([kind, until]) =>
        h("li", null, subscriptionText(kind), " ", h("span", { class: "muted" }, t("until", { time: dateTime(until) }))))) : t("none")],
    ]));
  }

  #settings(platform) {
    return card({ title: t("settings"), actions: may("admin") && iconButton("edit", t("edit"), { onclick: () => this.#edit() }) },
      h("div", { class: "stack" }, facts([
        [t("code"), h("span", { class: "mono" }, platform.platform_id)],
        [t("addresses"), platform.addresses.length ? h("ul", null, platform.addresses.map((item) => h("li", { class: "mono" }, `${item.host}:${item.port}`))) : null],
        [t("transport"), platform.transport],
        [t("edition"), `GB/T 28181-${platform.edition}${platform.charset ? ` · ${platform.charset}` : ""}`],
        [t("local"), platform.local_id ? h("span", { class: "mono" }, platform.local_id) : t("own")],
        [t("sip"), [platform.domain || platform.platform_id.slice(0, 10), platform.username].filter(Boolean).join(" / ")],
        [t("password"), platform.has_password ? status(t("password.yes"), "good") : t("password.no")],
        [t("every"), t("every.of", { time: duration(platform.keepalive_interval), n: platform.keepalive_misses })],
        [t("zone"), platform.zone],
        [t("identity"), t(platform.require_identity ? "identity.yes" : "identity.no")],
        [t("limit"), number(platform.max_sessions)],
      ]), may("admin") && h("div", { class: "row row-wrap", role: "group", "aria-label": t("manage") },
        button(t("edit"), { small: true, icon: "edit", onclick: () => this.#edit() }), h("span", { class: "grow" }),
        button(t("delete"), { small: true, icon: "trash", onclick: () => this.#delete() }))));
  }

  #streams() {
    const id = this.#id;
    if (!this.#loads.has(id)) {
      this.#loads.set(id, ({ offset, limit, signal }) => api.get("bridges", { query: { platform_id: id, offset, limit }, signal }));
    }
    return h("div", { class: "card" }, h("gb-table", {
      ".label": t("streams"), ".live": EVERY, ".load": this.#loads.get(id), ".keyOf": (row) => row.bridge_id,
      ".empty": () => empty({ title: t("streams.none"), hint: t("streams.none.hint"), icon: "live" }), ".columns": bridgeColumns(),
    }));
  }
});

function bridgeColumns() {
  return [
    { id: "channel", title: t("col.channel"), class: "wide", cell: (row) => h("div", { class: "cell-main" },
      row.channel_id ? h("a", { class: "cell-title mono", href: link("channels", row.device_id, row.channel_id) }, row.channel_id) : h("span", { class: "cell-title mono" }, row.shared_id),
      row.shared_id !== row.channel_id && row.channel_id ? h("span", { class: "cell-note mono" }, row.shared_id) : null) },
    { id: "state", title: t("col.state"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, bridgeEnd(row),
      row.status ? h("span", { class: "cell-note" }, t("answer", { n: row.status })) : null, row.end !== null && row.detail ? technical({ detail: row.detail }) : null) },
    { id: "at", title: t("col.at"), cell: (row) => h("span", { class: "nowrap" }, dateTime(row.created_at)) },
    { id: "transport", title: t("col.transport"), hide: "phone", cell: (row) => (row.transport
      ? h("div", { class: "cell-main" }, codes.code("transport", row.transport), h("span", { class: "cell-note mono" }, row.remote)) : "–") },
    { id: "first", title: t("col.first"), class: "right", cell: (row) => (row.first_packet_after === null ? "–" : duration(row.first_packet_after)) },
    { id: "end", title: t("col.end"), class: "right", cell: (row) => (row.established_after === null ? "–"
      : duration(((row.ended_at ? new Date(row.ended_at) : Date.now()) - new Date(row.created_at)) / 1000)) },
  ];
}

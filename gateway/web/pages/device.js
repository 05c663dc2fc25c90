// One device: what it is, its settings and catalogue, its channels, sessions and everything that happened to it.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { codes, remedy } from "../lib/codes.js";
import { dateTime, duration, number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { isLocal, may } from "../lib/session.js";
import { button, card, empty, errorState, facts, iconButton, notice, pageHead, searchField, skeleton, status, tabPanel, tabs } from "../lib/ui.js";
import { channelRow, devicePresence } from "../components/device-row.js";
import { askStatus, editSettings, forget, removeSecret, setSecret } from "../components/device-acts.js";
import { eventList } from "../components/events.js";
import { since } from "../components/since.js";
import { syncCard } from "../components/sync.js";
import "../components/list.js";
import "../components/sessions.js";

export const strings = {
  zh: {
    "crumb": "设备", "tab": "设备资料", "facts": "概况", "channels": "通道", "sessions": "会话", "timeline": "时间线",
    "id": "设备编码", "state": "状态", "since": "自", "address": "信令地址", "contact": "自报地址", "registered": "注册于", "expires": "注册到期",
    "keepalive": "最近心跳", "version": "国标版本", "version.2.0": "2.0（GB/T 28181-2016）", "version.3.0": "3.0（GB/T 28181-2022）", "version.": "未声明",
    "maker": "厂商", "model": "型号", "firmware": "固件", "agent": "User-Agent", "facts.title": "设备信息",
    "settings": "设置", "media": "媒体传输", "charset": "字符集", "follow": "允许地址漂移", "interval": "心跳间隔", "misses": "允许心跳缺失", "times": "{n} 次",
    "secret": "专用密码", "secret.yes": "已设置", "secret.no": "使用公共密码", "edit": "修改设置", "secret.set": "设置密码", "secret.remove": "取消专用密码",
    "ask": "查询状态", "forget": "删除设备", "manage": "管理", "find": "在此设备中搜索通道", "events.none": "没有记录",
    "stranger": "此编码从未注册成功", "stranger.hint": "下面是它的注册尝试。若这是您的设备，请核对其编码与密码。",
    "no.channels": "此设备没有通道", "no.channels.hint": "同步目录后会出现在这里。",
  },
  en: {
    "crumb": "Devices", "tab": "About this device", "facts": "Overview", "channels": "Channels", "sessions": "Sessions", "timeline": "Timeline",
    "id": "Code", "state": "State", "since": "Since", "address": "Signalling address", "contact": "Address it claims", "registered": "Registered",
    "expires": "Registration ends", "keepalive": "Last keepalive", "version": "Standard", "version.2.0": "2.0 (GB/T 28181-2016)",
    "version.3.0": "3.0 (GB/T 28181-2022)", "version.": "Not stated", "maker": "Maker", "model": "Model", "firmware": "Firmware", "agent": "User-Agent",
    "facts.title": "Facts", "settings": "Settings", "media": "Media transport", "charset": "Charset", "follow": "May change its address",
    "interval": "Keepalive interval", "misses": "Keepalives it may miss", "times": "{n}", "secret": "Own password", "secret.yes": "Set",
    "secret.no": "Uses the common one", "edit": "Edit settings", "secret.set": "Set a password", "secret.remove": "Remove its password",
    "ask": "Ask its status", "forget": "Delete the device", "manage": "Management", "find": "Find a channel of this device",
    "events.none": "Nothing is on record", "stranger": "This code never registered",
    "stranger.hint": "Below are its attempts. If this is your device, check its code and password.",
    "no.channels": "This device has no channels", "no.channels.hint": "They appear once its catalogue was synchronised.",
  },
};
const t = words(strings);

const EVERY = 5_000; // milliseconds
const WAIT = 150; // milliseconds without a key before searching

export default define("page-device", class extends View {
  #device = null;
  #error = null;
  #events = null;
  #q = "";
  #timer = null;
  #loads = new Map();

  get #id() {
    return this.route.params.device;
  }

  get #tab() {
    const { tab } = this.route.query;
    return ["channels", "sessions", "timeline"].includes(tab) ? tab : "facts";
  }

  start() {
    this.every(EVERY, () => this.#load());
  }

  stop() {
    clearTimeout(this.#timer);
  }

  routed() {
    if (this.#device && this.#device.device_id !== this.#id) {
      this.#device = null;
      this.#events = null;
      this.#q = "";
    }
    this.#load();
    this.update();
  }

  async #load() {
    const id = this.#id;
    const path = `devices/${encodeURIComponent(id)}`;
    try {
      const device = await api.get(path, { signal: this.signal });
      if (id !== this.#id) return;
      this.#device = device;
      this.#error = null;
    } catch (error) {
      if (isAbort(error)) return;
      if (!this.#device || error.status === 404) this.#error = error;
      if (error.status === 404) this.#device = null;
    }
    if (isLocal() && (this.#tab === "timeline" || this.#error?.status === 404)) await this.#loadEvents(path);
    this.update();
  }

  async #loadEvents(path) {
    try {
      this.#events = (await api.get(`${path}/timeline`, { query: { limit: 300 }, signal: this.signal })).items;
    } catch (error) {
      if (isAbort(error)) return;
      this.#events ??= [];
    }
  }

  #choose(tab) {
    go(link("devices", this.#id, { tab: tab === "facts" ? null : tab }), { replace: true });
  }

  render() {
    const device = this.#device;
    const crumbs = [[t("crumb"), link("devices", { view: "devices" })]];
    if (!device) {
      if (this.#error?.status === 404 && this.#events?.length) return this.#stranger(crumbs);
      return h("div", { class: "page" }, pageHead({ crumbs, title: this.#id }),
        this.#error ? errorState(this.#error, { retry: () => this.#load() }) : skeleton(8));
    }
    const tab = this.#tab;
    const local = isLocal();
    this.classList.toggle("full-view", tab === "channels");
    return h("div", { class: ["page", tab === "channels" && "page-full page-full-tabs"] },
      pageHead({
        crumbs, title: device.name || device.device_id,
        note: [devicePresence(device), h("span", { class: "mono" }, device.device_id), device.status_since && h("span", null, since(device.status_since))],
        aside: may("operator") && [
          button(t("ask"), { icon: "info", onclick: () => askStatus(device) }),
        ],
      }),
      !device.online && remedy(device.offline_reason) ? notice(remedy(device.offline_reason), "warn", { title: codes.code("offline", device.offline_reason) }) : null,
      tabs([["facts", t("facts")], ["channels", t("channels"), number(device.channel_count)],
        ["sessions", t("sessions")], local && ["timeline", t("timeline")]].filter(Boolean), tab, (id) => this.#choose(id), { label: t("tab") }),
      this.#panel(tab, device));
  }

  #panel(tab, device) {
    if (tab === "channels") return tabPanel("channels", this.#channels(device));
    if (tab === "sessions") {
      return tabPanel("sessions", h("gb-sessions", { ".query": { device_id: device.device_id } }));
    }
    if (tab === "timeline") {
      return tabPanel("timeline", card({}, this.#events === null ? skeleton(8)
        : this.#events.length ? eventList(this.#events) : empty({ title: t("events.none"), icon: "clock" })));
    }
    return tabPanel("facts", h("div", { class: "columns" }, this.#facts(device),
      h("div", { class: "stack" }, isLocal() ? syncCard(device, () => this.#load()) : null, isLocal() ? this.#settings(device) : null)));
  }

  #facts(device) {
    const { address } = device;
    return card({ title: t("facts.title") }, facts([
      [t("id"), h("span", { class: "mono" }, device.device_id)],
      [t("state"), devicePresence(device)],
      [t("since"), device.status_since && h("span", null, dateTime(device.status_since), " (", since(device.status_since), ")")],
      isLocal() && [t("address"), address && h("span", { class: "mono" }, `${address.transport} ${address.host}:${address.port}`)],
      isLocal() && [t("contact"), device.contact && h("span", { class: "mono" }, device.contact)],
      isLocal() && [t("registered"), dateTime(device.registered_at)],
      isLocal() && [t("expires"), dateTime(device.expires_at)],
      isLocal() && [t("keepalive"), device.last_keepalive_at ? since(device.last_keepalive_at) : null],
      isLocal() && [t("version"), t.has(`version.${device.gb_version}`) ? t(`version.${device.gb_version}`) : device.gb_version],
      isLocal() && [t("maker"), device.manufacturer],
      isLocal() && [t("model"), device.model],
      isLocal() && [t("firmware"), device.firmware],
      isLocal() && [t("agent"), device.user_agent],
    ]));
  }

  #settings(device) {
    const { settings } = device;
    const usual = () => h("span", { class: "muted" }, t("default"));
    const again = () => this.#load();
    return card({
      title: t("settings"),
      actions: may("admin") && iconButton("edit", t("edit"), { onclick: () => editSettings(device, again) }),
    }, h("div", { class: "stack" }, facts([
      [t("media"), settings.media_transport ? codes.code("transport", settings.media_transport) : usual()],
      [t("charset"), settings.charset || usual()],
      [t("interval"), settings.keepalive_interval ? duration(settings.keepalive_interval) : usual()],
      [t("misses"), settings.keepalive_misses ? t("times", { n: settings.keepalive_misses }) : usual()],
      [t("follow"), settings.follow_address ? t("yes") : t("no")],
      [t("secret"), settings.has_secret ? status(t("secret.yes"), "good") : t("secret.no")],
    ]), may("admin") && h("div", { class: "row row-wrap", role: "group", "aria-label": t("manage") },
      button(t("secret.set"), { small: true, icon: "key", onclick: () => setSecret(device, again) }),
      settings.has_secret && button(t("secret.remove"), { small: true, onclick: () => removeSecret(device, again) }),
      h("span", { class: "grow" }),
      button(t("forget"), { small: true, icon: "trash", onclick: () => forget(device) }))));
  }

  #channels(device) {
    const id = device.device_id;
    const q = this.#q.trim();
    const key = `${id}\n${q}`;
    if (!this.#loads.has(key)) {
      this.#loads.clear();
      this.#loads.set(key, ({ offset, limit, signal }) =>
        api.get("channels", { query: { device_id: id, q, offset, limit }, signal }));
    }
    return h("div", { class: "device-channels" },
      searchField({ value: this.#q, label: t("find"), oninput: (text) => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => {
          this.#q = text;
          this.update();
        }, WAIT);
      } }),
      h("div", { class: "card devices-list" }, h("gb-list", {
        class: "fill", ".load": this.#loads.get(key), ".row": channelRow, ".rowHeight": 56, ".label": t("channels"),
        ".keyOf": (channel) => channel.channel_id,
        ".empty": () => (q ? empty({ title: t("empty.search", { q }), hint: t("empty.search.hint"), icon: "search" })
          : empty({ title: t("no.channels"), hint: t("no.channels.hint"), icon: "camera" })),
        onpick: (event) => go(link("channels", event.detail.device_id, event.detail.channel_id)),
      })));
  }

  #stranger(crumbs) {
    return h("div", { class: "page" }, pageHead({ crumbs, title: this.#id }),
      notice(t("stranger.hint"), "warn", { title: t("stranger"),
        action: may("admin") ? button(t("secret.set"), { icon: "key", small: true, onclick: () =>
          setSecret({ device_id: this.#id, name: "" }, () => this.#load()) }) : null }),
      card({ title: t("timeline") }, eventList(this.#events)));
  }
});

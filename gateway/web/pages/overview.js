// Overview: what works, what is wrong and since when, what to do about it.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { codes, remedy, said } from "../lib/codes.js";
import { bytes, duration, number, percent, timeOfDay, words } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { link } from "../lib/route.js";
import { isLocal } from "../lib/session.js";
import { badge, card, empty, errorState, facts, figure, meter, notice, pageHead, skeleton, technical } from "../lib/ui.js";
import { showSession } from "../components/session.js";
import { since } from "../components/since.js";
import { pages } from "./index.js";

export const strings = {
  zh: {
    "title": "总览", "state.ok": "一切正常", "state.warning": "有 {n} 件事需要关注", "state.error": "网关有故障",
    "devices": "设备在线", "devices.of": "共 {n} 台", "devices.offline": "共 {n} 台，{off} 台离线", "channels": "通道",
    "streams": "正在取流", "viewers": "{n} 人观看",
    "failed": "一小时内失败", "failed.of": "会话", "platforms": "上级平台在线", "platforms.of": "共 {n} 个",
    "troubles": "需要关注", "none": "没有需要处理的事", "none.hint": "设备、会话、存储、审计和上级平台都正常。",
    "capacity": "容量", "ports": "RTP 端口", "ports.of": "{used} / {total} 对", "disk": "磁盘", "disk.of": "剩余 {free}，共 {total}",
    "version": "版本", "running": "已运行", "and": "另有 {n} 项", "severity.error": "故障", "severity.warning": "关注", "severity.info": "提示",
    "outside": "这里列出与您共享的内容。", "first": "还没有设备", "first.hint": "在设备的 GB/T 28181 设置中填写本网关的地址、编码和密码；设备注册后会出现在这里。", "stale": "连接中断，以下是 {time} 的数据；恢复后自动更新。",
  },
  en: {
    "title": "Overview", "state.ok": "All is well", "state.warning": "{n} things need attention", "state.error": "The gateway has a fault",
    "devices": "Devices online", "devices.of": "of {n}", "devices.offline": "of {n}, {off} offline", "channels": "Channels",
    "streams": "Streams now", "viewers": "viewers: {n}",
    "failed": "Failed in the last hour", "failed.of": "sessions", "platforms": "Platforms online", "platforms.of": "of {n}",
    "troubles": "Needs attention", "none": "Nothing needs attention", "none.hint": "Devices, sessions, store, audit and platforms are well.",
    "capacity": "Capacity", "ports": "RTP ports", "ports.of": "{used} of {total} pairs", "disk": "Disk", "disk.of": "{free} free of {total}",
    "version": "Version", "running": "Running for", "and": "and {n} more", "severity.error": "Fault", "severity.warning": "Attention",
    "severity.info": "Note", "outside": "What is shared with you.", "first": "No devices yet",
    "first.hint": "Enter this gateway's address, code and password in the GB/T 28181 settings of a device; it appears here once it registers.",
    "stale": "Connection lost: this is as of {time}; it is updated when the gateway is back.",
  },
};
const t = words(strings);

const EVERY = 5_000; // milliseconds
const TONE = { error: "bad", warning: "warn", info: "info" };

export default define("page-overview", class extends View {
  #facts = null;
  #error = null;
  #at = null;

  start() {
    this.every(EVERY, () => this.#load());
  }

  async #load() {
    try {
      this.#facts = await api.get("overview", { signal: this.signal, timeout: 10_000 });
      this.#error = null;
      this.#at = new Date();
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.update();
  }

  render() {
    const seen = this.#facts;
    if (!seen) {
      return h("div", { class: "page" }, pageHead({ title: t("title") }),
        this.#error ? errorState(this.#error, { retry: () => this.#load() }) : skeleton(8));
    }
    const urgent = seen.troubles.filter((item) => item.severity !== "info").length;
    const tone = { ok: "good", warning: "warn", error: "bad" }[seen.state];
    const local = isLocal();
    return h("div", { class: "page" },
      pageHead({
        title: t("title"),
        note: local ? [badge(t(`state.${seen.state}`, { n: urgent }), tone, { icon: { good: "check", warn: "warning", bad: "error" }[tone] })]
          : t("outside"),
      }),
      this.#error && h("div", { class: "notice notice-warn", role: "status" }, icon("warning", { size: 18 }),
        h("div", { class: "notice-text" }, t("stale", { time: timeOfDay(this.#at) }))),
      local && !seen.devices.total ? notice(t("first.hint"), "info", { title: t("first") }) : null,
      this.#figures(seen, local),
      local && h("div", { class: "columns-main" }, this.#troubles(seen.troubles), this.#capacity(seen)));
  }

  #figures(seen, local) {
    const { devices, sessions, platforms } = seen;
    const away = devices.offline > 0;
    return h("div", { class: "figures" },
      figure(number(devices.online), t("devices"), {
        note: away ? t("devices.offline", { n: number(devices.total), off: number(devices.offline) }) : t("devices.of", { n: number(devices.total) }),
        href: link("devices", { view: "devices" }), tone: devices.total && !devices.online ? "bad" : null,
      }),
      figure(number(seen.channels), t("channels"), { href: link("devices") }),
      figure(number(seen.streams), t("streams"), { note: local ? t("viewers", { n: number(seen.viewers) }) : null }),
      local && figure(number(sessions.failed_last_hour), t("failed"), {
        note: t("failed.of"), tone: sessions.failed_last_hour ? "warn" : null,
      }),
      platforms?.total ? figure(number(platforms.online), t("platforms"), {
        note: t("platforms.of", { n: number(platforms.total) }), tone: platforms.online < platforms.total ? "warn" : null,
        href: exists("platforms") ? link("platforms") : null,
      }) : null);
  }

  #troubles(groups) {
    if (!groups.length) return card({ title: t("troubles") }, empty({ title: t("none"), hint: t("none.hint"), icon: "check" }));
    return card({ title: t("troubles"), flush: true }, h("ul", { class: "troubles" }, groups.map((group) => this.#trouble(group))));
  }

  #trouble(group) {
    const tone = TONE[group.severity];
    const rest = group.count - group.affected.length;
    return h("li", { class: `trouble trouble-${tone}`, key: `${group.topic}/${group.code}` },
      icon({ bad: "error", warn: "warning", info: "info" }[tone], { label: t(`severity.${group.severity}`) }),
      h("div", { class: "trouble-body" },
        h("div", { class: "trouble-head" },
          h("strong", null, this.#title(group)),
          group.count > 1 && badge(`× ${number(group.count)}`, tone),
          group.since && h("span", { class: "trouble-since" }, since(group.since))),
        remedy(group.code) && h("p", { class: "trouble-do" }, remedy(group.code)),
        h("ul", { class: "affected" }, group.affected.filter((item) => item.kind !== "part").map((item) => this.#affected(item)),
          rest > 0 && group.affected.length ? h("li", { class: "muted" }, t("and", { n: number(rest) })) : null),
        group.detail && ["gateway", "sharing", "sessions"].includes(group.topic) ? technical({ detail: group.detail, code: group.code }) : null));
  }

  #title(group) {
    const away = group.topic === "devices" && codes.has(`offline.${group.code}`);
    return away ? `${t("offline")} · ${codes(`offline.${group.code}`)}` : said(group.code);
  }

  #affected(item) {
    const name = item.name || item.id.split("/").at(-1);
    const when = item.since && h("span", { class: "affected-when" }, since(item.since));
    if (item.session_id) {
      return h("li", { key: item.session_id }, h("button", { type: "button", class: "chip", onclick: () => showSession(item.session_id), title: item.id },
        icon("camera", { size: 16 }), h("span", { class: "truncate" }, name), when));
    }
    const href = item.kind === "platform" ? (exists("platforms") ? link("platforms", item.id) : null)
      : link("devices", item.id, item.kind === "stranger" ? { tab: "timeline" } : {});
    const inner = [icon(item.kind === "platform" ? "platforms" : "device", { size: 16 }), h("span", { class: "truncate" }, name), when];
    return h("li", { key: item.id }, href ? h("a", { class: "chip", href, title: item.id }, inner) : h("span", { class: "chip" }, inner));
  }

  #capacity(seen) {
    const used = seen.ports ? seen.ports.leased + seen.ports.draining : 0;
    const { disk } = seen;
    return card({ title: t("capacity") }, h("div", { class: "stack" },
      seen.ports?.total ? gauge(t("ports"), used / seen.ports.total, t("ports.of", { used: number(used), total: number(seen.ports.total) })) : null,
      disk ? gauge(t("disk"), 1 - disk.free / disk.total, t("disk.of", { free: bytes(disk.free), total: bytes(disk.total) })) : null,
      facts([
        [t("version"), seen.version || "–"],
        seen.started_at && [t("running"), duration((new Date(seen.now) - new Date(seen.started_at)) / 1000)],
      ])));
  }
});

function gauge(label, share, text) {
  return h("div", { class: "gauge" }, h("div", { class: "gauge-head" }, h("span", null, label), h("span", { class: "muted" }, `${percent(share)} · ${text}`)),
    meter(share, { label }));
}

function exists(path) {
  return pages.some((page) => page.path === path && page.load);
}

// What happened to a device, in words: entries of a timeline, by day.

import { h } from "../lib/element.js";
import { codes } from "../lib/codes.js";
import { day, duration, number, timeOfDay, words } from "../lib/i18n.js";
import { badge, technical, timeline } from "../lib/ui.js";

export const strings = {
  zh: {
    "times": "{n} 次，自 {time}", "session": "{channel} · {reason}（到达阶段：{stage}）", "from": "来自 {address}，有效期 {time}", "for": "有效期 {time}",
    "synced": "{total} 个通道，新增 {added}，变更 {changed}", "synced.gone": "{total} 个通道，新增 {added}，变更 {changed}，减少 {gone}",
    "secret set": "已设置专用密码", "secret removed": "已取消专用密码",
  },
  en: {
    "times": "{n} times since {time}", "session": "{channel} · {reason} (reached: {stage})", "from": "from {address}, for {time}", "for": "for {time}",
    "synced": "{total} channels, {added} new, {changed} changed", "synced.gone": "{total} channels, {added} new, {changed} changed, {gone} gone",
    "secret set": "Its own password was set", "secret removed": "Its own password was removed",
  },
};
const t = words(strings);

const TONES = {
  registered: "good", refreshed: "neutral", rebooted: "warn", address_changed: "info", address_refused: "bad", keepalive_missed: "warn",
  keepalive_fault: "warn", offline: "bad", auth_failed: "bad", catalog_synced: "good", catalog_shrunk: "warn", catalog_failed: "bad",
  session_ended: "neutral", subscription: "info", message_rejected: "warn", settings_changed: "info",
};

/** Entries of GET devices/{id}/timeline, newest first, under their days. */
export function eventList(entries) {
  const days = [];
  for (const entry of entries) {
    const date = day(entry.at);
    if (days.at(-1)?.date !== date) days.push({ date, entries: [] });
    days.at(-1).entries.push(entry);
  }
  return h("div", { class: "stack" }, days.map(({ date, entries: list }) => h("section", { class: "stack-tight", key: date },
    h("h3", { class: "small-title muted" }, date), timeline(list.map(shown)))));
}

function shown(entry) {
  const failed = entry.kind === "session_ended" && !ORDINARY.test(entry.detail);
  return {
    key: `${entry.first_at || entry.at}/${entry.kind}/${entry.detail}`,
    at: entry.at, when: timeOfDay(entry.at), title: codes.code("event", entry.kind), tone: failed ? "warn" : TONES[entry.kind] || "neutral",
    detail: described(entry),
    note: entry.count > 1 ? badge(t("times", { n: entry.count, time: timeOfDay(entry.first_at || entry.at) })) : null,
  };
}

const ORDINARY = /^\S+: (?:no_readers|stopped|shutdown) /;

/** The gateway's sentence in the reader's words where its form is known, else as it is. */
function described({ kind, detail }) {
  if (kind === "session_ended") {
    const found = /^(\S+): (\w+) after (\w+): ?(.*)$/s.exec(detail);
    if (!found) return detail;
    const [, channel, reason, stage, sentence] = found;
    return [t("session", { channel, reason: codes.code("end", reason), stage: codes.code("stage", stage) }),
      sentence && technical({ detail: sentence })];
  }
  if (kind === "offline") {
    const [code, ...rest] = detail.split(":");
    if (codes.has(`offline.${code}`)) return [codes(`offline.${code}`), rest.join(":").trim() && technical({ detail: rest.join(":").trim() })];
  }
  if (t.has(detail)) return t(detail);
  const granted = /^(?:from (.+) )?for (\d+) s$/.exec(detail);
  if (granted) return t(granted[1] ? "from" : "for", { address: granted[1], time: duration(Number(granted[2])) });
  const synced = /^(\d+) channels, (\d+) new, (\d+) changed(?:, (\d+) .*)?$/.exec(detail);
  if (synced) {
    const [, total, added, changed, gone] = synced;
    return t(gone ? "synced.gone" : "synced", { total: number(total), added: number(added), changed: number(changed), gone: number(gone || 0) });
  }
  return detail;
}

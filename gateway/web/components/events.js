// What happened to a device, in words: entries of a timeline, by day.

import { h } from "../lib/element.js";
import { codes } from "../lib/codes.js";
import { day, timeOfDay, words } from "../lib/i18n.js";
import { badge, timeline } from "../lib/ui.js";
import { said } from "./device-said.js";

export const strings = {
  zh: { "times": "{n} 次，自 {time}" },
  en: { "times": "{n} times since {time}" },
};
const t = words(strings);

const TONES = {
  registered: "good", refreshed: "neutral", rebooted: "warn", address_changed: "info", address_refused: "bad", keepalive_missed: "warn",
  keepalive_fault: "warn", offline: "bad", auth_failed: "bad", catalog_synced: "good", catalog_shrunk: "warn", catalog_failed: "bad",
  session_ended: "neutral", source_changed: "warn", subscription: "info", message_rejected: "warn", settings_changed: "info",
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
    detail: said(entry),
    note: entry.count > 1 ? badge(t("times", { n: entry.count, time: timeOfDay(entry.first_at || entry.at) })) : null,
  };
}

const ORDINARY = /^\S+: (?:no_readers|stopped|shutdown) /;

// Words in Chinese and English, and how times, sizes and numbers are written.
//
// Each module that shows words has `export const strings = {zh: {...}, en: {...}}` with the same flat keys in both,
// and `const t = words(strings)`. `{name}` in a text is a parameter. t() falls back to the common dictionary
// (lib/common.js), then to the key itself. A change of language renders the whole page anew.

import { strings as common } from "./common.js";

export const LANGUAGES = { zh: "中文", en: "English" };

const STORED = "gb.language";
let language = remembered();
apply();

function remembered() {
  let choice = null;
  try { choice = localStorage.getItem(STORED); } catch { /* storage may be forbidden */ }
  if (choice in LANGUAGES) return choice;
  return navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function apply() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

/** The language now: "zh" or "en". */
export function currentLanguage() {
  return language;
}

/** Switch; tells `gb-language` on the window. */
export function setLanguage(choice) {
  if (!(choice in LANGUAGES) || choice === language) return;
  language = choice;
  try { localStorage.setItem(STORED, choice); } catch { /* lasts for this page then */ }
  apply();
  window.dispatchEvent(new CustomEvent("gb-language", { detail: choice }));
}

/** Return the t(key, params) of a dictionary. */
export function words(strings) {
  const t = (key, params) => {
    const text = strings[language]?.[key] ?? common[language]?.[key];
    if (text === undefined) {
      console.error(`no words for ${key} in ${language}`);
      return key;
    }
    return fill(text, params);
  };
  /** Whether there are words for a key (codes that come from the server may be new). */
  t.has = (key) => strings[language]?.[key] !== undefined || common[language]?.[key] !== undefined;
  /** Words for a code from the server, or the code as it is. */
  t.code = (prefix, code, params) => (t.has(`${prefix}.${code}`) ? t(`${prefix}.${code}`, params) : String(code));
  return t;
}

function fill(text, params) {
  if (!params) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

/** Words of the common dictionary. */
export const t = words({ zh: {}, en: {} });

/** Take the sentence for the language from {zh, en}, as the server gives some. */
export function either(pair) {
  return pair ? pair[language] ?? pair.en : "";
}

const locale = () => (language === "zh" ? "zh-CN" : "en-GB");
const made = new Map();

function formatter(kind, options) {
  const key = `${kind}${language}${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Intl[kind](locale(), options));
  return made.get(key);
}

/** 12,345 */
export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  return formatter("NumberFormat", { maximumFractionDigits: digits }).format(value);
}

/** 0.42 -> 42 % */
export function percent(share) {
  return formatter("NumberFormat", { style: "percent", maximumFractionDigits: share > 0 && share < 0.1 ? 1 : 0 })
    .format(share);
}

/** 1.5 GB; powers of 1000 as disks are sold, or of 1024 never. */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let step = 0;
  while (value >= 1000 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${number(value, value < 10 && step > 0 ? 1 : 0)} ${units[step]}`;
}

/** 512 kbit/s, 2.1 Mbit/s */
export function bitrate(kbps) {
  if (kbps === null || kbps === undefined) return "–";
  return kbps >= 1000 ? `${number(kbps / 1000, 1)} Mbit/s` : `${number(kbps)} kbit/s`;
}

const toDate = (value) => (value instanceof Date ? value : new Date(value));

/** Date and time of day with seconds; today without the date. */
export function dateTime(value, { full = false } = {}) {
  if (!value) return "–";
  const date = toDate(value);
  const today = date.toDateString() === new Date().toDateString();
  const clock = timeOfDay(date);
  return today && !full ? clock : `${day(date)} ${clock}`;
}

/** 2026-11-21, in both languages: unambiguous and sortable. */
export function day(value) {
  const date = toDate(value);
  const two = (part) => String(part).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** 23:05:09 */
export function timeOfDay(value, { seconds = true } = {}) {
  return formatter("DateTimeFormat", {
    hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined, hourCycle: "h23",
  }).format(toDate(value));
}

/** A length of time: 850 ms, 3.2 s, 4 min 10 s, 3 h 5 min, 2 d 4 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const value = Math.max(0, seconds);
  if (value < 1) return t("time.ms", { n: Math.round(value * 1000) });
  if (value < 10) return t("time.s", { n: number(value, 1) });
  if (value < 60) return t("time.s", { n: Math.round(value) });
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = parts.findIndex(([, size]) => value >= size);
  const [unit, size] = parts[first];
  const whole = Math.floor(value / size);
  const rest = parts[first + 1] ? Math.floor((value % size) / parts[first + 1][1]) : 0;
  const text = t(`time.${unit}`, { n: whole });
  return rest ? `${text} ${t(`time.${parts[first + 1][0]}`, { n: rest })}` : text;
}

/** How long ago: "3 min ago". */
export function ago(value, now = Date.now()) {
  if (!value) return "–";
  const seconds = (now - toDate(value).getTime()) / 1000;
  if (seconds < 5) return t("time.now");
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const [unit, size] = parts.find(([, length]) => seconds >= length);
  return t("time.ago", { time: t(`time.${unit}`, { n: Math.floor(seconds / size) }) });
}

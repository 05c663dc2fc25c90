// The gateway's sentences of the form "what: expected this, got that", put into the reader's language as far as known.

import { currentLanguage, words } from "../lib/i18n.js";

export const strings = {
  zh: {
    "expected": "应为{x}，实际为 {y}", "missing": "应为{x}，但没有这一项", "only": "应为{x}", "none": "没有给出", "known": "已知的键", "text": "加引号的文本",
    "table": "表", "tables": "表或表的列表", "actions": "操作列表", "window": "时段，例如 \"Mon-Fri 08:00-18:00\"", "code": "20 位编码", "effect": " allow 或 deny", "number": "{a} 到 {b} 的整数",
    "oneof": "其中之一：{x}", "between": "{a} 至 {b}", "atmost": "最多 {x} 个字符", "unique": "不重复的名称", "unique.id": "不重复的 id", "tag": "本策略中的标签", "subject": "至少一项主体（platforms、departments、keys…）", "again": "重复的 {x}", "date": "不加引号的日期或时间", "host": "可用的主机名或 IP 地址",
    "hint": "（是不是 {x}？）",
  },
  en: {
    "expected": "expected {x}, got {y}", "missing": "expected {x}, the key is missing", "only": "expected {x}", "none": "none", "known": "a known key",
    "text": "text in quotes", "table": "a table", "tables": "a table or a list of tables", "actions": "a list of actions",
    "window": "a window such as \"Mon-Fri 08:00-18:00\"", "code": "a 20-digit code", "effect": "allow or deny", "number": "a whole number from {a} to {b}",
    "oneof": "one of {x}", "between": "{a} to {b}", "atmost": "at most {x} characters", "unique": "a name of its own", "unique.id": "an id of its own",
    "tag": "a tag of this policy", "subject": "at least one of platforms, departments, keys, ...", "again": "{x} again",
    "date": "a date or date-time without quotes", "host": "a host name or an IP address one can send to", "hint": " (did you mean {x}?)",
  },
};
const t = words(strings);

const PHRASES = [
  [/^a known key$/, "known"], [/^text in quotes$/, "text"], [/^a text$/, "text"], [/^a table$/, "table"], [/^a table or a list of tables$/, "tables"],
  [/^a list of actions$/, "actions"], [/^a window such as .*$/, "window"], [/^(?:a )?20[- ]digits?(?: code)?(?:,.*)?$/, "code"], [/^codes of 20 digits$/, "code"],
  [/^allow or deny$/, "effect"], [/^a whole number from (?<a>\S+) to (?<b>\S+)$/, "number"], [/^one of (?<x>.+)$/, "oneof"],
  [/^(?<a>[\d.]+) to (?<b>[\d.]+)$/, "between"], [/^at most (?<x>\d+) characters.*$/, "atmost"], [/^a name of its own$/, "unique"],
  [/^an id of its own$/, "unique.id"], [/^a tag of this policy$/, "tag"], [/^at least one of platforms.*$/, "subject"], [/^a date or date-time.*$/, "date"],
  [/^a host name or an IP address one can send to$/, "host"],
];

function phrase(text) {
  for (const [pattern, key] of PHRASES) {
    const found = pattern.exec(text);
    if (found) return t(key, { ...found.groups });
  }
  return text;
}

/** A sentence, in Chinese where its form is known; else as it came. */
export function spoken(sentence) {
  if (currentLanguage() === "en") return sentence;
  const got = /^expected (.+?)[,;] got (.+)$/s.exec(sentence);
  if (got) {
    const [, expected, came] = got;
    const again = /^(.+) again(?: .*)?$/s.exec(came);
    const meant = /^(.+?)(?:[;,] did you mean (.+?)\??| \(did you mean (.+?)\?\))$/s.exec(came);
    if (again) return t("expected", { x: phrase(expected), y: t("again", { x: again[1] }) });
    if (meant) return t("expected", { x: phrase(expected), y: meant[1] }) + t("hint", { x: meant[2] || meant[3] });
    return t("expected", { x: phrase(expected), y: came === "none" ? t("none") : came });
  }
  const missing = /^expected (.+), the key is missing$/s.exec(sentence);
  if (missing) return t("missing", { x: phrase(missing[1]) });
  const only = /^expected (.+)$/s.exec(sentence);
  return only ? t("only", { x: phrase(only[1]) }) : sentence;
}

/** The name before the first colon of such a sentence, "" if there is none. */
export const fieldOf = (sentence) => /^([a-z_]+): /.exec(sentence || "")?.[1] || "";

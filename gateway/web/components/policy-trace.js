// Why a decision is as it is: the verdict, the rule that decided, and what every other rule said.

import { h } from "../lib/element.js";
import { remedy } from "../lib/codes.js";
import { dateTime, number, words } from "../lib/i18n.js";
import { link } from "../lib/route.js";
import { badge, card, facts, notice } from "../lib/ui.js";
import { actionText, criterionText, decisionText, kindText, obligationTexts, pointText, ruleText, t as policy } from "./sharing-words.js";

export const strings = {
  zh: {
    "decided": "决定性规则", "until": "至 {time} 须重新判断", "obligations": "附带条件", "rules": "各规则的判断", "rules.of": "列出最接近的 {shown} 条，共 {n} 条", "decides": "决定", "applied": "适用", "unmet": "条件不满足", "no.match": "不涉及",
    "others": "与此请求无关的 {n} 条规则", "wants": "{field}：要求 {expected}，实际 {got}", "line": "第 {n} 行", "facts": "判断所依据的通道属性", "empty.value": "无", "permitted": "网络边界允许", "secrecy": "涉密标志", "boundary": "网络边界", "actions": "操作",
    "context.valid_from": "生效时间", "context.valid_to": "截止时间", "context.windows": "开放时段", "context.zones": "网络区域", "context.identity_required": "用户身份", "context.purpose_required": "事由", "context.ticket_required": "工单号",
    "fact.device_id": "设备", "fact.channel_id": "通道", "fact.kind": "类型", "fact.civil_code": "行政区划", "fact.grassroots_code": "基层编码", "fact.groups": "所属分组", "fact.point_type": "点位类别", "fact.industry": "行业编码", "fact.network": "网络标识",
    "fact.tags": "标签", "fact.secrecy": "涉密", "someone.outside": "外部单位或平台",
  },
  en: {
    "decided": "Decided by", "until": "to be asked again at {time}", "obligations": "Under these conditions", "rules": "What the rules say", "rules.of": "The {shown} nearest of {n}",
    "decides": "decides", "applied": "applies", "unmet": "condition not met", "no.match": "does not speak of it", "others": "{n} rules that do not speak of this",
    "wants": "{field}: wants {expected}, got {got}", "line": "line {n}", "facts": "What the rules looked at", "empty.value": "none", "permitted": "the boundary permits it",
    "secrecy": "Secrecy", "boundary": "Network boundary", "actions": "Action", "context.valid_from": "Valid from", "context.valid_to": "Valid to", "context.windows": "Hours",
    "context.zones": "Network zone", "context.identity_required": "User identity", "context.purpose_required": "Purpose", "context.ticket_required": "Ticket",
    "fact.device_id": "Device", "fact.channel_id": "Channel", "fact.kind": "Kind", "fact.civil_code": "Division", "fact.grassroots_code": "Grass-roots code", "fact.groups": "Groups",
    "fact.point_type": "Class of point", "fact.industry": "Industry", "fact.network": "Network digit", "fact.tags": "Tags", "fact.secrecy": "Secrecy", "someone.outside": "somebody outside",
  },
};
const t = words(strings);

/** An answer of policy/explain; `toLine`: whether lines lead to the text that can be edited. */
export function explanation(found, { toLine = false } = {}) {
  const { decision, trace } = found;
  const duties = decision.allowed ? obligationTexts(decision.obligations) : [];
  const deciding = trace.find((item) => item.rule_id === decision.rule);
  const near = trace.filter((item) => item !== deciding && (item.matched || item.applied));
  const rest = trace.filter((item) => item !== deciding && !near.includes(item));
  return [
    h("div", { class: "verdict" }, notice(decision.allowed ? "" : remedy(decision.reason), decision.allowed ? "good" : "bad", { title: `${decisionText(decision)} · ${found.name || found.channel_id}` }),
      facts([[t("decided"), h("strong", { class: "deciding" }, ruleText(decision.rule))],
        duties.length ? [t("obligations"), duties.join(" · ")] : null, decision.until ? [policy("allowed"), t("until", { time: dateTime(decision.until, { full: true }) })] : null])),
    card({ title: t("rules"), flush: true },
      trace.length < found.rules ? h("p", { class: "field-hint trace-note" }, t("rules.of", { shown: number(trace.length), n: number(found.rules) })) : null,
      h("ol", { class: "trace" }, deciding ? step(deciding, { decides: true, toLine }) : null, near.map((item) => step(item, { toLine }))),
      rest.length ? h("details", { class: "more trace-rest", open: !deciding && !near.length }, h("summary", null, t("others", { n: number(rest.length) })), h("ol", { class: "trace" }, rest.map((item) => step(item, { toLine })))) : null),
    card({ title: t("facts") }, facts(Object.entries(found.facts).map(([name, value]) => [t.code("fact", name), factText(name, value)]))),
  ];
}

const factText = (name, value) => (name === "kind" ? kindText(value) : name === "point_type" && ["1", "2", "3", "9"].includes(value) ? pointText(value) : h("span", { class: "mono" }, value));

function step(item, { decides = false, toLine = false } = {}) {
  const state = decides ? ["decides", item.effect === "allow" ? "good" : "bad"] : item.applied ? ["applied", "info"] : item.matched ? ["unmet", "warn"] : ["no.match", "neutral"];
  return h("li", { class: ["trace-step", decides && "trace-decides"], key: item.rule_id },
    h("div", { class: "row row-wrap" }, h("strong", { class: "trace-rule" }, ruleText(item.rule_id)), badge(policy(`effect.${item.effect}`), item.effect === "allow" ? "good" : "bad"), badge(t(state[0]), state[1]),
      item.line ? (toLine ? h("a", { href: link("policy", { line: item.line }), class: "trace-line" }, t("line", { n: item.line })) : h("span", { class: "cell-note" }, t("line", { n: item.line }))) : null),
    item.mismatches.length ? h("ul", { class: "trace-misses" }, item.mismatches.map((miss) => h("li", null, missText(miss)))) : null);
}

function fieldText(field) {
  if (t.has(field)) return t(field);
  const [group, name] = field.split(".");
  if (group === "subjects" && name) return policy.code("subject", name);
  return group === "objects" && policy.has(`object.${name}`) ? criterionText(name) : field;
}

function missText({ field, expected, got }) {
  if (field === "boundary") return t("permitted");
  const value = (text) => (text === "none" || !text ? t("empty.value") : field === "actions" ? text.split(/[\s,]+/).map(actionText).join(" ") : text === "somebody outside" ? t("someone.outside") : text);
  return t("wants", { field: fieldText(field), expected: value(expected), got: value(got) });
}

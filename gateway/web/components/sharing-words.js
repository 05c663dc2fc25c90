// Words of the sharing policy, the same on every page: actions, subjects, objects, obligations, decisions.

import { h } from "../lib/element.js";
import { codes, denied } from "../lib/codes.js";
import { currentLanguage, words } from "../lib/i18n.js";
import { badge } from "../lib/ui.js";

export const strings = {
  zh: {
    "action.catalog": "目录", "action.live": "实时视频", "action.playback": "录像回放", "action.download": "录像下载", "action.ptz": "云台控制",
    "action.alarm": "报警", "action.position": "位置", "action.talk": "语音对讲", "action.config": "设备配置",
    "subject.any": "所有人（含本单位）", "subject.outside": "所有外部单位和平台", "subject.platforms": "平台", "subject.departments": "部门", "subject.keys": "密钥",
    "subject.users": "用户", "subject.roles": "角色", "subject.identities": "用户身份", "subject.user_types": "用户类型", "subject.gateways": "经由网关",
    "object.all": "全部通道", "object.channels": "通道", "object.devices": "设备", "object.civil_codes": "行政区划", "object.grassroots": "基层编码",
    "object.groups": "业务分组 / 虚拟组织", "object.point_types": "点位类别", "object.industries": "行业编码", "object.networks": "网络标识", "object.tags": "标签",
    "object.kinds": "类型", "point.1": "一类点", "point.2": "二类点", "point.3": "三类点", "point.9": "其他点",
    "label.platform": "平台", "label.department": "部门", "label.key": "密钥", "label.user": "用户", "label.role": "角色",
    "oblige.sub_stream": "仅子码流", "oblige.mask_name": "名称显示为“{name}”", "oblige.mask_position": "隐藏位置", "oblige.notify_owner": "通知所属部门",
    "oblige.max_streams": "同时最多 {n} 路", "allowed": "允许", "denied": "拒绝", "effect.allow": "允许", "effect.deny": "禁止",
    "rule.stop": "强制停止 {id}", "rule.grant": "授权 {id}", "rule.none": "没有规则适用", "rule.builtin:secrecy": "内置：涉密点位不出域",
    "rule.builtin:boundary": "内置：网络边界", "rule.builtin:local-admin": "内置：本单位管理员", "rule.builtin:local-operator": "内置：本单位值班员",
    "rule.builtin:local-viewer": "内置：本单位查看员", "rule.operator": "值班员操作", "and": "，且 ", "more": "等 {n} 项",
  },
  en: {
    "action.catalog": "Catalogue", "action.live": "Live", "action.playback": "Playback", "action.download": "Download", "action.ptz": "PTZ",
    "action.alarm": "Alarms", "action.position": "Position", "action.talk": "Talk", "action.config": "Configure",
    "subject.any": "Everybody, our own people included", "subject.outside": "Everybody outside", "subject.platforms": "Platform",
    "subject.departments": "Department", "subject.keys": "Key", "subject.users": "User", "subject.roles": "Role", "subject.identities": "Identity",
    "subject.user_types": "User type", "subject.gateways": "Through gateway",
    "object.all": "Every channel", "object.channels": "Channels", "object.devices": "Devices", "object.civil_codes": "Divisions",
    "object.grassroots": "Grass-roots codes", "object.groups": "Groups and organisations", "object.point_types": "Classes of points",
    "object.industries": "Industries", "object.networks": "Network digits", "object.tags": "Tags", "object.kinds": "Kinds",
    "point.1": "Class I", "point.2": "Class II", "point.3": "Class III", "point.9": "Others",
    "label.platform": "platform", "label.department": "department", "label.key": "key", "label.user": "user", "label.role": "role",
    "oblige.sub_stream": "Sub stream only", "oblige.mask_name": "Shown as “{name}”", "oblige.mask_position": "Position hidden",
    "oblige.notify_owner": "Owner is told", "oblige.max_streams": "At most {n} streams", "allowed": "Allowed", "denied": "Refused",
    "effect.allow": "allows", "effect.deny": "denies", "rule.stop": "Forced stop {id}", "rule.grant": "Grant {id}", "rule.none": "No rule applies",
    "rule.builtin:secrecy": "Built in: secret channels stay inside", "rule.builtin:boundary": "Built in: network boundary",
    "rule.builtin:local-admin": "Built in: our administrators", "rule.builtin:local-operator": "Built in: our operators",
    "rule.builtin:local-viewer": "Built in: our viewers", "rule.operator": "An operator", "and": ", and ", "more": "and {n} more",
  },
};
export const t = words(strings);

export const ACTIONS = ["catalog", "live", "playback", "download", "ptz", "alarm", "position", "talk", "config"];
export const CRITERIA = ["channels", "devices", "civil_codes", "grassroots", "groups", "point_types", "industries", "networks", "tags", "kinds"];
const SHOWN = 4; // values named of a list

export const actionText = (action) => t.code("action", action);

/** "目录、实时视频" */
export const actionsText = (actions) => ACTIONS.filter((action) => actions.includes(action)).map(actionText).join(currentLanguage() === "zh" ? "、" : ", ");

export const actionBadges = (actions) => h("span", { class: "row row-wrap badges" },
  ACTIONS.filter((action) => actions.includes(action)).map((action) => badge(actionText(action))));

/** "platform:3713..." of the audit and of accesses, in words. */
export function labelText(label) {
  const at = label.indexOf(":");
  if (at < 0 || !t.has(`label.${label.slice(0, at)}`)) return label;
  if (label.startsWith("role:")) return codes.code("role", label.slice(at + 1));
  return `${t(`label.${label.slice(0, at)}`)} ${label.slice(at + 1)}`;
}

function listed(values) {
  const shown = values.slice(0, SHOWN).join(currentLanguage() === "zh" ? "、" : ", ");
  return values.length > SHOWN ? `${shown} ${t("more", { n: values.length })}` : shown;
}

/** Who is meant, as in a policy file, in words; `names` gives names of codes. */
export function subjectText(subject, names = new Map()) {
  if (!Object.keys(subject).length) return t("subject.outside");
  return Object.entries(subject).map(([field, values]) => {
    if (values === true) return t(`subject.${field}`);
    return `${t.code("subject", field)} ${listed([values].flat().map((value) => names.get(value) || value))}`;
  }).join(t("and"));
}

const valueText = (field, value) => {
  if (field === "point_types" && t.has(`point.${value}`)) return t(`point.${value}`);
  if (field === "kinds") return kindText(value);
  return value;
};

/** Which channels are meant, in words. */
export function objectsText(objects) {
  const parts = Object.entries(objects || {}).filter(([, values]) => values.length)
    .map(([field, values]) => `${t.code("object", field)} ${listed(values.map((value) => valueText(field, value)))}`);
  return parts.length ? parts.join(t("and")) : t("object.all");
}

export const criterionText = (field) => t(`object.${field}`);
export const kindText = (kind) => codes.code("kind", kind);
export const pointText = (point) => t(`point.${point}`);

/** What must be obeyed, in words: a list, empty for nothing. */
export function obligationTexts(obligations) {
  const found = [];
  if (obligations.sub_stream) found.push(t("oblige.sub_stream"));
  if (obligations.mask_name !== null) found.push(t("oblige.mask_name", { name: obligations.mask_name }));
  if (obligations.mask_position) found.push(t("oblige.mask_position"));
  if (obligations.notify_owner) found.push(t("oblige.notify_owner"));
  if (obligations.max_streams !== null) found.push(t("oblige.max_streams", { n: obligations.max_streams }));
  return found;
}

/** What decided, in words. */
export function ruleText(rule) {
  if (!rule) return t("rule.none");
  if (t.has(`rule.${rule}`)) return t(`rule.${rule}`);
  const [kind, id] = rule.split(/:(.*)/s);
  return id && (kind === "stop" || kind === "grant") ? t(`rule.${kind}`, { id }) : rule;
}

/** Allowed or refused, and why. */
export function decisionText(decision) {
  if (decision.allowed) return t("allowed");
  const reason = denied(decision.reason);
  return reason === decision.reason ? t("denied") : reason;
}

export const decisionBadge = (decision) => badge(decisionText(decision), decision.allowed ? "good" : "bad",
  { icon: decision.allowed ? "check" : "error" });

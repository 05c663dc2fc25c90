// What can be done with an API key: make, change, another secret, disable, delete.

import { api } from "../lib/api.js";
import { t as common, words } from "../lib/i18n.js";
import { confirm } from "./dialog.js";
import { gridForm } from "./grid-form.js";
import { isoTime, localTime } from "./audit-acts.js";
import { showSecrets } from "./secret.js";
import { toast } from "./toast.js";

export const strings = {
  zh: {
    "new": "新建密钥", "edit": "修改密钥 {id}", "name": "名称", "name.hint": "哪个系统使用；本单位密钥填所属用户名。", "owner": "属于", "owner.operator": "本单位（值班员）", "owner.viewer": "本单位（查看员）", "scopes": "可以调用",
    "scopes.hint": "调用之后能看到什么，由共享策略决定。", "scope.catalog": "目录", "scope.live": "实时视频", "scope.playback": "录像回放", "scope.download": "录像下载", "scope.ptz": "云台控制", "scope.config": "设备配置", "scope.alarm": "报警",
    "scope.grants": "提交共享申请", "scope.audit.own": "查本部门审计", "scope.webhooks": "管理本部门 Webhook", "rate": "每分钟请求上限", "streams": "同时取流上限（路）", "expires": "到期时间", "expires.hint": "留空：不过期。", "zone": "网络区域", "zone.hint": "留空按部门。",
    "scopes.none": "请至少选择一项", "issued": "密钥 {id}", "issued.intro": "交给使用方。Bearer 用于 Authorization 头；签名密钥用于签名请求。", "bearer": "Bearer 令牌", "secret": "签名密钥", "saved": "密钥已修改", "rotate": "更换密钥", "rotate.title": "更换 {id} 的密钥？",
    "rotate.text": "旧密钥立即失效，使用方须换成新的。", "disable.title": "停用密钥 {id}？", "disable.text": "立即失效，正在取的流停止；可重新启用。", "disable": "停用", "disabled": "密钥已停用", "enabled": "密钥已启用", "delete.title": "删除密钥 {id}？",
    "delete.text": "不可恢复；正在取的流停止。", "deleted": "密钥已删除",
  },
  en: {
    "new": "New key", "edit": "Change key {id}", "name": "Name", "name.hint": "Which system uses it; for our own people the user's name.", "owner": "Belongs to", "owner.operator": "Our own people (operator)", "owner.viewer": "Our own people (viewer)", "scopes": "It may call",
    "scopes.hint": "What it then sees is for the sharing policy to say.", "scope.catalog": "Catalogue", "scope.live": "Live", "scope.playback": "Playback", "scope.download": "Download", "scope.ptz": "PTZ", "scope.config": "Configure", "scope.alarm": "Alarms",
    "scope.grants": "Apply for access", "scope.audit.own": "Its own audit", "scope.webhooks": "Its own webhooks", "rate": "Requests a minute", "streams": "Streams at once", "expires": "Expires", "expires.hint": "Empty: never.", "zone": "Network zone", "zone.hint": "Empty: the department's.",
    "scopes.none": "Choose one at least", "issued": "Key {id}", "issued.intro": "Give it to whoever uses it: the bearer for the Authorization header, the secret for signed requests.", "bearer": "Bearer token", "secret": "Secret for signatures", "saved": "Key changed",
    "rotate": "New secret", "rotate.title": "Give {id} a new secret?", "rotate.text": "The old one is worthless at once.", "disable.title": "Disable key {id}?", "disable.text": "It is worthless at once and its streams end; it can be enabled again.", "disable": "Disable",
    "disabled": "Key disabled", "enabled": "Key enabled", "delete.title": "Delete key {id}?", "delete.text": "For good; its streams end.", "deleted": "Key deleted",
  },
};
export const t = words(strings);

const SCOPES = ["catalog", "live", "playback", "download", "ptz", "config", "alarm", "grants", "audit.own", "webhooks"];
const OF_ROLE = { operator: ["catalog", "live", "playback", "ptz", "alarm"], viewer: ["catalog", "live"] };
const USUAL = ["catalog", "live"];

const path = (key, rest = "") => `keys/${encodeURIComponent(key.key_id)}${rest}`;
export const scopeText = (scope) => t.code("scope", scope);

function fields(key, departments, chosen) {
  const owner = key ? key.role || `department:${key.department}` : chosen.owner ?? (departments.length ? `department:${departments[0].code}` : "operator");
  const scopes = OF_ROLE[owner] || SCOPES;
  return [
    key ? null : { name: "owner", label: t("owner"), type: "select", value: owner, options: [...departments.map((item) => [`department:${item.code}`, item.name]), ["operator", t("owner.operator")], ["viewer", t("owner.viewer")]] },
    { name: "name", label: t("name"), value: key?.name ?? "", maxlength: 100, required: !owner.startsWith("department:"), hint: t("name.hint") },
    { name: "scopes", label: t("scopes"), type: "checks", value: key?.scopes ?? USUAL, options: scopes.map((scope) => [scope, scopeText(scope)]), hint: t("scopes.hint") },
    { name: "requests_per_minute", label: t("rate"), type: "number", min: 1, max: 6000, required: true, value: key?.requests_per_minute ?? 600 },
    { name: "max_streams", label: t("streams"), type: "number", min: 0, max: 10_000, required: true, value: key?.max_streams ?? 8 },
    { name: "expires_at", label: t("expires"), type: "datetime-local", value: localTime(key?.expires_at), hint: t("expires.hint") },
    { name: "zone", label: t("zone"), value: key?.zone ?? "", maxlength: 64, hint: t("zone.hint") },
  ].filter(Boolean);
}

const check = (values) => (values.scopes.length ? {} : { scopes: t("scopes.none") });
const body = (values) => ({ ...values, expires_at: isoTime(values.expires_at) || null });

async function tell(issued) {
  await showSecrets({ title: () => t("issued", { id: issued.key.key_id }), intro: t("issued.intro"), secrets: [
    { name: "bearer", label: t("bearer"), value: issued.bearer }, { name: "secret", label: t("secret"), value: issued.secret }] });
}

/** Make one, and show its secret once. */
export async function newKey(departments) {
  const issued = await gridForm({
    title: () => t("new"), submit: t("new"), fields: (chosen) => fields(null, departments, chosen), check,
    save: ({ owner, ...values }) => api.post("keys", { ...body(values), ...(owner.startsWith("department:") ? { department: owner.slice(11) } : { role: owner }) }),
  });
  if (issued) await tell(issued);
  return Boolean(issued);
}

export async function changeKey(key, departments) {
  const done = await gridForm({ title: () => t("edit", { id: key.key_id }), fields: (chosen) => fields(key, departments, chosen), check, save: (values) => api.patch(path(key), body(values)) });
  if (done) toast(t("saved"));
  return Boolean(done);
}

export async function rotateKey(key) {
  let issued = null;
  const yes = await confirm({ title: t("rotate.title", { id: key.key_id }), text: t("rotate.text"), yes: t("rotate"), danger: true, act: async () => { issued = await api.post(path(key, "/rotate")); } });
  if (yes) await tell(issued);
  return yes;
}

export async function toggleKey(key) {
  const act = () => api.patch(path(key), { disabled: !key.disabled });
  if (key.disabled) await act();
  else if (!(await confirm({ title: t("disable.title", { id: key.key_id }), text: t("disable.text"), yes: t("disable"), danger: true, act }))) return false;
  toast(t(key.disabled ? "enabled" : "disabled"));
  return true;
}

export async function deleteKey(key) {
  const yes = await confirm({ title: t("delete.title", { id: key.key_id }), text: t("delete.text"), yes: common("delete"), danger: true, act: () => api.delete(path(key)) });
  if (yes) toast(t("deleted"));
  return yes;
}

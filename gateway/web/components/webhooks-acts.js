// What can be done with a webhook: add, change, try, switch off and on, delete.

import { api } from "../lib/api.js";
import { t as common, words } from "../lib/i18n.js";
import { confirm } from "./dialog.js";
import { gridForm } from "./grid-form.js";
import { showSecrets } from "./secret.js";
import { toast } from "./toast.js";

export const strings = {
  zh: {
    "new": "添加 Webhook", "edit": "修改 Webhook", "department": "属于", "department.hint": "只通知该部门有权看到的通道。", "url": "接收地址", "url.hint": "http 或 https；不跟随重定向。每次推送都带 HMAC 签名。", "events": "通知内容", "events.none": "请至少选择一项",
    "event.on": "通道上线", "event.off": "通道离线", "event.added": "新增可见通道", "event.removed": "不再可见", "event.accessed": "本部门通道被调阅", "none": "请先在“用户与密钥”中登记外部部门。",
    "issued": "Webhook 已添加", "issued.intro": "交给接收方，用来校验每次推送的 X-Gb-Signature。", "secret": "签名密钥", "saved": "Webhook 已修改", "tested": "已发出测试通知，结果很快显示在列表中", "disable": "停用", "disabled": "Webhook 已停用", "enabled": "Webhook 已启用，待发的通知重新推送",
    "disable.title": "停用到 {host} 的 Webhook？", "disable.text": "不再推送；可随时重新启用。", "delete.title": "删除到 {host} 的 Webhook？", "delete.text": "尚未送达的通知一并丢弃。", "deleted": "Webhook 已删除",
  },
  en: {
    "new": "Add a webhook", "edit": "Change webhook", "department": "Belongs to", "department.hint": "It is told only of channels that this department may see.", "url": "Receiver", "url.hint": "http or https; redirects are not followed. Each delivery is signed by HMAC.", "events": "Tell of", "events.none": "Choose one at least",
    "event.on": "Channel online", "event.off": "Channel offline", "event.added": "Channel became visible", "event.removed": "Channel no longer visible", "event.accessed": "Access to the department's own channels", "none": "Make a department first, at “Users and keys”.",
    "issued": "Webhook added", "issued.intro": "Give it to the receiver, which checks the X-Gb-Signature of each delivery by it.", "secret": "Secret for signatures", "saved": "Webhook changed", "tested": "A test was sent; the list soon shows what became of it", "disable": "Disable", "disabled": "Webhook disabled", "enabled": "Webhook enabled; what waits is sent again",
    "disable.title": "Disable the webhook to {host}?", "disable.text": "Nothing is sent any more; it can be enabled again.", "delete.title": "Delete the webhook to {host}?", "delete.text": "What was not delivered yet is dropped.", "deleted": "Webhook deleted",
  },
};
export const t = words(strings);

const EVENTS = ["on", "off", "added", "removed", "accessed"];

const path = (hook, rest = "") => `webhooks/${encodeURIComponent(hook.hook_id)}${rest}`;
export const eventText = (event) => t.code("event", event);

/** The host of a receiver, for headings. */
export function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}

const fields = (hook, departments) => [
  hook || !departments ? null : { name: "department", label: t("department"), type: "select", wide: true, required: true, value: departments[0]?.code ?? "", hint: departments.length ? t("department.hint") : t("none"), options: departments.map((item) => [item.code, item.name]) },
  { name: "url", label: t("url"), type: "url", wide: true, required: true, maxlength: 1000, value: hook?.url ?? "", class: "mono", spellcheck: "false", autocapitalize: "none", hint: t("url.hint") },
  { name: "events", label: t("events"), type: "checks", value: hook?.events ?? EVENTS, options: EVENTS.map((event) => [event, eventText(event)]) },
].filter(Boolean);

const check = (values) => (values.events.length ? {} : { events: t("events.none") });

/** Add one, and show its secret once; without departments to choose from it is one's own department's. */
export async function newHook(departments) {
  const made = await gridForm({
    title: () => t("new"), submit: t("new"), fields: () => fields(null, departments), check,
    save: ({ url, ...values }) => api.post("webhooks", { ...values, url: url.trim() }),
  });
  if (made) await showSecrets({ title: () => t("issued"), intro: t("issued.intro"), secrets: [{ name: "secret", label: t("secret"), value: made.secret }] });
  return Boolean(made);
}

export async function changeHook(hook) {
  const done = await gridForm({ title: () => t("edit"), fields: () => fields(hook, []), check, save: ({ url, ...values }) => api.patch(path(hook), { ...values, url: url.trim() }) });
  if (done) toast(t("saved"));
  return Boolean(done);
}

export async function testHook(hook) {
  await api.post(path(hook, "/test"));
  toast(t("tested"), "info");
  return true;
}

export async function toggleHook(hook) {
  const act = () => api.patch(path(hook), { enabled: !hook.enabled });
  if (!hook.enabled) await act();
  else if (!(await confirm({ title: t("disable.title", { host: hostOf(hook.url) }), text: t("disable.text"), yes: t("disable"), danger: true, act }))) return false;
  toast(t(hook.enabled ? "disabled" : "enabled"));
  return true;
}

export async function deleteHook(hook) {
  const yes = await confirm({ title: t("delete.title", { host: hostOf(hook.url) }), text: t("delete.text"), yes: common("delete"), danger: true, act: () => api.delete(path(hook)) });
  if (yes) toast(t("deleted"));
  return yes;
}

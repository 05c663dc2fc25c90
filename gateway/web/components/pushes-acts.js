// What can be done with a push: add, change, try again, switch off, delete.

import { api } from "../lib/api.js";
import { h } from "../lib/element.js";
import { t as common, words } from "../lib/i18n.js";
import { button } from "../lib/ui.js";
import { confirm, openDialog } from "./dialog.js";
import { gridForm } from "./grid-form.js";
import { toast } from "./toast.js";
import "./channel-picker.js";

export const strings = {
  zh: {
    "tls": "TLS 目标须出示受信任的证书", "pick": "推送哪个通道", "new": "推送 {channel}", "edit": "修改转推", "name": "名称", "url": "目标地址", "url.hint": "rtmp://主机/应用/名称、rtsp://主机/路径（rtmps、rtsps 为 TLS 加密）或 srt://主机:端口，按目标要求带用户、密码或密钥；加密保存，不再显示。",
    "url.keep": "现为 {url}（密码和密钥不显示）；留空表示不变。", "stream": "码流", "stream.0": "主码流", "stream.1": "子码流", "department": "接收方", "department.own": "本单位的服务器", "department.hint": "属于外部部门时，按共享策略决定能否推送，并写入审计。",
    "add": "开始转推", "added": "转推已添加", "saved": "转推已修改", "retried": "正在重试", "delete.title": "删除到 {target} 的转推？", "delete.text": "立即停止推送。", "deleted": "转推已删除", "disabled": "转推已停用", "enabled": "转推已启用", "disable": "停用", "disable.title": "停用到 {target} 的转推？",
    "disable.text": "立即停止推送；可随时重新启用。",
  },
  en: {
    "tls": "By TLS, the target must show a trusted certificate", "pick": "Push which channel", "new": "Push {channel}", "edit": "Change push", "name": "Name", "url": "Target", "url.hint": "rtmp://host/app/name, rtsp://host/path (rtmps, rtsps: by TLS) or srt://host:port, with user, password or key as the target wants them; kept sealed and not shown again.",
    "url.keep": "Now {url} (passwords and keys are not shown); empty leaves it.", "stream": "Stream", "stream.0": "Main stream", "stream.1": "Sub stream", "department": "Received by", "department.own": "A server of our own",
    "department.hint": "For a department the sharing policy decides, and it is put on record.", "add": "Begin to push", "added": "Push added", "saved": "Push changed", "retried": "It is tried again", "delete.title": "Delete the push to {target}?", "delete.text": "It ends at once.",
    "deleted": "Push deleted", "disabled": "Push disabled", "enabled": "Push enabled", "disable": "Disable", "disable.title": "Disable the push to {target}?", "disable.text": "It ends at once; it can be enabled again.",
  },
};
const t = words(strings);

const path = (push, rest = "") => `pushes/${encodeURIComponent(push.push_id)}${rest}`;

const fields = (push, departments) => [
  { name: "url", label: t("url"), wide: true, required: !push, minlength: 8, maxlength: 2048, class: "mono", spellcheck: "false", autocapitalize: "none", autofocus: true, hint: push ? t("url.keep", { url: push.target }) : t("url.hint") },
  { name: "name", label: t("name"), value: push?.name ?? "", maxlength: 100 },
  { name: "stream", label: t("stream"), type: "select", value: push?.stream ?? 0, options: [[0, t("stream.0")], [1, t("stream.1")]] },
  { name: "department", label: t("department"), type: "select", wide: true, value: push?.department ?? "", hint: t("department.hint"), options: [["", t("department.own")], ...departments.map((item) => [item.code, item.name])] },
  { name: "tls_verify", label: t("tls"), type: "checkbox", value: push?.tls_verify ?? true },
];

const body = ({ stream, url, ...values }) => ({ ...values, stream: Number(stream), ...(url ? { url: url.trim() } : {}) });

/** Choose a channel, then where it goes. */
export async function newPush(departments) {
  const cell = await openDialog({
    title: () => t("pick"), wide: true, class: "dialog-picker",
    render: (close) => [h("div", { class: "dialog-body picker-body" }, h("gb-channel-picker", { onpick: ({ detail }) => close(detail) })),
      h("footer", { class: "dialog-foot" }, button(common("cancel"), { kind: "ghost", onclick: () => close() }))],
  });
  if (!cell) return false;
  const done = await gridForm({
    title: () => t("new", { channel: cell.name || cell.channel }), submit: t("add"), fields: () => fields(null, departments),
    save: (values) => api.post("pushes", { ...body(values), device_id: cell.device, channel_id: cell.channel }),
  });
  if (done) toast(t("added"));
  return Boolean(done);
}

export async function changePush(push, departments) {
  const done = await gridForm({ title: () => t("edit"), fields: () => fields(push, departments), save: (values) => api.patch(path(push), body(values)) });
  if (done) toast(t("saved"));
  return Boolean(done);
}

export async function retryPush(push) {
  await api.post(path(push, "/retry"));
  toast(t("retried"), "info");
  return true;
}

export async function togglePush(push) {
  const act = () => api.patch(path(push), { enabled: !push.enabled });
  if (!push.enabled) await act();
  else if (!(await confirm({ title: t("disable.title", { target: push.target }), text: t("disable.text"), yes: t("disable"), danger: true, act }))) return false;
  toast(t(push.enabled ? "disabled" : "enabled"));
  return true;
}

export async function deletePush(push) {
  const yes = await confirm({ title: t("delete.title", { target: push.target }), text: t("delete.text"), yes: common("delete"), danger: true, act: () => api.delete(path(push)) });
  if (yes) toast(t("deleted"));
  return yes;
}

// What can be done with a foreign source: add, change, try now, another stream key, switch off, delete.

import { api } from "../lib/api.js";
import { codes, remedy, said } from "../lib/codes.js";
import { h } from "../lib/element.js";
import { duration, t as common, words } from "../lib/i18n.js";
import { button, facts, notice, skeleton } from "../lib/ui.js";
import { confirm, formError, openDialog } from "./dialog.js";
import { gridForm } from "./grid-form.js";
import { copyField, showSecrets } from "./secret.js";
import { toast } from "./toast.js";

export const strings = {
  zh: {
    "tls": "TLS 源须出示受信任的证书", "new": "添加视频源", "edit": "修改视频源 {name}", "kind": "种类", "kind.pull_rtsp": "拉取 RTSP", "kind.pull_rtmp": "拉取 RTMP", "kind.push_rtmp": "接收 RTMP 推流", "name": "名称", "url": "地址", "url.rtsp": "rtsp://用户:密码@主机/路径（rtsps 为 TLS 加密）；密码加密保存，不再显示。",
    "url.rtmp": "rtmp://主机/应用/名称（rtmps 为 TLS 加密）", "url.keep": "现为 {url}（密码不显示）；留空表示不变。", "transport": "RTSP 传输", "transport.tcp": "TCP（推荐）", "transport.udp": "UDP", "always": "无人观看时也保持拉流", "code": "通道编码", "code.hint": "20 位国标编码，第 11–13 位为 131 或 132；留空自动分配。",
    "civil": "行政区划", "civil.hint": "2、4、6 或 8 位数字。", "address": "安装地址", "longitude": "经度", "latitude": "纬度", "secrecy": "涉密，不对外共享", "owner": "所属单位", "added": "视频源已添加", "saved": "视频源已修改", "publish": "推流到 {name}",
    "publish.intro": "把推流地址和密钥填到编码器（如 OBS、执法记录仪、无人机）。", "publish.whole": "完整推流地址（只有一个输入框的编码器）", "publish.url": "推流地址", "publish.key": "推流密钥", "publish.off": "RTMP 服务没有启用：在配置文件中打开 [rtmp] enabled 后才能推流。",
    "rotate.title": "更换 {name} 的推流密钥？", "rotate.text": "旧密钥立即失效，正在进行的推流断开。", "rotate": "更换密钥", "delete.title": "删除视频源 {name}？", "delete.text": "通道一并删除，正在观看和推流的立即结束；录像保留到期。", "deleted": "视频源已删除", "disable": "停用", "disable.title": "停用 {name}？",
    "disable.text": "正在观看和推流的立即结束。", "disabled": "视频源已停用", "enabled": "视频源已启用", "test": "测试 {name}", "testing": "正在连接…", "test.ok": "连接正常", "test.failed": "没有成功", "test.time": "用时", "test.tracks": "内容", "test.again": "再测一次",
  },
  en: {
    "tls": "By TLS, the source must show a trusted certificate", "new": "Add a source", "edit": "Change source {name}", "kind": "Kind", "kind.pull_rtsp": "Fetch by RTSP", "kind.pull_rtmp": "Fetch by RTMP", "kind.push_rtmp": "Published to us by RTMP", "name": "Name", "url": "Address", "url.rtsp": "rtsp://user:password@host/path (rtsps: by TLS); the password is kept sealed and not shown again.",
    "url.rtmp": "rtmp://host/app/name (rtmps: by TLS)", "url.keep": "Now {url} (its password is not shown); empty leaves it.", "transport": "RTSP transport", "transport.tcp": "TCP (recommended)", "transport.udp": "UDP", "always": "Fetch it also while nobody watches", "code": "Code of the channel",
    "code.hint": "20 digits, 131 or 132 at digits 11–13; empty: one is made.", "civil": "Division", "civil.hint": "2, 4, 6 or 8 digits.", "address": "Place", "longitude": "Longitude", "latitude": "Latitude", "secrecy": "Secret: never shared", "owner": "Owner", "added": "Source added",
    "saved": "Source changed", "publish": "Publish to {name}", "publish.intro": "Enter address and key in the encoder (OBS, a body camera, a drone).", "publish.whole": "Address with key, for encoders with one field", "publish.url": "Publish address", "publish.key": "Stream key",
    "publish.off": "RTMP is switched off: nothing can be published before [rtmp] enabled is set in the configuration.", "rotate.title": "Give {name} a new stream key?", "rotate.text": "The old one is worthless at once; who publishes with it is cut off.", "rotate": "New key",
    "delete.title": "Delete source {name}?", "delete.text": "Its channel goes, too; who watches or publishes is ended. Recordings stay until they expire.", "deleted": "Source deleted", "disable": "Disable", "disable.title": "Disable {name}?", "disable.text": "Who watches or publishes is ended at once.",
    "disabled": "Source disabled", "enabled": "Source enabled", "test": "Test {name}", "testing": "Connecting…", "test.ok": "It works", "test.failed": "It did not work", "test.time": "Took", "test.tracks": "Contents", "test.again": "Test again",
  },
};
const t = words(strings);

const KINDS = ["pull_rtsp", "pull_rtmp", "push_rtmp"];
const path = (source, rest = "") => `sources/${encodeURIComponent(source.source_id)}${rest}`;
const nameOf = (source) => source.name || source.source_id;
export const kindText = (kind) => t(`kind.${kind}`);

function fields(source, chosen) {
  const kind = source?.kind ?? chosen.kind ?? "pull_rtsp";
  const pulled = kind !== "push_rtmp";
  return [
    source ? null : { name: "kind", label: t("kind"), type: "select", value: kind, options: KINDS.map((id) => [id, kindText(id)]) },
    { name: "name", label: t("name"), value: source?.name ?? "", required: true, maxlength: 200, autofocus: true },
    pulled ? { name: "url", label: t("url"), wide: true, required: !source, maxlength: 1000, class: "mono", spellcheck: "false", autocapitalize: "none",
      hint: source ? t("url.keep", { url: source.url }) : t(kind === "pull_rtsp" ? "url.rtsp" : "url.rtmp") } : null,
    kind === "pull_rtsp" ? { name: "rtsp_transport", label: t("transport"), type: "select", value: source?.rtsp_transport ?? "tcp", options: [["tcp", t("transport.tcp")], ["udp", t("transport.udp")]] } : null,
    source ? null : { name: "source_id", label: t("code"), pattern: "[0-9]{20}", maxlength: 20, class: "mono", inputmode: "numeric", hint: t("code.hint") },
    { name: "civil_code", label: t("civil"), value: source?.civil_code ?? "", pattern: "([0-9]{2}){1,4}", maxlength: 8, inputmode: "numeric", hint: t("civil.hint") },
    { name: "address", label: t("address"), value: source?.address ?? "", maxlength: 200 }, { name: "owner", label: t("owner"), wide: true, value: source?.owner ?? "", maxlength: 200 },
    { name: "longitude", label: t("longitude"), type: "number", min: -180, max: 180, step: "any", value: source?.longitude ?? "" }, { name: "latitude", label: t("latitude"), type: "number", min: -90, max: 90, step: "any", value: source?.latitude ?? "" },
    pulled ? { name: "always", label: t("always"), type: "checkbox", value: source?.always } : null, pulled ? { name: "tls_verify", label: t("tls"), type: "checkbox", value: source?.tls_verify ?? true } : null, { name: "secrecy", label: t("secrecy"), type: "checkbox", value: source?.secrecy },
  ].filter(Boolean);
}

const body = ({ secrecy, ...values }) => ({ ...values, secrecy: secrecy ? 1 : 0 });

async function tell({ source, key, publish_url: whole }) {
  if (!key) return;
  await showSecrets({
    title: () => t("publish", { name: nameOf(source) }), intro: whole ? t("publish.intro") : t("publish.off"),
    secrets: [{ name: "publish-url", label: t("publish.url"), value: source.publish_url }, { name: "publish-key", label: t("publish.key"), value: key }, { name: "publish-whole", label: t("publish.whole"), value: whole }],
  });
}

/** Add one; what publishes to it gets its address and key once. */
export async function newSource() {
  const issued = await gridForm({ title: () => t("new"), submit: t("new"), fields: (chosen) => fields(null, chosen), save: (values) => api.post("sources", body(values)) });
  if (!issued) return false;
  await tell(issued);
  toast(t("added"));
  return true;
}

export async function changeSource(source) {
  const done = await gridForm({
    title: () => t("edit", { name: nameOf(source) }), fields: (chosen) => fields(source, chosen),
    save: ({ url, ...values }) => api.patch(path(source), { ...body(values), ...(url ? { url } : {}) }),
  });
  if (done) toast(t("saved"));
  return Boolean(done);
}

/** Where to publish; the key is not known any more. */
export function showPublishing(source, rotated) {
  return openDialog({
    title: () => t("publish", { name: nameOf(source) }), wide: true,
    render: (close) => [h("div", { class: "dialog-body" },
      source.publish_url ? [h("p", { class: "dialog-intro" }, t("publish.intro")), copyField(t("publish.url"), source.publish_url, { name: "publish-url" })] : notice(t("publish.off"), "warn")),
    h("footer", { class: "dialog-foot" }, rotated && button(t("rotate"), { icon: "key", onclick: () => { close(); rotated(); } }), button(common("close"), { kind: "primary", autofocus: true, onclick: () => close() }))],
  });
}

export async function rotateSource(source) {
  let issued = null;
  const yes = await confirm({ title: t("rotate.title", { name: nameOf(source) }), text: t("rotate.text"), yes: t("rotate"), danger: true, act: async () => { issued = await api.post(path(source, "/key")); } });
  if (yes) await tell(issued);
  return yes;
}

export async function toggleSource(source) {
  const act = () => api.patch(path(source), { enabled: !source.enabled });
  if (!source.enabled) await act();
  else if (!(await confirm({ title: t("disable.title", { name: nameOf(source) }), text: t("disable.text"), yes: t("disable"), danger: true, act }))) return false;
  toast(t(source.enabled ? "disabled" : "enabled"));
  return true;
}

export async function deleteSource(source) {
  const yes = await confirm({ title: t("delete.title", { name: nameOf(source) }), text: t("delete.text"), yes: common("delete"), danger: true, word: source.source_id.slice(-6), act: () => api.delete(path(source)) });
  if (yes) toast(t("deleted"));
  return yes;
}

/** Try it now and say what is there. */
export async function testSource(source) {
  const state = { report: null, error: null, busy: false, asked: false };
  await openDialog({
    title: () => t("test", { name: nameOf(source) }),
    render: (close, update) => {
      const ask = async () => {
        Object.assign(state, { report: null, error: null, busy: true, asked: true });
        update();
        try {
          state.report = await api.post(path(source, "/test"), undefined, { timeout: 60_000 });
        } catch (error) {
          state.error = error;
        }
        state.busy = false;
        update();
      };
      if (!state.asked) queueMicrotask(ask);
      state.asked = true;
      const { report, error } = state;
      return [h("div", { class: "dialog-body" },
        error ? formError(error) : !report ? [h("p", { class: "muted", role: "status" }, t("testing")), skeleton(2)]
          : [report.ok ? notice(source.url || "", "good", { title: t("test.ok") }) : notice([reasonText(report.code), remedy(report.code)].filter(Boolean).join(common("colon")), "bad", { title: t("test.failed") }),
            facts([[t("test.time"), duration(report.seconds)], report.tracks.length ? [t("test.tracks"), report.tracks.join(", ")] : null, !report.ok && report.detail ? [common("error.detail"), report.detail] : null])]),
      h("footer", { class: "dialog-foot" }, button(t("test.again"), { busy: state.busy, icon: "refresh", onclick: ask }), button(common("close"), { kind: "primary", onclick: () => close() }))];
    },
  });
  return true;
}

/** Why it is not running: words of ends, of the policy, or the code itself. */
export const reasonText = (code) => (codes.has(`end.${code}`) ? codes(`end.${code}`) : said(code));

// The dialog of a platform's settings, grouped, with a dry registration before anything is saved.

import { api } from "../lib/api.js";
import { h } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { words } from "../lib/i18n.js";
import { button, field, iconButton, tabPanel, tabs } from "../lib/ui.js";
import { formError, openDialog } from "./dialog.js";
import { fieldOf, spoken } from "./spoken.js";
import { trialView } from "./platform-trial.js";
import { toast } from "./toast.js";

export const strings = {
  zh: {
    "new": "添加上级平台", "edit": "平台设置：{name}", "groups": "设置分组", "basic": "基本", "sip": "SIP", "catalog": "目录", "media": "媒体", "advanced": "高级",
    "test": "测试连接", "testing": "正在注册…", "saved": "平台设置已保存", "added": "平台已添加", "exists": "已有此编码的平台，请打开它修改设置",
    "code.wrong": "应为 20 位数字", "address.wrong": "请填写主机和 1–65535 的端口", "address.none": "启用的平台至少需要一个地址",
    "platform_id": "上级平台编码", "platform_id.hint": "20 位国标编码，由上级提供。", "name": "名称", "enabled": "启用", "enabled.hint": "停用后注销并停止一切共享。",
    "addresses": "地址", "addresses.hint": "依次尝试，前一个不通时切换到下一个。", "host": "主机", "port": "端口", "address.add": "添加地址", "address.remove": "删除地址 {n}",
    "transport": "信令传输", "transport.hint": "按上级要求选择；TCP 可避免大目录丢包。", "password": "注册密码", "password.keep": "已设置；留空表示不变。", "password.none": "由上级提供；留空表示不用密码。",
    "password.remove": "删除已保存的密码", "local_id": "本级编码", "local_id.hint": "在上级登记的本级 20 位编码；留空用本网关编码。", "username": "认证用户名", "username.hint": "留空用本级编码。",
    "domain": "SIP 域", "domain.hint": "留空取上级编码前 10 位。", "edition": "国标版本", "edition.hint": "决定上报字段和字符集，请按上级平台选择。", "charset": "字符集", "charset.hint": "留空按版本：2016 及以前 GB2312，2022 GB18030。",
    "by.edition": "按版本", "expires": "注册有效期（秒）", "expires.hint": "60–604800，通常为 86400。", "keepalive_interval": "心跳间隔（秒）", "keepalive_interval.hint": "5–3600。", "keepalive_misses": "允许心跳缺失（次）",
    "keepalive_misses.hint": "连续缺失这么多次后重新注册。", "retry_delay": "失败后重试间隔（秒）", "retry_delay.hint": "逐次加倍，最长一小时。", "id_mode": "上报编码", "id_mode.keep": "保留下级编码", "id_mode.rename": "全部换成本级编码",
    "id_mode.hint": "换码后上级看不到下级编码；已分配的编码永不改变。", "catalog_batch": "每条消息的目录项", "catalog_batch.hint": "0：按传输自动决定。旧平台可设为 1。", "catalog_push": "未订阅也推送目录变化", "catalog_push.hint": "部分平台从不订阅，可打开。",
    "tree.hint": "目录的编排方式和自定义树在平台页的“目录”中设置。", "max_sessions": "同时点播上限", "max_sessions.hint": "超出后拒绝新的点播。", "rtcp": "发送 RTCP，并在对方停止应答后结束码流", "rtcp.hint": "上级支持 RTCP 时打开，可及时发现对方断网。",
    "echo_ssrc": "使用上级指定的 SSRC（y=）", "echo_ssrc.hint": "多数平台要求，一般保持打开。", "zone": "网络区域", "zone.hint": "共享策略中 zones 与边界所用的名称。", "require_identity": "必须携带用户身份（Monitor-User-Identity）",
    "require_identity.hint": "没有携带的请求一律拒绝。", "trusted_gateways": "可信网关", "trusted_gateways.hint": "每行一个 20 位编码；留空只信任平台本身。", "tls_verify": "校验证书", "tls_verify.hint": "仅在测试时关闭。",
    "tls_ca": "CA 文件", "tls_ca.hint": "网关主机上的 PEM 文件路径；留空用系统证书。",
  },
  en: {
    "new": "Add an upper platform", "edit": "Settings of {name}", "groups": "Groups of settings", "basic": "Basics", "sip": "SIP", "catalog": "Catalogue",
    "media": "Media", "advanced": "Advanced", "test": "Test", "testing": "Registering…", "saved": "Settings saved", "added": "Platform added",
    "exists": "There is a platform with this code: open it to change it", "code.wrong": "Expected 20 digits",
    "address.wrong": "Give a host and a port of 1–65535", "address.none": "A platform that is enabled needs an address",
    "platform_id": "Code of the platform", "platform_id.hint": "20 digits, given by the upper domain.", "name": "Name", "enabled": "Enabled",
    "enabled.hint": "When disabled it is deregistered and given nothing.", "addresses": "Addresses", "addresses.hint": "Tried in this order.", "host": "Host",
    "port": "Port", "address.add": "Add an address", "address.remove": "Remove address {n}", "transport": "Signalling transport",
    "transport.hint": "As the platform wants it; TCP spares large catalogues from losses.", "password": "Password",
    "password.keep": "Is set; empty leaves it.", "password.none": "Given by the upper domain; empty: none.", "password.remove": "Delete the password kept",
    "local_id": "Our code", "local_id.hint": "The 20 digits it knows us by; empty: the gateway's own.", "username": "Digest user", "username.hint": "Empty: our code.",
    "domain": "SIP domain", "domain.hint": "Empty: the first ten digits of its code.", "edition": "Edition of GB/T 28181",
    "edition.hint": "Decides fields and charset: choose what the platform speaks.", "charset": "Charset",
    "charset.hint": "Empty: by edition, GB2312 until 2016, GB18030 in 2022.", "by.edition": "By edition", "expires": "Registration (seconds)",
    "expires.hint": "60–604800, usually 86400.", "keepalive_interval": "Keepalive interval (seconds)", "keepalive_interval.hint": "5–3600.",
    "keepalive_misses": "Keepalives that may be missed", "keepalive_misses.hint": "After so many in a row we register anew.",
    "retry_delay": "Wait after a failure (seconds)", "retry_delay.hint": "Doubled each time, up to an hour.", "id_mode": "Codes sent up",
    "id_mode.keep": "The cameras' own", "id_mode.rename": "New ones of our domain",
    "id_mode.hint": "New codes hide those from below; a code once given never changes.", "catalog_batch": "Items per message",
    "catalog_batch.hint": "0: as many as fit. Old platforms may need 1.", "catalog_push": "Send changes even without a subscription",
    "catalog_push.hint": "For platforms that never subscribe.", "tree.hint": "How the catalogue is arranged is set on the platform's page, under “Catalogue”.",
    "max_sessions": "Streams at once", "max_sessions.hint": "Further ones are refused.", "rtcp": "Send RTCP, and end a stream when its answers cease",
    "rtcp.hint": "If the platform supports it: a lost peer is then noticed.", "echo_ssrc": "Use the SSRC it asks for (y=)", "echo_ssrc.hint": "Most platforms expect it.",
    "zone": "Network zone", "zone.hint": "Its name in zones and boundary of the policy.", "require_identity": "Demand a user identity (Monitor-User-Identity)",
    "require_identity.hint": "Requests without one are refused.", "trusted_gateways": "Trusted gateways",
    "trusted_gateways.hint": "A 20-digit code per line; empty: the platform alone.", "tls_verify": "Check certificates", "tls_verify.hint": "Off for tests only.",
    "tls_ca": "CA file", "tls_ca.hint": "Path of a PEM file on the gateway's machine; empty: the system's authorities.",
  },
};
const t = words(strings);

const FRESH = {
  platform_id: "", name: "", enabled: true, addresses: [{ host: "", port: 5060 }], transport: "UDP", tls_verify: true, tls_ca: "", domain: "", local_id: "",
  username: "", has_password: false, edition: "2016", charset: "", expires: 86400, keepalive_interval: 60, keepalive_misses: 3, retry_delay: 60, rtcp: false,
  echo_ssrc: true, zone: "", require_identity: false, trusted_gateways: [], id_mode: "keep", catalog_batch: 0, catalog_push: false, max_sessions: 500,
};
const TRIAL_TIME = 400_000; // milliseconds: up to eight addresses of 45 s each

// Settings by group: [name, type, extras]; what is wide takes a row of its own.
const GROUPS = {
  basic: [["name", "text", { maxlength: 128 }], ["transport", "select", { options: () => [["UDP", "UDP"], ["TCP", "TCP"], ["TLS", "TLS"]] }],
    ["local_id", "code"], ["password", "password"], ["enabled", "checkbox"]],
  sip: [["username", "text", { maxlength: 64 }], ["domain", "text", { maxlength: 64 }],
    ["edition", "select", { options: () => ["2011", "2016", "2022"].map((id) => [id, `GB/T 28181-${id}`]) }],
    ["charset", "select", { options: () => [["", t("by.edition")], ...["GB2312", "GBK", "GB18030", "UTF-8"].map((id) => [id, id])] }],
    ["expires", "number", { min: 60, max: 604800 }], ["keepalive_interval", "number", { min: 5, max: 3600, step: "any" }],
    ["keepalive_misses", "number", { min: 1, max: 100 }], ["retry_delay", "number", { min: 1, max: 3600, step: "any" }]],
  catalog: [["id_mode", "select", { options: () => ["keep", "rename"].map((id) => [id, t(`id_mode.${id}`)]) }],
    ["catalog_batch", "number", { min: 0, max: 10000 }], ["catalog_push", "checkbox"]],
  media: [["max_sessions", "number", { min: 1, max: 100000 }], ["echo_ssrc", "checkbox"], ["rtcp", "checkbox"]],
  advanced: [["zone", "text", { maxlength: 64 }], ["trusted_gateways", "lines"], ["require_identity", "checkbox"], ["tls_verify", "checkbox"],
    ["tls_ca", "text", { maxlength: 1024 }]],
};
const SHOWN = new Set(["platform_id", "addresses", ...Object.values(GROUPS).flat().map(([name]) => name)]);
const groupOf = (name) => (name === "platform_id" || name === "addresses" ? "basic"
  : Object.keys(GROUPS).find((group) => GROUPS[group].some(([item]) => item === name)) || "basic");

/** Add a platform (null) or change one; resolves with what is kept now, or null. */
export function editPlatform(platform) {
  const draft = { ...FRESH, ...(platform || {}), password: "", no_password: false };
  draft.addresses = (platform?.addresses.length ? platform.addresses : FRESH.addresses).map((item) => ({ ...item }));
  draft.trusted_gateways = draft.trusted_gateways.join("\n");
  const state = { draft, isNew: !platform, group: "basic", errors: {}, error: null, busy: "", trial: null };
  const title = () => (platform ? t("edit", { name: platform.name || platform.platform_id }) : t("new"));
  return openDialog({ title, wide: true, render: (close, update) => form(state, close, update) });
}

function form(state, close, update) {
  const save = async (event) => {
    event.preventDefault();
    if (state.busy || !checked(state, update)) return;
    await busy(state, "save", update, async () => {
      const { draft, isNew } = state;
      const path = `platforms/${encodeURIComponent(draft.platform_id)}`;
      if (isNew) {
        const { items } = await api.get("platforms", { query: { q: draft.platform_id } });
        if (items.some((item) => item.platform_id === draft.platform_id)) {
          state.errors = { platform_id: t("exists") };
          return;
        }
      }
      const saved = await (isNew ? api.put : api.patch)(path, bodyOf(state));
      toast(t(isNew ? "added" : "saved"));
      close(saved);
    });
  };
  const test = async () => {
    if (state.busy || !checked(state, update)) return;
    await busy(state, "test", update, async () => {
      state.trial = null;
      update();
      reveal();
      state.trial = await api.post(`platforms/${encodeURIComponent(state.draft.platform_id)}/test`, bodyOf(state), { timeout: TRIAL_TIME });
    });
    if (state.trial) reveal();
  };
  const marked = (group) => Object.keys(state.errors).some((name) => groupOf(name) === group);
  return h("form", { class: "dialog-form", onsubmit: save, autocomplete: "off", novalidate: true },
    h("div", { class: "dialog-body platform-form" },
      tabs(Object.keys(GROUPS).map((group) => [group, t(group), marked(group) ? "!" : null]), state.group, (group) => {
        state.group = group;
        update();
      }, { label: t("groups") }),
      Object.keys(GROUPS).map((group) => panel(group, state, update)),
      state.error ? formError(state.error) : null,
      state.busy === "test" || state.trial ? trialView(state.trial) : null),
    h("footer", { class: "dialog-foot" },
      button(t("test"), { icon: "play", busy: state.busy === "test", disabled: Boolean(state.busy), onclick: test }), h("span", { class: "grow" }),
      button(t("cancel"), { kind: "ghost", onclick: () => close() }),
      button(t("save"), { kind: "primary", type: "submit", busy: state.busy === "save", disabled: Boolean(state.busy) })));
}

const reveal = () => requestAnimationFrame(() => document.querySelector("dialog[open] .trial")?.scrollIntoView({ block: "nearest" }));

async function busy(state, what, update, work) {
  Object.assign(state, { busy: what, error: null, errors: {} });
  update();
  try {
    await work();
  } catch (error) {
    const name = error.code === "invalid_platform" ? fieldOf(error.exact) : "";
    const fields = Object.fromEntries(Object.entries(error.fields || {}).map(([key, message]) => [key.split(".")[0], message])
      .filter(([key]) => SHOWN.has(key)));
    state.errors = SHOWN.has(name) ? { [name]: spoken(error.exact.slice(name.length + 2)) } : fields;
    if (!Object.keys(state.errors).length) state.error = error;
  }
  state.busy = "";
  toFirstError(state);
  update();
}

function toFirstError(state) {
  const [first] = Object.keys(state.errors);
  if (first && !Object.keys(state.errors).some((name) => groupOf(name) === state.group)) state.group = groupOf(first);
}

/** What can be said without asking the gateway. */
function checked(state, update) {
  const { draft } = state;
  const errors = {};
  if (!/^\d{20}$/.test(draft.platform_id)) errors.platform_id = t("code.wrong");
  if (draft.local_id && !/^\d{20}$/.test(draft.local_id)) errors.local_id = t("code.wrong");
  const used = addressesOf(draft);
  if (!used.length && draft.enabled) errors.addresses = t("address.none");
  else if (used.some(({ host, port }) => !host || !(port >= 1 && port <= 65535))) errors.addresses = t("address.wrong");
  state.errors = errors;
  state.error = null;
  toFirstError(state);
  update();
  return !Object.keys(errors).length;
}

const addressesOf = (draft) => draft.addresses.map(({ host, port }) => ({ host: host.trim(), port: Number(port) })).filter(({ host }) => host);

function bodyOf({ draft }) {
  const body = { addresses: addressesOf(draft), trusted_gateways: draft.trusted_gateways.split(/[\s,;，；]+/).filter(Boolean) };
  for (const items of Object.values(GROUPS)) {
    for (const [name, type] of items) {
      if (type === "lines" || type === "password") continue;
      body[name] = type === "number" ? Number(draft[name]) : typeof draft[name] === "string" ? draft[name].trim() : draft[name];
    }
  }
  if (draft.no_password) body.password = "";
  else if (draft.password) body.password = draft.password;
  return body;
}

function panel(group, state, update) {
  const shown = state.group === group;
  const node = tabPanel(group,
    group === "basic" ? h("div", { class: "form-grid" }, setting(state, "platform_id", "code", { required: true, readonly: !state.isNew }, update)) : null,
    group === "basic" ? addresses(state, update) : null,
    h("div", { class: "form-grid" }, GROUPS[group].map(([name, type, extras]) => setting(state, name, type, extras, update))),
    group === "catalog" ? h("p", { class: "field-hint" }, t("tree.hint")) : null);
  return h("div", { hidden: !shown, key: `group-${group}` }, node);
}

function setting(state, name, type, extras, update) {
  const { draft } = state;
  const common = { name, label: t(name), hint: t.has(`${name}.hint`) ? t(`${name}.hint`) : null, error: state.errors[name], id: `platform-${name}`, ...extras };
  const set = (event) => {
    draft[name] = event.target.value;
  };
  if (type === "checkbox") {
    return h("div", { class: "form-wide", key: name }, field({ ...common, type, value: draft[name], onchange: (event) => {
      draft[name] = event.target.checked;
    } }));
  }
  if (type === "password") return h("div", { key: name }, secret(state, common, update));
  if (type === "lines") return h("div", { class: "form-wide", key: name }, field({ ...common, type: "textarea", rows: 3, value: draft[name], class: "mono", spellcheck: "false", oninput: set }));
  if (type === "select") {
    return h("div", { key: name }, field({ ...common, type, options: extras.options(), value: draft[name], onchange: set }));
  }
  const code = type === "code" ? { inputmode: "numeric", maxlength: 20, class: "mono", spellcheck: "false" } : {};
  return h("div", { key: name }, field({ ...common, ...code, type: type === "number" ? "number" : "text", value: draft[name], oninput: set }));
}

function secret({ draft }, common, update) {
  const input = field({ ...common, hint: t(draft.has_password ? "password.keep" : "password.none"), type: "password", value: draft.password, autocomplete: "new-password",
    maxlength: 128, disabled: draft.no_password, oninput: (event) => { draft.password = event.target.value; } });
  if (!draft.has_password) return input;
  return h("div", { class: "stack-tight" }, input, field({ label: t("password.remove"), name: "no_password", id: "platform-no-password", type: "checkbox", value: draft.no_password,
    onchange: (event) => {
      draft.no_password = event.target.checked;
      update();
    } }));
}

function addresses(state, update) {
  const { draft, errors } = state;
  return h("fieldset", { class: "addresses" }, h("legend", { class: "field-label" }, t("addresses")),
    draft.addresses.map((address, index) => h("div", { class: "address", key: `address-${index}` },
      h("input", { class: "input mono address-host", ".value": address.host, "aria-label": `${t("host")} ${index + 1}`, placeholder: t("host"), spellcheck: "false",
        "aria-invalid": errors.addresses ? "true" : null, maxlength: 253, oninput: (event) => { address.host = event.target.value; } }),
      h("input", { class: "input address-port", type: "number", min: 1, max: 65535, ".value": String(address.port), "aria-label": `${t("port")} ${index + 1}`,
        oninput: (event) => { address.port = event.target.value; } }),
      iconButton("trash", t("address.remove", { n: index + 1 }), { disabled: draft.addresses.length < 2, onclick: () => {
        draft.addresses.splice(index, 1);
        update();
      } }))),
    errors.addresses ? h("p", { class: "field-error", role: "alert" }, icon("error", { size: 16 }), errors.addresses) : null,
    h("div", { class: "row row-wrap" }, h("p", { class: "field-hint grow" }, t("addresses.hint")),
      button(t("address.add"), { small: true, icon: "plus", disabled: draft.addresses.length >= 8, onclick: () => {
        draft.addresses.push({ host: "", port: 5060 });
        update();
      } })));
}

// What can be done with an account of the console: make, change, password, sessions, delete.

import { api } from "../lib/api.js";
import { h } from "../lib/element.js";
import { codes } from "../lib/codes.js";
import { dateTime, number, t as common, words } from "../lib/i18n.js";
import { currentSession } from "../lib/session.js";
import { badge, button, errorState, facts, skeleton } from "../lib/ui.js";
import { confirm, openDialog } from "./dialog.js";
import { gridForm } from "./grid-form.js";
import { MIN_PASSWORD, t as passwords } from "./password.js";
import { showSecrets } from "./secret.js";
import { since } from "./since.js";
import { toast, toastError } from "./toast.js";

export const strings = {
  zh: {
    "new": "新建用户", "edit": "修改用户 {name}", "name": "用户名", "name.hint": "用于登录和审计，之后不能更改。", "display": "显示名称", "department": "所属", "local": "本单位", "department.hint": "外部部门的人只看得到共享策略允许的内容。", "role": "角色",
    "role.viewer": "查看员：看实时视频", "role.operator": "值班员：还可回放、云台和强制停止", "role.admin": "管理员：全部，包括用户和策略", "streams": "同时观看上限（路）", "zone": "网络区域", "zone.hint": "共享策略中 zones 所用的名称；留空按部门。",
    "password": "密码", "password.hint": "留空则生成一次性密码，只显示一次；用户首次登录时须更换。", "must": "首次登录须修改密码", "created": "用户已创建", "once": "{name} 的一次性密码", "once.intro": "请当面或另行告知本人。首次登录时必须更换。", "saved": "用户已修改",
    "reset": "重设密码", "reset.intro": "{name} 的会话将全部结束，正在看的画面停止。", "reset.done": "密码已重设", "account": "用户 {name}", "sessions": "登录会话", "sessions.none": "目前没有登录", "source": "来自", "agent": "浏览器", "since": "登录于", "used": "最近使用",
    "until": "有效至", "watching": "正在看 {n} 路", "this": "其中包括您现在的会话", "end": "全部退出登录", "end.title": "结束 {name} 的全部会话？", "end.text": "各处都会退出登录，正在看的画面停止。", "ended": "会话已全部结束", "disable": "停用", "enable": "启用",
    "disable.title": "停用 {name}？", "disable.text": "会话立即结束，不能再登录；可随时重新启用。", "disabled": "已停用", "enabled": "已启用", "delete": "删除用户 {name}？", "delete.text": "账号、会话和以其名义的密钥一并失效；审计记录保留。", "deleted": "用户已删除", "change": "修改",
    "last": "最近登录", "never": "从未登录", "made": "创建于", "password.at": "密码设于", "must.now": "下次登录须修改密码", "self": "这是您自己的账号；密码在右上角菜单中修改。", "state": "状态",
  },
  en: {
    "new": "New user", "edit": "Change user {name}", "name": "Name", "name.hint": "For login and audit; it cannot be changed.", "display": "Shown as", "department": "Belongs to", "local": "Our own people",
    "department.hint": "People of other departments see what the sharing policy allows, no more.", "role": "Role", "role.viewer": "Viewer: watches live", "role.operator": "Operator: playback, PTZ and forced stops, too", "role.admin": "Administrator: everything, users and policy too",
    "streams": "Streams at once", "zone": "Network zone", "zone.hint": "As zones of the sharing policy; empty: the department's.", "password": "Password", "password.hint": "Empty: a one-time password is made and shown once; it must be changed at the first login.",
    "must": "Must change it at the first login", "created": "User made", "once": "One-time password of {name}", "once.intro": "Tell it to them in person. It must be changed at the first login.", "saved": "User changed", "reset": "Reset password",
    "reset.intro": "All sessions of {name} end, and what they watch.", "reset.done": "Password reset", "account": "User {name}", "sessions": "Sessions", "sessions.none": "Not logged in now", "source": "From", "agent": "Browser", "since": "Logged in", "used": "Last used",
    "until": "Until", "watching": "Watches {n}", "this": "Your own session is among them", "end": "Log out everywhere", "end.title": "End all sessions of {name}?", "end.text": "They are logged out everywhere, and what they watch ends.", "ended": "All sessions ended",
    "disable": "Disable", "enable": "Enable", "disable.title": "Disable {name}?", "disable.text": "Sessions end at once and nobody can log in; it can be enabled again.", "disabled": "Disabled", "enabled": "Enabled", "delete": "Delete user {name}?",
    "delete.text": "Account, sessions and keys of that name are worthless; the audit keeps its records.", "deleted": "User deleted", "change": "Change", "last": "Last login", "never": "Never", "made": "Made", "password.at": "Password set", "must.now": "Must change the password at the next login",
    "self": "This is your own account; change its password in the menu at the top.", "state": "State",
  },
};
const t = words(strings);

const path = (name, rest = "") => `users/${encodeURIComponent(name)}${rest}`;
const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"; // without those that look alike

/** A password for one login: 4 x 5 letters and digits, 98 bits. */
export function oneTimePassword() {
  const most = 256 - (256 % LETTERS.length);
  const found = [];
  while (found.length < 20) {
    for (const byte of crypto.getRandomValues(new Uint8Array(32))) if (byte < most && found.length < 20) found.push(LETTERS[byte % LETTERS.length]);
  }
  return [0, 5, 10, 15].map((at) => found.slice(at, at + 5).join("")).join("-");
}

const weak = (password) => (password && password.length < MIN_PASSWORD ? { password: passwords("short", { n: MIN_PASSWORD }) } : {});

function settings(user, departments, chosen) {
  const department = chosen.department ?? user?.department ?? "";
  const roles = department ? ["viewer", "operator"] : ["viewer", "operator", "admin"];
  return [
    { name: "display_name", label: t("display"), value: user?.display_name ?? "", maxlength: 100 },
    { name: "department", label: t("department"), type: "select", value: department, hint: t("department.hint"), options: [["", t("local")], ...departments.map((item) => [item.code, item.name])] },
    { name: "role", label: t("role"), type: "select", value: chosen.role ?? user?.role ?? "viewer", options: roles.map((role) => [role, t(`role.${role}`)]) },
    { name: "max_streams", label: t("streams"), type: "number", min: 0, max: 10_000, required: true, value: user?.max_streams ?? 64 },
    { name: "zone", label: t("zone"), value: user?.zone ?? "", maxlength: 64, hint: t("zone.hint") },
  ];
}

const passwordField = () => ({ name: "password", label: t("password"), type: "password", autocomplete: "new-password", maxlength: 256, hint: t("password.hint") });
const mustField = () => ({ name: "must_change_password", label: t("must"), type: "checkbox", value: true });

async function tellOnce(name, password) {
  await showSecrets({ title: () => t("once", { name }), intro: t("once.intro"), secrets: [{ name: "password", label: t("password"), value: password }] });
}

/** Make one; shows the password if none was chosen. */
export async function newUser(departments) {
  let made = "";
  const user = await gridForm({
    title: () => t("new"), submit: t("new"),
    fields: (chosen) => [
      { name: "name", label: t("name"), required: true, maxlength: 64, hint: t("name.hint"), autocapitalize: "none", spellcheck: "false", autofocus: true },
      ...settings(null, departments, chosen), { ...passwordField(), wide: true }, chosen.password ? mustField() : null,
    ].filter(Boolean),
    check: (values) => weak(values.password),
    save: (values) => {
      made = values.password ? "" : oneTimePassword();
      return api.post("users", { ...values, name: values.name.trim(), password: values.password || made, must_change_password: made ? true : values.must_change_password ?? true });
    },
  });
  if (!user) return null;
  if (made) await tellOnce(user.name, made);
  toast(t("created"));
  return user;
}

async function changeUser(user, departments) {
  const done = await gridForm({
    title: () => t("edit", { name: user.name }), fields: (chosen) => settings(user, departments, chosen), save: (values) => api.patch(path(user.name), values),
  });
  if (done) toast(t("saved"));
  return done;
}

async function resetPassword(user) {
  let made = "";
  const done = await gridForm({
    title: () => t("reset"), intro: () => t("reset.intro", { name: user.name }), submit: t("reset"),
    fields: (chosen) => [{ ...passwordField(), wide: true }, chosen.password ? mustField() : null].filter(Boolean),
    check: (values) => weak(values.password),
    save: (values) => {
      made = values.password ? "" : oneTimePassword();
      return api.post(path(user.name, "/password"), { password: values.password || made, must_change: made ? true : values.must_change_password ?? true });
    },
  });
  if (!done) return null;
  if (made) await tellOnce(user.name, made);
  toast(t("reset.done"));
  return done;
}

/** All about one account, and what can be done with it; calls `changed` after each change. */
export function showUser(given, departments, changed) {
  const state = { user: given, sessions: null, error: null, asked: false };
  const mine = currentSession()?.user === given.name;
  return openDialog({
    title: () => t("account", { name: given.name }), wide: true,
    render: (close, update) => {
      const ask = async () => {
        try {
          [state.user, state.sessions] = await Promise.all([api.get(path(given.name)), api.get(path(given.name, "/sessions")).then((page) => page.items)]);
        } catch (error) {
          state.error = error;
        }
        update();
      };
      if (!state.asked) {
        state.asked = true;
        ask();
      }
      const after = (work) => async () => {
        try {
          if (await work()) {
            changed();
            await ask();
          }
        } catch (error) {
          toastError(error);
        }
      };
      const { user } = state;
      const remove = async () => {
        const yes = await confirm({ title: t("delete", { name: user.name }), text: t("delete.text"), yes: common("delete"), danger: true, word: user.name, act: () => api.delete(path(user.name)) });
        if (!yes) return;
        toast(t("deleted"));
        changed();
        close();
      };
      return [h("div", { class: "dialog-body" }, state.error ? errorState(state.error, { compact: true }) : [about(user, departments, mine), sessions(state, mine)]),
        h("footer", { class: "dialog-foot dialog-acts" },
          button(common("delete"), { kind: "ghost", class: "button-bad", icon: "trash", disabled: mine, onclick: remove }), h("span", { class: "grow" }),
          button(t("end"), { disabled: !user.sessions, onclick: after(() => endSessions(user)) }),
          button(t(user.disabled ? "enable" : "disable"), { disabled: mine, onclick: after(() => toggle(user)) }),
          button(t("reset"), { icon: "key", disabled: mine, onclick: after(() => resetPassword(user)) }),
          button(t("change"), { kind: "primary", icon: "edit", onclick: after(() => changeUser(user, departments)) }))];
    },
  });
}

function about(user, departments, mine) {
  const department = departments.find((item) => item.code === user.department);
  return [mine ? h("p", { class: "muted" }, t("self")) : null, facts([
    [t("display"), user.display_name], [t("department"), user.department ? `${department?.name || user.department}` : t("local")], [t("role"), codes.code("role", user.role)],
    [t("streams"), `${number(user.open_streams)} / ${number(user.max_streams)}`], user.zone ? [t("zone"), user.zone] : null, [t("last"), user.last_login_at ? since(user.last_login_at) : t("never")],
    [t("made"), dateTime(user.created_at, { full: true })], [t("password.at"), dateTime(user.password_at, { full: true })],
    user.must_change_password ? [t("password"), badge(t("must.now"), "warn", { icon: "key" })] : null, user.disabled ? [t("state"), badge(t("disabled"), "bad", { icon: "lock" })] : null,
  ], { columns: true })];
}

function sessions({ sessions: list }, mine) {
  return [h("h3", { class: "small-title" }, t("sessions")), list === null ? skeleton(2) : !list.length ? h("p", { class: "muted" }, t("sessions.none"))
    : [mine ? h("p", { class: "muted" }, t("this")) : null, h("ul", { class: "logins" }, list.map((item) => h("li", { class: "login-row", key: item.session_id },
      h("span", { class: "mono" }, item.source || "–"), h("span", { class: "truncate muted", title: item.agent }, item.agent),
      h("span", { class: "muted nowrap" }, t("used"), " ", since(item.used_at)), item.streams ? badge(t("watching", { n: number(item.streams) }), "info") : null)))]];
}

async function endSessions(user) {
  const yes = await confirm({ title: t("end.title", { name: user.name }), text: t("end.text"), yes: t("end"), danger: true, act: () => api.delete(path(user.name, "/sessions")) });
  if (yes) toast(t("ended"));
  return yes;
}

async function toggle(user) {
  if (!user.disabled && !(await confirm({ title: t("disable.title", { name: user.name }), text: t("disable.text"), yes: t("disable"), danger: true }))) return false;
  const now = await api.patch(path(user.name), { disabled: !user.disabled });
  toast(t(now.disabled ? "disabled" : "enabled"));
  return true;
}

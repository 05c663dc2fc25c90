// Accounts of the console, API keys, and the departments both may belong to.

import { View, define, h } from "../lib/element.js";
import { api } from "../lib/api.js";
import { codes } from "../lib/codes.js";
import { dateTime, number, t as common, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { badge, button, empty, iconButton, pageHead, status, tabPanel, tabs } from "../lib/ui.js";
import { confirm, formDialog } from "../components/dialog.js";
import { changeKey, deleteKey, newKey, rotateKey, scopeText, toggleKey } from "../components/keys-acts.js";
import { since } from "../components/since.js";
import { toast, toastError } from "../components/toast.js";
import { newUser, showUser } from "../components/users-acts.js";
import "../components/table.js";

export const strings = {
  zh: {
    "title": "用户与密钥", "users": "用户", "keys": "API 密钥", "departments": "外部部门", "user.new": "新建用户", "key.new": "新建密钥", "department.new": "新建部门", "col.user": "用户", "col.role": "角色", "col.state": "状态", "col.last": "最近登录",
    "col.sessions": "会话", "col.streams": "正在看", "never": "从未登录", "disabled": "已停用", "usable": "可用", "must": "待改密码", "active": "登录中", "idle": "未登录", "local": "本单位", "manage": "管理", "col.key": "密钥", "col.owner": "属于", "col.scopes": "可以调用",
    "col.quota": "限额", "quota": "{rate} 次/分 · {n} 路", "col.expires": "到期", "forever": "永不过期", "expired": "已过期", "edit": "修改", "rotate": "更换密钥", "disable": "停用", "enable": "启用", "keys.empty": "还没有 API 密钥", "keys.empty.hint": "别的系统用密钥取视频和数据；每个系统一个。",
    "departments.empty": "还没有外部部门", "departments.empty.hint": "共享给谁，先在这里登记；共享策略、用户和密钥都引用部门代码。", "col.department": "部门", "col.zone": "网络区域", "col.contact": "联系人", "col.made": "创建于", "code": "代码", "code.hint": "小写字母、数字和连字符，例如 urban；之后不能更改。",
    "name": "名称", "zone": "网络区域", "zone.hint": "其密钥和用户的默认区域。", "contact": "联系人", "department.edit": "修改部门", "department.delete": "删除部门 {name}？", "department.delete.text": "还有密钥、用户或 Webhook 属于它时不能删除。共享策略中提到它的规则不再起作用。", "department.gone": "部门已删除",
    "streams": "{n} 路",
  },
  en: {
    "title": "Users and keys", "users": "Users", "keys": "API keys", "departments": "Departments", "user.new": "New user", "key.new": "New key", "department.new": "New department", "col.user": "User", "col.role": "Role", "col.state": "State", "col.last": "Last login",
    "col.sessions": "Sessions", "col.streams": "Watches", "never": "Never", "disabled": "Disabled", "usable": "Usable", "must": "Password to be changed", "active": "Logged in", "idle": "Not logged in", "local": "Our own people", "manage": "Manage", "col.key": "Key",
    "col.owner": "Belongs to", "col.scopes": "May call", "col.quota": "Limits", "quota": "{rate}/min · {n} streams", "col.expires": "Expires", "forever": "Never expires", "expired": "Expired", "edit": "Change", "rotate": "New secret", "disable": "Disable", "enable": "Enable",
    "keys.empty": "There is no API key yet", "keys.empty.hint": "Other systems fetch video and data with a key; each has its own.", "departments.empty": "There is no department yet", "departments.empty.hint": "Whom you share with is entered here first; policy, users and keys name its code.",
    "col.department": "Department", "col.zone": "Network zone", "col.contact": "Contact", "col.made": "Made", "code": "Code", "code.hint": "Small letters, digits and hyphens, e.g. urban; it cannot be changed.", "name": "Name", "zone": "Network zone",
    "zone.hint": "Of its keys and users that say nothing else.", "contact": "Contact", "department.edit": "Change department", "department.delete": "Delete department {name}?", "department.delete.text": "Not possible while keys, users or webhooks belong to it. Rules of the policy that name it do nothing any more.",
    "department.gone": "Department deleted", "streams": "{n}",
  },
};
const t = words(strings);

const EVERY = 10_000; // milliseconds

/** All of a list comes in one answer. */
const paged = (path) => async ({ offset, limit, signal }) => {
  const { items, total } = await api.get(path, { signal });
  return { items: items.slice(offset, offset + limit), total };
};
const LOADERS = { users: paged("users"), keys: paged("keys"), departments: paged("departments") };

export default define("page-users", class extends View {
  #departments = [];

  start() {
    this.#again();
  }

  routed() {
    this.update();
  }

  get #tab() {
    const { tab } = this.route.query;
    return ["keys", "departments"].includes(tab) ? tab : "users";
  }

  async #again() {
    this.querySelector("gb-table")?.reload({ quiet: true });
    try {
      this.#departments = (await api.get("departments", { signal: this.signal })).items;
      this.update();
    } catch { /* the table says what is wrong */ }
  }

  /** Do it, say what failed, and show how it is now. */
  async #do(work) {
    try {
      if (await work()) this.#again();
    } catch (error) {
      toastError(error);
    }
  }

  render() {
    const tab = this.#tab;
    const act = {
      users: [t("user.new"), () => this.#do(() => newUser(this.#departments))],
      keys: [t("key.new"), () => this.#do(() => newKey(this.#departments))],
      departments: [t("department.new"), () => this.#do(() => this.#department(null))],
    }[tab];
    return h("div", { class: "page" },
      pageHead({ title: t("title"), aside: button(act[0], { kind: "primary", icon: "plus", onclick: act[1] }) }),
      tabs([["users", t("users")], ["keys", t("keys")], ["departments", t("departments")]], tab, (id) => go(link("users", { tab: id === "users" ? null : id }), { replace: true }), { label: t("title") }),
      tabPanel(tab, h("div", { class: "card" }, h("gb-table", { key: tab, ".label": t(tab), ".live": EVERY, ".load": LOADERS[tab], ...this.#table(tab, act) }))));
  }

  #table(tab, act) {
    const first = button(act[0], { kind: "primary", icon: "plus", onclick: act[1] });
    if (tab === "keys") return { ".keyOf": (row) => row.key_id, ".columns": this.#keyColumns(), ".empty": () => empty({ title: t("keys.empty"), hint: t("keys.empty.hint"), icon: "key", action: first }) };
    if (tab === "departments") {
      return { ".keyOf": (row) => row.code, ".columns": this.#departmentColumns(), ".empty": () => empty({ title: t("departments.empty"), hint: t("departments.empty.hint"), icon: "organisation", action: first }) };
    }
    return { ".keyOf": (row) => row.name, ".columns": this.#userColumns(), ".empty": () => empty({ icon: "users", action: first }) };
  }

  #nameOf(code) {
    return this.#departments.find((item) => item.code === code)?.name || code;
  }

  #userColumns() {
    const open = (row) => showUser(row, this.#departments, () => this.#again());
    return [
      { id: "user", title: t("col.user"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, h("span", { class: "cell-title" }, row.display_name || row.name), row.display_name ? h("span", { class: "cell-note mono" }, row.name) : null) },
      { id: "role", title: t("col.role"), cell: (row) => h("div", { class: "cell-main" }, h("span", null, codes.code("role", row.role)), h("span", { class: "cell-note" }, row.department ? this.#nameOf(row.department) : t("local"))) },
      { id: "state", title: t("col.state"), cell: (row) => (row.disabled ? status(t("disabled"), "bad") : row.must_change_password ? status(t("must"), "warn") : row.sessions ? status(t("active"), "good") : status(t("idle"))) },
      { id: "last", title: t("col.last"), cell: (row) => (row.last_login_at ? since(row.last_login_at) : h("span", { class: "muted" }, t("never"))) },
      { id: "sessions", title: t("col.sessions"), class: "right", cell: (row) => number(row.sessions) },
      { id: "streams", title: t("col.streams"), class: "right", cell: (row) => t("streams", { n: number(row.open_streams) }) },
      { id: "acts", title: "", class: "cell-acts", cell: (row) => h("div", { class: "row acts" }, button(t("manage"), { small: true, "aria-label": `${t("manage")} ${row.name}`, onclick: () => open(row) })) },
    ];
  }

  #keyColumns() {
    return [
      { id: "key", title: t("col.key"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, h("span", { class: "cell-title" }, row.name || row.key_id), h("span", { class: "cell-note mono" }, row.key_id)) },
      { id: "owner", title: t("col.owner"), cell: (row) => (row.role ? `${t("local")} · ${codes.code("role", row.role)}` : this.#nameOf(row.department)) },
      { id: "scopes", title: t("col.scopes"), cell: (row) => h("span", { class: "row row-wrap badges" }, row.scopes.map((scope) => badge(scopeText(scope)))) },
      { id: "quota", title: t("col.quota"), cell: (row) => h("span", { class: "nowrap" }, t("quota", { rate: number(row.requests_per_minute), n: `${number(row.open_streams)}/${number(row.max_streams)}` })) },
      { id: "state", title: t("col.state"), cell: (row) => h("div", { class: "cell-main" }, row.usable ? status(t("usable"), "good") : status(t(row.disabled ? "disabled" : "expired"), "bad"),
        h("span", { class: "cell-note" }, row.expires_at ? `${t("col.expires")} ${dateTime(row.expires_at, { full: true })}` : t("forever"))) },
      { id: "acts", title: "", class: "cell-acts", cell: (row) => h("div", { class: "row acts acts-one" },
        button(t("edit"), { small: true, onclick: () => this.#do(() => changeKey(row, this.#departments)) }), button(t("rotate"), { small: true, onclick: () => this.#do(() => rotateKey(row)) }),
        button(t(row.disabled ? "enable" : "disable"), { small: true, onclick: () => this.#do(() => toggleKey(row)) }),
        iconButton("trash", `${common("delete")} ${row.name || row.key_id}`, { small: true, onclick: () => this.#do(() => deleteKey(row)) })) },
    ];
  }

  #departmentColumns() {
    return [
      { id: "department", title: t("col.department"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, h("span", { class: "cell-title" }, row.name), h("span", { class: "cell-note mono" }, row.code)) },
      { id: "zone", title: t("col.zone"), cell: (row) => row.zone || "–" },
      { id: "contact", title: t("col.contact"), cell: (row) => row.contact || "–" },
      { id: "made", title: t("col.made"), hide: "phone", cell: (row) => dateTime(row.created_at, { full: true }) },
      { id: "acts", title: "", class: "cell-acts", cell: (row) => h("div", { class: "row acts" }, button(t("edit"), { small: true, onclick: () => this.#do(() => this.#department(row)) }),
        iconButton("trash", `${common("delete")} ${row.name}`, { small: true, onclick: () => this.#do(() => this.#drop(row)) })) },
    ];
  }

  async #department(row) {
    const done = await formDialog({
      title: () => t(row ? "department.edit" : "department.new"),
      fields: () => [
        { name: "code", label: t("code"), value: row?.code ?? "", required: true, readonly: Boolean(row), maxlength: 64, hint: row ? null : t("code.hint"), autocapitalize: "none", spellcheck: "false", class: "mono" },
        { name: "name", label: t("name"), value: row?.name ?? "", required: true, maxlength: 100 }, { name: "zone", label: t("zone"), value: row?.zone ?? "", maxlength: 64, hint: t("zone.hint") },
        { name: "contact", label: t("contact"), value: row?.contact ?? "", maxlength: 100 },
      ],
      save: ({ code, ...values }) => api.put(`departments/${encodeURIComponent(code.trim())}`, values),
    });
    if (done) toast(common("saved"));
    return Boolean(done);
  }

  async #drop(row) {
    const yes = await confirm({ title: t("department.delete", { name: row.name }), text: t("department.delete.text"), yes: common("delete"), danger: true, word: row.code, act: () => api.delete(`departments/${encodeURIComponent(row.code)}`) });
    if (yes) toast(t("department.gone"));
    return yes;
  }
});

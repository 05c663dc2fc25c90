// Where departments are told of changes of their channels, and whether that gets through.

import { View, define, h } from "../lib/element.js";
import { api } from "../lib/api.js";
import { currentLanguage, number, t as common, words } from "../lib/i18n.js";
import { currentSession } from "../lib/session.js";
import { badge, button, empty, iconButton, pageHead, status, technical } from "../lib/ui.js";
import { changeHook, deleteHook, eventText, hostOf, newHook, testHook, toggleHook } from "../components/webhooks-acts.js";
import { since } from "../components/since.js";
import { toastError } from "../components/toast.js";
import "../components/table.js";

export const strings = {
  zh: {
    "title": "Webhook", "intro": "通道上线、离线、授权变化时通知外部部门的系统。", "new": "添加 Webhook", "col.receiver": "接收方", "col.events": "通知内容", "col.state": "状态", "col.last": "最近送达", "col.count": "已送达", "empty": "还没有 Webhook",
    "empty.hint": "外部部门的系统不必轮询：它有权看到的通道一有变化，网关就推送过去。", "state.ok": "正常", "state.new": "尚未推送", "state.failing": "连续失败 {n} 次", "state.disabled": "已停用", "state.given_up": "多次失败，已自动停用", "retry": "下次重试", "failing": "失败开始于", "never": "从未", "waiting": "待发 {n} 条",
    "missed": "已丢弃 {n} 条", "test": "测试", "edit": "修改", "disable": "停用", "enable": "启用",
    "error.status": "接收方返回 HTTP {status}", "error.silent": "接收方没有及时应答", "error.unreachable": "连接不上接收方", "error.forbidden": "此地址不允许推送（回环、链路本地、保留或元数据地址）", "error.certificate": "接收方的证书不受信任",
  },
  en: {
    "title": "Webhooks", "intro": "Tell the systems of departments when channels go on- or off-line, are granted or taken away.", "new": "Add a webhook", "col.receiver": "Receiver", "col.events": "Told of", "col.state": "State", "col.last": "Last delivered", "col.count": "Delivered", "empty": "There is no webhook yet",
    "empty.hint": "A department's system need not ask again and again: the gateway tells it of each change of the channels it may see.", "state.ok": "Works", "state.new": "Nothing sent yet", "state.failing": "Failures in a row: {n}", "state.disabled": "Disabled", "state.given_up": "Failed too often, disabled", "retry": "Next try", "failing": "Failing since", "never": "Never",
    "waiting": "{n} waiting", "missed": "{n} dropped", "test": "Test", "edit": "Change", "disable": "Disable", "enable": "Enable",
    "error.status": "The receiver answered HTTP {status}", "error.silent": "The receiver did not answer in time", "error.unreachable": "The receiver cannot be reached", "error.forbidden": "Nothing may be sent to this address", "error.certificate": "The receiver's certificate is not trusted",
  },
};
const t = words(strings);

const EVERY = 3_000; // milliseconds

const FAILURES = [[/loopback, link-local/, "error.forbidden"], [/certificate/i, "error.certificate"], [/within|in time|timed out/i, "error.silent"], [/(?:)/, "error.unreachable"]];

/** What went wrong, in the reader's words, and the sentence itself folded. */
function errorText(sentence) {
  if (currentLanguage() === "en") return h("span", { class: "cell-note" }, sentence);
  const answered = /\b(?:answered|HTTP) (\d{3})\b/.exec(sentence);
  const text = answered ? t("error.status", { status: answered[1] }) : t(FAILURES.find(([form]) => form.test(sentence))[1]);
  return [h("span", { class: "cell-note" }, text), technical({ detail: sentence })];
}

export default define("page-webhooks", class extends View {
  #departments = [];

  start() {
    this.#again();
  }

  get #own() {
    return currentSession()?.department || "";
  }

  async #again() {
    this.querySelector("gb-table")?.reload({ quiet: true });
    if (this.#own) return;
    try {
      this.#departments = (await api.get("departments", { signal: this.signal })).items;
      this.update();
    } catch { /* codes do as well as names */ }
  }

  async #do(work) {
    try {
      if (await work()) this.#again();
    } catch (error) {
      toastError(error);
    }
  }

  #load = async ({ offset, limit, signal }) => {
    const { items, total } = await api.get("webhooks", { signal });
    return { items: items.slice(offset, offset + limit), total };
  };

  render() {
    const add = () => button(t("new"), { kind: "primary", icon: "plus", onclick: () => this.#do(() => newHook(this.#own ? null : this.#departments)) });
    return h("div", { class: "page" },
      pageHead({ title: t("title"), note: t("intro"), aside: add() }),
      h("div", { class: "card" }, h("gb-table", {
        ".label": t("title"), ".live": EVERY, ".load": this.#load, ".keyOf": (row) => row.hook_id, ".columns": this.#columns(),
        ".empty": () => empty({ title: t("empty"), hint: t("empty.hint"), icon: "webhook", action: add() }),
      })));
  }

  #state(row) {
    if (!row.enabled) return [status(t(row.reason ? "state.given_up" : "state.disabled"), row.reason ? "bad" : "neutral"), row.reason && technical({ detail: row.reason })];
    if (row.failures) {
      return [status(t("state.failing", { n: number(row.failures) }), "bad"), row.last_error && errorText(row.last_error),
        row.failing_since ? h("span", { class: "cell-note" }, t("failing"), " ", since(row.failing_since)) : null];
    }
    return row.delivered ? status(t("state.ok"), "good") : status(t("state.new"));
  }

  #columns() {
    const department = (code) => this.#departments.find((item) => item.code === code)?.name || code;
    return [
      { id: "receiver", title: t("col.receiver"), class: "wide", cell: (row) => h("div", { class: "cell-main" }, h("span", { class: "cell-title" }, department(row.department)), h("span", { class: "cell-note mono break" }, row.url)) },
      { id: "events", title: t("col.events"), cell: (row) => h("span", { class: "row row-wrap badges" }, row.events.map((event) => badge(eventText(event)))) },
      { id: "state", title: t("col.state"), class: "wide", cell: (row) => h("div", { class: "cell-main state-cell" }, this.#state(row)) },
      { id: "last", title: t("col.last"), cell: (row) => h("span", { class: "nowrap" }, row.last_success_at ? since(row.last_success_at) : h("span", { class: "muted" }, t("never"))) },
      { id: "count", title: t("col.count"), class: "right", cell: (row) => h("div", { class: "cell-main" }, h("span", null, number(row.delivered)),
        row.waiting ? h("span", { class: "cell-note nowrap" }, t("waiting", { n: number(row.waiting) })) : null, row.missed ? h("span", { class: "cell-note nowrap" }, t("missed", { n: number(row.missed) })) : null) },
      { id: "acts", title: "", class: "cell-acts", cell: (row) => h("div", { class: "row acts acts-one" },
        button(t("test"), { small: true, disabled: !row.enabled, onclick: () => this.#do(() => testHook(row)) }),
        button(t("edit"), { small: true, onclick: () => this.#do(() => changeHook(row)) }),
        button(t(row.enabled ? "disable" : "enable"), { small: true, onclick: () => this.#do(() => toggleHook(row)) }),
        iconButton("trash", `${common("delete")} ${hostOf(row.url)}`, { small: true, onclick: () => this.#do(() => deleteHook(row)) })) },
    ];
  }
});

// <gb-policy-try>: what would somebody see, why is something refused, what changes between two policies. Nothing of it has consequences.

import { api, isAbort } from "../lib/api.js";
import { View, define, h } from "../lib/element.js";
import { number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { denied } from "../lib/codes.js";
import { badge, button, card, empty, errorState, field, segmented, skeleton } from "../lib/ui.js";
import { formError } from "./dialog.js";
import { explanation } from "./policy-trace.js";
import { pickChannel } from "./pick-channel.js";
import { policyDraft } from "./policy-draft.js";
import { ACTIONS, actionText, decisionBadge, labelText, obligationTexts, ruleText } from "./sharing-words.js";
import { loadParties, subjectFields } from "./subject-field.js";
import "./table.js";

export const strings = {
  zh: {
    "mode": "试算内容", "see": "能看到什么", "why": "为什么", "changes": "有何变化", "see.hint": "某个部门或平台在此策略下能做什么、不能做什么。", "why.hint": "一次请求被允许或拒绝的依据：每条规则怎么说。",
    "changes.hint": "两个版本之间，哪些通道的权限对谁发生变化。", "policy": "策略", "before": "旧策略", "after": "新策略", "draft": "草稿", "current": "生效中", "version": "版本 {n}", "action": "操作", "more": "更多条件", "zone": "网络区域",
    "purpose": "事由", "ticket": "工单号", "at": "时间", "at.hint": "留空：现在", "streams": "已打开路数", "identity": "用户身份", "identity.hint": "Monitor-User-Identity 中的用户编码", "run": "试算", "refused": "同时列出被拒绝的通道",
    "channel": "通道", "channel.hint": "通道编码，或“设备编码/通道编码”", "pick": "选择…", "who.none": "请选择对象", "channel.none": "请选择通道", "allowed": "允许 {n}", "denied": "拒绝 {n}", "col.channel": "通道", "col.decision": "结论", "col.rule": "依据",
    "col.who": "对象", "col.action": "操作", "col.before": "原来", "col.after": "之后", "nothing": "没有可见的通道", "nothing.hint": "勾选“同时列出被拒绝的通道”可看到原因。", "kind.allowed": "新开放 {n}", "kind.denied": "收回 {n}", "kind.obligations": "条件变化 {n}",
    "same": "没有变化", "same.hint": "两个策略对所有部门和平台的结论相同。",
    "everybody": "对所有部门和平台", "explain": "查看依据",
  },
  en: {
    "mode": "What to try", "see": "What would they see", "why": "Why", "changes": "What changes", "see.hint": "What a department or platform may do under this policy, and what not.",
    "why.hint": "Why a request is allowed or refused: what every rule says.", "changes.hint": "Which channels change for whom between two policies.", "policy": "Policy",
    "before": "Old policy", "after": "New policy", "draft": "Draft", "current": "In force", "version": "Version {n}", "action": "Action", "more": "Further circumstances",
    "zone": "Network zone", "purpose": "Purpose", "ticket": "Ticket", "at": "Time", "at.hint": "Empty: now", "streams": "Streams open already", "identity": "User identity",
    "identity.hint": "The user of Monitor-User-Identity", "run": "Try", "refused": "List what is refused, too", "channel": "Channel", "channel.hint": "A code, or DEVICE/CHANNEL", "pick": "Choose…",
    "who.none": "Choose for whom", "channel.none": "Choose a channel", "allowed": "{n} allowed", "denied": "{n} refused", "col.channel": "Channel", "col.decision": "Decision",
    "col.rule": "By", "col.who": "Who", "col.action": "Action", "col.before": "Before", "col.after": "After", "nothing": "They would see nothing",
    "nothing.hint": "List what is refused, too, to see the reasons.", "kind.allowed": "{n} allowed", "kind.denied": "{n} taken away", "kind.obligations": "{n} under other conditions",
    "same": "Nothing changes", "same.hint": "Both policies say the same to all departments and platforms.", "everybody": "For all departments and platforms", "explain": "Why",
  },
};
const t = words(strings);

const TIMEOUT = 120_000; // milliseconds; a hundred thousand channels take their time

class PolicyTry extends View {
  #policy = null;
  #mode = "see";
  #parties = null;
  #versions = [];
  #error = null;
  #errors = {};
  #who = { kind: "department", id: "" };
  #source = "current"; // "current", "draft" or a version
  #before = "current";
  #action = "live";
  #context = { zone: "", purpose: "", ticket: "", at: "", streams: "", identity: "" };
  #channel = "";
  #refused = true;
  #result = null; // {mode, load, seen} or {mode, explained}
  #busy = false;
  #wrong = null;

  set policy(value) {
    this.#policy = value;
  }

  set asked(query) {
    if (["see", "why", "changes"].includes(query.mode)) this.#mode = query.mode;
    if (this.isConnected) this.update();
  }

  start() {
    if (policyDraft.isDirty) this.#source = "draft";
    this.#load();
  }

  async #load() {
    try {
      await policyDraft.load(this.#policy.version, this.signal);
      [this.#parties, this.#versions] = await Promise.all([loadParties(this.signal), api.get("policy/versions", { signal: this.signal }).then(({ items }) => items)]);
      const [first] = this.#parties.departments;
      if (first && !this.#who.id) this.#who = { kind: "department", id: first[0] };
      this.#error = null;
      if (this.#mode === "changes" && policyDraft.isDirty) this.#run();
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.update();
  }

  #sources() {
    return [["current", t("current")], ...(policyDraft.isDirty ? [["draft", t("draft")]] : []), ...this.#versions.filter((item) => !item.active).map((item) => [String(item.number), t("version", { n: item.number })])];
  }

  /** The parts of a body that name a policy. */
  #policyOf(source, name = "version") {
    if (source === "draft") return { text: policyDraft.text };
    return source === "current" ? {} : { [name]: Number(source) };
  }

  #contextOf() {
    const { zone, purpose, ticket, at, streams } = this.#context;
    return { ...(zone && { zone }), ...(purpose && { purpose }), ...(ticket && { ticket }), ...(streams && { streams: Number(streams) }), ...(at && { at: new Date(at).toISOString() }) };
  }

  #whoOf() {
    const { identity } = this.#context;
    return { [this.#who.kind]: this.#who.id.trim(), ...(identity && { identity }) };
  }

  async #run() {
    this.#errors = {};
    if (this.#mode !== "changes" && !this.#who.id.trim()) this.#errors.who = t("who.none");
    if (this.#mode === "why" && !this.#channel.trim()) this.#errors.channel = t("channel.none");
    this.#wrong = null;
    if (!Object.keys(this.#errors).length) {
      if (this.#mode === "why") await this.#explain();
      else this.#list();
    }
    this.update();
  }

  #list() {
    const mode = this.#mode;
    const body = mode === "see"
      ? { subject: this.#whoOf(), action: this.#action, denied: this.#refused, ...this.#policyOf(this.#source), ...this.#contextOf() }
      : { ...this.#policyOf(this.#before, "before"), ...this.#policyOf(this.#source, "after"), ...this.#contextOf() };
    const result = { mode, seen: null };
    result.load = async ({ offset, limit, signal }) => {
      const answer = await api.post(mode === "see" ? "policy/would-see" : "policy/changes", { ...body, offset, limit }, { signal, timeout: TIMEOUT });
      result.seen = answer;
      this.update();
      return answer;
    };
    this.#result = result;
  }

  async #explain() {
    const [first, second] = this.#channel.trim().split("/");
    const body = { subject: this.#whoOf(), action: this.#action, ...(second ? { device_id: first, channel_id: second } : { channel_id: first }), ...this.#policyOf(this.#source), ...this.#contextOf() };
    this.#busy = true;
    this.update();
    try {
      this.#result = { mode: "why", explained: await api.post("policy/explain", body, { signal: this.signal, timeout: TIMEOUT }) };
    } catch (error) {
      if (isAbort(error)) return;
      this.#wrong = error;
      this.#result = null;
    }
    this.#busy = false;
    this.update();
  }

  #set(changes) {
    this.#who = { ...this.#who, ...changes };
    this.update();
  }

  /** From a row of a list to why that is so. */
  #ask(row, who, action) {
    this.#mode = "why";
    this.#channel = `${row.device_id}/${row.channel_id}`;
    this.#action = action;
    if (who) this.#who = who;
    this.#run();
  }

  render() {
    if (this.#error) return errorState(this.#error, { retry: () => this.#load() });
    if (!this.#parties) return skeleton(8);
    const mode = this.#mode;
    return h("div", { class: "try-panes" },
      h("form", { class: "card try-form", onsubmit: (event) => { event.preventDefault(); this.#run(); }, autocomplete: "off" },
        h("div", null, segmented(["see", "why", "changes"].map((id) => [id, t(id)]), mode, (id) => {
          this.#mode = id;
          go(link("policy", { tab: "try", mode: id }), { replace: true });
          this.update();
        }, { label: t("mode") })),
        h("p", { class: "field-hint" }, t(`${mode}.hint`)),
        mode === "changes" ? h("p", null, badge(t("everybody"))) : subjectFields(this.#who, this.#parties, { change: (changes) => this.#set(changes), error: this.#errors.who }),
        mode === "changes" ? null : field({ label: t("action"), name: "action", id: "try-action", type: "select", value: this.#action, options: ACTIONS.map((action) => [action, actionText(action)]),
          onchange: (event) => { this.#action = event.target.value; } }),
        mode === "why" ? field({ label: t("channel"), name: "channel", id: "try-channel", class: "mono", ".value": this.#channel, hint: t("channel.hint"), error: this.#errors.channel, spellcheck: "false",
          oninput: (event) => { this.#channel = event.target.value; },
          suffix: button(t("pick"), { icon: "search", onclick: async () => {
            const found = await pickChannel();
            if (found) this.#channel = `${found.device}/${found.channel}`;
            this.update();
          } }) }) : null,
        mode === "changes" ? field({ label: t("before"), name: "before", id: "try-before", type: "select", options: this.#sources(), value: this.#before, onchange: (event) => { this.#before = event.target.value; } }) : null,
        field({ label: t(mode === "changes" ? "after" : "policy"), name: "policy", id: "try-policy", type: "select", options: this.#sources(), value: this.#source, onchange: (event) => { this.#source = event.target.value; } }),
        mode === "see" ? field({ label: t("refused"), name: "refused", id: "try-refused", type: "checkbox", value: this.#refused, onchange: (event) => { this.#refused = event.target.checked; } }) : null,
        this.#circumstances(),
        button(t("run"), { kind: "primary", type: "submit", busy: this.#busy })),
      h("div", { class: "stack try-result", "aria-live": "polite" }, this.#wrong ? formError(this.#wrong) : this.#shown()));
  }

  #circumstances() {
    const set = (name) => (event) => { this.#context[name] = event.target.value; };
    const one = (name, extras = {}) => field({ label: t(name), name, id: `try-${name}`, value: this.#context[name], oninput: set(name), ...extras });
    return h("details", { class: "more" }, h("summary", null, t("more")), h("div", { class: "stack" }, one("zone"), one("purpose"), one("ticket"), one("at", { type: "datetime-local", hint: t("at.hint") }),
      one("streams", { type: "number", min: 0 }), one("identity", { class: "mono", hint: t("identity.hint") })));
  }

  #shown() {
    const result = this.#result;
    if (!result || result.mode !== this.#mode) return empty({ title: t(this.#mode), hint: t(`${this.#mode}.hint`), icon: "policy" });
    if (result.mode === "why") return explanation(result.explained, { toLine: this.#source === (policyDraft.isDirty ? "draft" : "current") });
    const { seen } = result;
    return [
      seen ? result.mode === "see" ? summary(seen) : kinds(seen) : null,
      card({ flush: true }, h("gb-table", {
        ".label": t(result.mode), ".load": result.load, ".keyOf": (row) => `${row.device_id}/${row.channel_id}/${row.action || ""}/${row.subject?.label || ""}`,
        ".columns": result.mode === "see" ? this.#seeColumns() : this.#changeColumns(),
        ".empty": () => (result.mode === "see" ? empty({ title: t("nothing"), hint: this.#refused ? "" : t("nothing.hint"), icon: "eye" })
          : empty({ title: t("same"), hint: t("same.hint"), icon: "check" })),
      })),
    ];
  }

  #seeColumns() {
    const who = this.#who;
    const action = this.#action;
    return [
      { id: "channel", title: t("col.channel"), class: "wide", cell: channelCell },
      { id: "decision", title: t("col.decision"), cell: (row) => decisionCell(row.decision) },
      { id: "rule", title: t("col.rule"), cell: (row) => h("span", { class: "cell-break" }, ruleText(row.decision.rule)) },
      { id: "why", title: "", cell: (row) => button(t("explain"), { small: true, onclick: () => this.#ask(row, who, action) }) },
    ];
  }

  #changeColumns() {
    return [
      { id: "channel", title: t("col.channel"), class: "wide", cell: channelCell },
      { id: "who", title: t("col.who"), cell: (row) => this.#parties.names.get(row.subject.platform || row.subject.department) || labelText(row.subject.label) },
      { id: "action", title: t("col.action"), cell: (row) => actionText(row.action) },
      { id: "before", title: t("col.before"), cell: (row) => decisionCell(row.before) },
      { id: "after", title: t("col.after"), cell: (row) => h("div", { class: "cell-main" }, decisionCell(row.after), h("span", { class: "cell-note" }, ruleText(row.after.rule))) },
    ];
  }
}

const channelCell = (row) => h("div", { class: "cell-main" }, h("a", { class: "cell-title", href: link("channels", row.device_id, row.channel_id) }, row.name || row.channel_id),
  h("span", { class: "cell-note mono" }, row.channel_id));

function decisionCell(decision) {
  const duties = decision.allowed ? obligationTexts(decision.obligations) : [];
  return h("div", { class: "cell-main" }, h("span", null, decisionBadge(decision)), duties.length ? h("span", { class: "cell-note" }, duties.join(" · ")) : null);
}

function summary(seen) {
  return h("div", { class: "row row-wrap", role: "status" }, badge(t("allowed", { n: number(seen.allowed) }), seen.allowed ? "good" : "neutral"), badge(t("denied", { n: number(seen.denied) }), seen.denied ? "bad" : "neutral"),
    Object.entries(seen.by_reason).map(([reason, count]) => h("span", { class: "muted" }, `${denied(reason)} ${number(count)}`)));
}

function kinds(seen) {
  const { allowed = 0, denied = 0, obligations = 0 } = seen.kinds;
  return h("div", { class: "row row-wrap", role: "status" }, badge(t("kind.allowed", { n: number(allowed) }), allowed ? "good" : "neutral"),
    badge(t("kind.denied", { n: number(denied) }), denied ? "bad" : "neutral"), badge(t("kind.obligations", { n: number(obligations) }), obligations ? "warn" : "neutral"));
}

define("gb-policy-try", PolicyTry);

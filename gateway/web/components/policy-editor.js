// <gb-policy-editor>: the text of the policy, what is wrong with it and where, what differs from what is in force.

import { api, isAbort } from "../lib/api.js";
import { unified } from "../lib/diff.js";
import { View, define, h } from "../lib/element.js";
import { number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { badge, button, card, code, errorState, skeleton, status } from "../lib/ui.js";
import { confirm } from "./dialog.js";
import { applyPolicy } from "./policy-apply.js";
import { policyDraft } from "./policy-draft.js";
import { spoken } from "./spoken.js";
import "./code-editor.js";

export const strings = {
  zh: {
    "label": "策略文件（TOML）", "base": "基于版本 {n}", "base.none": "尚无策略", "same": "与生效版本相同", "dirty": "草稿：+{added} / −{removed} 行", "discard": "放弃改动", "discard.title": "放弃改动？",
    "discard.text": "草稿将恢复为生效版本。", "try": "试算", "apply": "应用…", "diff": "差异", "diff.hide": "收起差异", "diff.none": "没有差异", "valid": "可以使用，共 {n} 条规则", "checking": "检查中…", "wrong": "有 {n} 处错误，不能应用",
    "problems": "检查结果", "line": "第 {line} 行", "column": "第 {column} 列", "remarks": "可能不是本意", "newer": "已有更新的版本 {n} 生效，您的草稿基于版本 {base}", "take": "放弃草稿并载入版本 {n}", "syntax": "语法错误",
  },
  en: {
    "label": "Policy file (TOML)", "base": "From version {n}", "base.none": "No policy yet", "same": "The same as what is in force", "dirty": "Draft: +{added} / −{removed} lines",
    "discard": "Discard", "discard.title": "Discard the changes?", "discard.text": "The draft becomes what is in force.", "try": "Try", "apply": "Apply…",
    "diff": "Differences", "diff.hide": "Hide differences", "diff.none": "No difference", "valid": "Can be used: {n} rules", "checking": "Checking…", "wrong": "{n} mistakes: it cannot be applied",
    "problems": "Findings", "line": "Line {line}", "column": "column {column}", "remarks": "Probably not meant",
    "newer": "Version {n} is in force by now; your draft was made from {base}", "take": "Drop the draft and take version {n}", "syntax": "Syntax",
  },
};
const t = words(strings);

const WAIT = 500; // milliseconds without a key before looking for mistakes

class PolicyEditor extends View {
  #policy = null;
  #report = null;
  #checking = false;
  #error = null;
  #timer = null;
  #round = 0;
  #isDiffShown = false;
  #line = 0;

  set policy(value) {
    const before = this.#policy?.version;
    this.#policy = value;
    if (this.isConnected && value.version !== before) this.#load();
  }

  /** The line asked for by the address; gone to once. */
  set line(value) {
    this.#line = Number(value) || 0;
    if (this.isConnected) this.update();
  }

  start() {
    this.#load();
  }

  rendered() {
    const editor = this.#line && this.querySelector("gb-code-editor textarea") ? this.querySelector("gb-code-editor") : null;
    if (!editor) {
      if (this.#line && this.querySelector("gb-code-editor")) queueMicrotask(() => this.update());
      return;
    }
    const line = this.#line;
    this.#line = 0;
    requestAnimationFrame(() => editor.reveal(line));
  }

  stop() {
    clearTimeout(this.#timer);
  }

  async #load(options) {
    try {
      await policyDraft.load(this.#policy.version, this.signal, options);
      this.#error = null;
      this.#check();
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.update();
  }

  #typed(text) {
    policyDraft.text = text;
    this.#checking = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), WAIT);
    this.update();
  }

  async #check() {
    clearTimeout(this.#timer);
    this.#round += 1;
    const round = this.#round;
    try {
      const report = await api.post("policy/validate", { text: policyDraft.text }, { signal: this.signal });
      if (round !== this.#round) return;
      this.#report = report;
    } catch (error) {
      if (isAbort(error) || round !== this.#round) return;
      this.#report = { ok: false, problems: [], remarks: [], failed: error };
    }
    this.#checking = false;
    this.update();
  }

  async #discard() {
    if (!(await confirm({ title: t("discard.title"), text: t("discard.text"), yes: t("discard"), danger: true }))) return;
    policyDraft.discard();
    this.#check();
    this.update();
  }

  async #apply() {
    const { added, removed } = unified(policyDraft.baseText, policyDraft.text);
    const saved = await applyPolicy({ text: policyDraft.text, base: policyDraft.base, lines: { added: number(added), removed: number(removed) } });
    if (!saved) {
      // Refused perhaps because somebody was quicker: the page looks which version is in force.
      this.dispatchEvent(new CustomEvent("applied"));
      return;
    }
    await policyDraft.load(saved.number, this.signal, { anew: true });
    this.#isDiffShown = false;
    this.dispatchEvent(new CustomEvent("applied"));
    this.update();
  }

  /** Go to a line of the text. */
  reveal(line, column) {
    this.querySelector("gb-code-editor")?.reveal(line, column);
  }

  render() {
    if (this.#error) return errorState(this.#error, { retry: () => this.#load() });
    if (policyDraft.text === null) return skeleton(12);
    const report = this.#report;
    const marks = report ? [...report.problems.map((item) => ({ ...item, tone: "bad" })), ...report.remarks.map((item) => ({ ...item, tone: "warn" }))]
      .filter((item) => item.line).map((item) => ({ line: item.line, tone: item.tone, title: `${item.key} ${spoken(item.reason)}`.trim() })) : [];
    const change = policyDraft.isDirty ? unified(policyDraft.baseText, policyDraft.text) : null;
    const newer = policyDraft.base !== this.#policy.version;
    return h("div", { class: "stack" },
      newer ? h("div", { class: "notice notice-warn", role: "status" }, h("div", { class: "notice-text" }, t("newer", { n: this.#policy.version, base: policyDraft.base })),
        button(t("take", { n: this.#policy.version }), { small: true, onclick: () => this.#load({ anew: true }) })) : null,
      h("div", { class: "toolbar" },
        badge(policyDraft.base ? t("base", { n: policyDraft.base }) : t("base.none")),
        h("span", { class: "muted", role: "status" }, change ? t("dirty", { added: number(change.added), removed: number(change.removed) }) : t("same")),
        this.#verdict(report), h("span", { class: "grow" }),
        change && button(t(this.#isDiffShown ? "diff.hide" : "diff"), { onclick: () => { this.#isDiffShown = !this.#isDiffShown; this.update(); } }),
        change && button(t("discard"), { kind: "ghost", onclick: () => this.#discard() }),
        change && button(t("try"), { icon: "eye", disabled: !report?.ok, onclick: () => go(link("policy", { tab: "try", mode: "changes" })) }),
        may("admin") && button(t("apply"), { kind: "primary", icon: "check", disabled: !change || !report?.ok || this.#checking || newer, onclick: () => this.#apply() })),
      this.#isDiffShown && change ? code(change.text, { diff: true, label: t("diff") }) : null,
      this.#problems(report),
      h("gb-code-editor", { ".text": policyDraft.text, ".marks": marks, ".label": t("label"), ".readOnly": !may("operator"), onpick: (event) => this.#typed(event.detail) }));
  }

  #verdict(report) {
    if (this.#checking || !report) return status(t("checking"), "neutral");
    if (report.failed) return status(report.failed.words.title, "bad");
    return report.ok ? status(t("valid", { n: number(report.rules) }), "good") : status(t("wrong", { n: report.problems.length }), "bad");
  }

  #problems(report) {
    if (!report || (!report.problems.length && !report.remarks.length)) return null;
    return card({ title: t("problems"), flush: true }, h("ul", { class: "problems" },
      report.problems.map((item) => this.#problem(item, "bad")), report.remarks.map((item) => this.#problem(item, "warn"))));
  }

  #problem(item, tone) {
    const place = item.line ? [t("line", { line: item.line }), item.column > 1 && !item.key ? t("column", { column: item.column }) : null].filter(Boolean).join(" ") : "";
    return h("li", { class: `problem problem-${tone}` },
      item.line ? button(place, { small: true, onclick: () => this.reveal(item.line, item.column) }) : null,
      h("span", { class: "cell-main" }, h("span", { class: "mono problem-key" }, item.key || t("syntax")), h("span", null, spoken(item.reason)),
        tone === "warn" ? h("span", { class: "cell-note" }, t("remarks")) : null));
  }
}

define("gb-policy-editor", PolicyEditor);


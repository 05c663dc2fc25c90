// <gb-policy-versions>: the versions kept, what differs between any two of them (or the draft), and putting one into force again.

import { api, isAbort } from "../lib/api.js";
import { unified } from "../lib/diff.js";
import { View, define, h } from "../lib/element.js";
import { bytes, dateTime, number, words } from "../lib/i18n.js";
import { may } from "../lib/session.js";
import { badge, button, card, code, empty, errorState, field, skeleton } from "../lib/ui.js";
import { applyPolicy } from "./policy-apply.js";
import { policyDraft } from "./policy-draft.js";
import { labelText } from "./sharing-words.js";

export const strings = {
  zh: {
    "versions": "版本", "none": "还没有策略版本", "none.hint": "应用第一份策略后会出现在这里。", "active": "生效中", "by": "{who} · {at}", "restore": "恢复…", "compare": "比较", "before": "旧", "after": "新", "draft": "草稿",
    "zero": "空策略", "version": "版本 {n}", "same": "两者相同", "added": "新增 {n} 行", "removed": "删除 {n} 行", "rules": "规则变化", "rule.added": "新增", "rule.removed": "删除", "rule.changed": "修改", "diff": "文本差异", "no.comment": "没有说明", "in.force": "{name}（生效中）",
  },
  en: {
    "versions": "Versions", "none": "There is no version yet", "none.hint": "Those that were applied appear here.", "active": "In force", "by": "{who} · {at}", "restore": "Restore…",
    "compare": "Compare", "before": "Old", "after": "New", "draft": "Draft", "zero": "Empty policy", "version": "Version {n}", "same": "Both are the same",
    "added": "{n} lines added", "removed": "{n} lines removed", "rules": "Rules", "rule.added": "new", "rule.removed": "gone", "rule.changed": "changed",
    "diff": "Differences of the text", "no.comment": "No comment", "in.force": "{name} (in force)",
  },
};
const t = words(strings);

class PolicyVersions extends View {
  #policy = null;
  #versions = null;
  #error = null;
  #chosen = null; // {before, after}: numbers, 0, or "draft"
  #found = null;
  #texts = new Map();

  set policy(value) {
    const before = this.#policy?.version;
    this.#policy = value;
    if (this.isConnected && value.version !== before) this.#load();
  }

  start() {
    this.#load();
  }

  async #load() {
    try {
      this.#versions = (await api.get("policy/versions", { signal: this.signal })).items;
      this.#error = null;
      const current = this.#policy.version;
      const previous = this.#versions.find((item) => item.number < current)?.number ?? 0;
      this.#chosen = policyDraft.isDirty ? { before: current, after: "draft" } : { before: previous, after: current };
      if (may("operator") && this.#versions.length) this.#compare();
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.update();
  }

  async #text(which) {
    if (which === "draft") return policyDraft.text;
    if (which === 0) return "";
    if (!this.#texts.has(which)) this.#texts.set(which, (await api.get("policy/text", { query: { version: which }, signal: this.signal })).text);
    return this.#texts.get(which);
  }

  async #compare() {
    const { before, after } = this.#chosen;
    const asked = `${before}/${after}`;
    this.#found = { asked };
    this.update();
    try {
      const [old, fresh] = await Promise.all([this.#text(before), this.#text(after)]);
      const rules = before === "draft" || after === "draft" ? null : await api.get("policy/diff", { query: { before, after }, signal: this.signal });
      if (this.#found.asked === asked) this.#found = { asked, ...unified(old, fresh), rules };
    } catch (error) {
      if (isAbort(error)) return;
      if (this.#found.asked === asked) this.#found = { asked, error };
    }
    this.update();
  }

  #choose(changes) {
    this.#chosen = { ...this.#chosen, ...changes };
    this.#compare();
  }

  async #restore(version) {
    const saved = await applyPolicy({ version: version.number, base: this.#policy.version });
    if (saved) this.dispatchEvent(new CustomEvent("applied"));
  }

  render() {
    if (this.#error && !this.#versions) return errorState(this.#error, { retry: () => this.#load() });
    if (!this.#versions) return skeleton(8);
    if (!this.#versions.length) return empty({ title: t("none"), hint: t("none.hint"), icon: "policy" });
    return h("div", { class: "versions-panes" }, card({ title: t("versions"), flush: true }, h("ul", { class: "versions" }, this.#versions.map((item) => this.#version(item)))),
      may("operator") ? this.#comparison() : null);
  }

  #version(item) {
    return h("li", { class: "version", key: item.number },
      h("span", { class: "cell-main grow" }, h("span", { class: "row row-wrap" }, h("strong", null, t("version", { n: item.number })), item.active ? badge(t("active"), "good", { icon: "check" }) : null),
        h("span", { class: "version-comment" }, item.comment || h("span", { class: "muted" }, t("no.comment"))),
        h("span", { class: "cell-note" }, t("by", { who: labelText(item.author), at: dateTime(item.at, { full: true }) }), " · ", bytes(item.size))),
      may("admin") && !item.active ? button(t("restore"), { small: true, onclick: () => this.#restore(item) }) : null);
  }

  #comparison() {
    const options = (last) => [
      ...(policyDraft.isDirty && last ? [["draft", t("draft")]] : []),
      ...this.#versions.map((item) => [item.number, item.active ? t("in.force", { name: t("version", { n: item.number }) }) : t("version", { n: item.number })]),
      ...(last ? [] : [[0, t("zero")]])];
    const read = (event) => (event.target.value === "draft" ? "draft" : Number(event.target.value));
    const { before, after } = this.#chosen;
    return card({ title: t("compare") }, h("div", { class: "stack" },
      h("div", { class: "form-grid" },
        field({ label: t("before"), name: "before", id: "diff-before", type: "select", options: options(false), value: before, onchange: (event) => this.#choose({ before: read(event) }) }),
        field({ label: t("after"), name: "after", id: "diff-after", type: "select", options: options(true), value: after, onchange: (event) => this.#choose({ after: read(event) }) })),
      this.#difference()));
  }

  #difference() {
    const found = this.#found;
    if (found?.error) return errorState(found.error, { compact: true, retry: () => this.#compare() });
    if (found?.text === undefined) return skeleton(5);
    if (!found.text) return empty({ title: t("same"), icon: "check" });
    const { rules } = found;
    return [
      h("div", { class: "row row-wrap", role: "status" }, badge(t("added", { n: number(found.added) }), "good"), badge(t("removed", { n: number(found.removed) }), "bad")),
      rules && rules.added.length + rules.removed.length + rules.changed.length ? h("div", { class: "stack-tight" }, h("h3", { class: "small-title" }, t("rules")), h("ul", { class: "stack-tight" },
        rules.added.map((name) => h("li", { class: "row row-wrap" }, badge(t("rule.added"), "good"), h("span", { class: "mono" }, name))),
        rules.removed.map((name) => h("li", { class: "row row-wrap" }, badge(t("rule.removed"), "bad"), h("span", { class: "mono" }, name))),
        rules.changed.map((item) => h("li", { class: "row row-wrap" }, badge(t("rule.changed"), "warn"), h("span", { class: "mono" }, item.name),
          h("span", { class: "muted" }, item.fields.map((one) => one.name).join(" · ")))))) : null,
      code(found.text, { diff: true, label: t("diff") }),
    ];
  }
}

define("gb-policy-versions", PolicyVersions);

// The sharing policy: what is in force, its text, what it would do to whom, its versions.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { number, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { badge, errorState, notice, pageHead, skeleton, tabPanel, tabs } from "../lib/ui.js";
import { spoken } from "../components/spoken.js";
import "../components/policy-editor.js";
import "../components/policy-try.js";
import "../components/policy-versions.js";

export const strings = {
  zh: {
    "title": "共享策略", "tabs": "策略", "edit": "编辑", "try": "试算", "versions": "版本", "in.force": "版本 {n} 生效中", "none": "尚未应用策略：外部看不到任何内容", "rules": "{n} 条规则", "grants": "{n} 项授权",
    "stops": "{n} 项强制停止", "unusable": "保存的策略无法使用，现按内置规则执行",
  },
  en: {
    "title": "Policy", "tabs": "Policy", "edit": "Edit", "try": "Try", "versions": "Versions", "in.force": "Version {n} in force", "none": "No policy yet: nobody outside sees anything",
    "rules": "{n} rules", "grants": "{n} grants", "stops": "{n} forced stops", "unusable": "The policy kept cannot be used: built-in rules are in force",
  },
};
const t = words(strings);

const EVERY = 10_000; // milliseconds

export default define("page-policy", class extends View {
  #policy = null;
  #error = null;

  get #tab() {
    const { tab } = this.route.query;
    if (!may("operator")) return "versions";
    return ["try", "versions"].includes(tab) ? tab : "edit";
  }

  start() {
    this.every(EVERY, () => this.#load());
  }

  routed() {
    this.update();
  }

  async #load() {
    try {
      this.#policy = await api.get("policy", { signal: this.signal });
      this.#error = null;
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.update();
  }

  render() {
    const policy = this.#policy;
    if (!policy) return h("div", { class: "page" }, pageHead({ title: t("title") }), this.#error ? errorState(this.#error, { retry: () => this.#load() }) : skeleton(10));
    const tab = this.#tab;
    return h("div", { class: "page" },
      pageHead({
        title: t("title"),
        note: policy.version ? [badge(t("in.force", { n: policy.version }), "good", { icon: "check" }), h("span", null, t("rules", { n: number(policy.rules) })),
          h("a", { href: link("applications", { state: "active" }) }, t("grants", { n: number(policy.grants) })),
          h("a", { href: link("watching", { tab: "stops" }) }, t("stops", { n: number(policy.stops) }))] : badge(t("none"), "warn", { icon: "warning" }),
      }),
      policy.problem ? notice(spoken(policy.problem), "bad", { title: t("unusable") }) : null,
      tabs([may("operator") && ["edit", t("edit")], may("operator") && ["try", t("try")], ["versions", t("versions")]].filter(Boolean), tab,
        (id) => go(link("policy", { tab: id === "edit" ? null : id })), { label: t("tabs") }),
      tabPanel(tab, this.#panel(tab, policy)));
  }

  #panel(tab, policy) {
    const options = { class: "block", ".policy": policy, onapplied: () => this.#load() };
    if (tab === "try") return h("gb-policy-try", { ...options, ".asked": this.route.query });
    if (tab === "versions") return h("gb-policy-versions", options);
    return h("gb-policy-editor", { ...options, ".line": this.route.query.line });
  }
});

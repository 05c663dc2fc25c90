// Putting a policy into force: what that changes for whom, a comment, a confirmation.

import { api } from "../lib/api.js";
import { h } from "../lib/element.js";
import { number, words } from "../lib/i18n.js";
import { badge, button, field, notice, skeleton } from "../lib/ui.js";
import { formError, openDialog } from "./dialog.js";
import { toast } from "./toast.js";

export const strings = {
  zh: {
    "title": "应用策略", "title.version": "恢复版本 {n}", "comment": "说明", "comment.hint": "写明改了什么、依据是什么，便于日后审计。", "apply": "应用", "restore": "恢复", "applied": "策略版本 {n} 已生效",
    "counting": "正在计算影响…", "none": "不改变任何部门和平台现在能看到的内容", "effect": "对所有部门和平台，共 {n} 处权限变化", "allowed": "新开放 {n}", "denied": "收回 {n}", "obligations": "条件变化 {n}",
    "cut": "被收回权限的在看画面会立即中断。", "unknown": "影响范围过大，无法在此计算，请在“试算”中按部门查看。", "lines": "文本 +{added} / −{removed} 行",
  },
  en: {
    "title": "Apply the policy", "title.version": "Restore version {n}", "comment": "Comment", "comment.hint": "What was changed and on whose word, for whoever audits this.",
    "apply": "Apply", "restore": "Restore", "applied": "Policy version {n} is in force", "counting": "Counting what changes…",
    "none": "Nothing changes in what departments and platforms may see now", "effect": "{n} permissions of departments and platforms change",
    "allowed": "{n} allowed", "denied": "{n} taken away", "obligations": "{n} under other conditions", "cut": "Whoever watches what is taken away is cut off at once.",
    "unknown": "Too much to be counted here: try it department by department under “Try”.", "lines": "Text: +{added} / −{removed} lines",
  },
};
const t = words(strings);

/** applyPolicy({text, base, lines}) or applyPolicy({version, base}): resolves with the version in force now, or null. */
export function applyPolicy({ text = null, version = null, base, lines = null }) {
  const state = { effect: null, wrong: null, error: null, busy: false, comment: "" };
  return openDialog({
    title: () => (version ? t("title.version", { n: version }) : t("title")),
    render: (close, update) => {
      state.asked ??= api.post("policy/changes", { ...(version ? { after: version } : { text }), limit: 1 }, { timeout: 120_000 })
        .then((found) => { state.effect = found; }, (error) => { state.wrong = error; }).finally(update);
      return form(state, { text, version, base, lines, close, update });
    },
  });
}

function form(state, { text, version, base, lines, close, update }) {
  const send = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    Object.assign(state, { busy: true, error: null });
    update();
    try {
      const { comment } = state;
      const saved = version ? await api.post("policy/activate", { version, comment, expected: base })
        : await api.put("policy", { text, comment, expected: base, source: "console" });
      toast(t("applied", { n: saved.number }));
      close(saved);
    } catch (error) {
      Object.assign(state, { busy: false, error });
      update();
    }
  };
  return h("form", { class: "dialog-form", onsubmit: send, autocomplete: "off" },
    h("div", { class: "dialog-body" },
      lines ? h("p", { class: "muted" }, t("lines", lines)) : null,
      effect(state),
      field({ label: t("comment"), name: "comment", type: "textarea", rows: 3, maxlength: 500, hint: t("comment.hint"), value: "", autofocus: true,
        oninput: (event) => { state.comment = event.target.value; } }),
      state.error ? formError(state.error) : null),
    h("footer", { class: "dialog-foot" }, button(t("cancel"), { kind: "ghost", onclick: () => close() }),
      button(t(version ? "restore" : "apply"), { kind: state.effect?.kinds.denied ? "danger" : "primary", type: "submit", busy: state.busy,
        disabled: !state.effect && !state.wrong })));
}

function effect({ effect: found, wrong }) {
  if (wrong) return wrong.code === "too_much" ? notice(t("unknown"), "warn") : formError(wrong);
  if (!found) return h("div", { "aria-busy": "true" }, h("p", { class: "muted" }, t("counting")), skeleton(1));
  if (!found.total) return notice(t("none"), "info");
  const { allowed = 0, denied = 0, obligations = 0 } = found.kinds;
  return h("div", { class: "stack-tight" },
    h("div", { class: "notice notice-warn", role: "status" }, h("div", { class: "notice-text" }, h("strong", null, t("effect", { n: number(found.total) })),
      denied ? h("span", null, t("cut")) : null)),
    h("div", { class: "row row-wrap" }, badge(t("allowed", { n: number(allowed) }), allowed ? "good" : "neutral"),
      badge(t("denied", { n: number(denied) }), denied ? "bad" : "neutral"), badge(t("obligations", { n: number(obligations) }), obligations ? "warn" : "neutral")));
}

// Passwords: how strong one is, and the dialog that changes one's own.

import { h } from "../lib/element.js";
import { words } from "../lib/i18n.js";
import { changeOwnPassword } from "../lib/session.js";
import { formDialog } from "./dialog.js";
import { toast } from "./toast.js";

export const strings = {
  zh: { "title": "修改密码", "old": "当前密码", "new": "新密码", "again": "再次输入新密码", "different": "两次输入不一致",
    "short": "至少 {n} 个字符", "saved": "密码已修改", "strength": "密码强度", "strength.0": "太短", "strength.1": "弱",
    "strength.2": "中", "strength.3": "强", "hint": "至少 {n} 个字符；几个不相干的词连起来最好记也最安全。",
    "same": "新密码与当前密码相同", "must": "此密码由管理员设置，请先改成只有您知道的密码。" },
  en: { "title": "Change password", "old": "Present password", "new": "New password", "again": "New password again",
    "different": "The two are not the same", "short": "At least {n} characters", "saved": "Password changed",
    "strength": "Strength", "strength.0": "Too short", "strength.1": "Weak", "strength.2": "Fair", "strength.3": "Strong",
    "hint": "At least {n} characters; a few unrelated words are easy to remember and safe.",
    "same": "The new password is the present one",
    "must": "An administrator has set this password: change it to one that only you know." },
};
export const t = words(strings);

export const MIN_PASSWORD = 12;

/** 0 too short, 1 weak, 2 fair, 3 strong: by length and variety; the server has the last word. */
export function strengthOf(password) {
  if (password.length < MIN_PASSWORD) return 0;
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^a-zA-Z\d]/].filter((kind) => kind.test(password)).length;
  const variety = new Set(password).size;
  if (variety < 5 || /^(?:\d+|(.{1,3})\1+)$/.test(password)) return 1;
  const score = password.length + kinds * 2 + variety / 2;
  return score >= 26 ? 3 : score >= 19 ? 2 : 1;
}

/** The strength as bar and word. */
export function strengthMeter(password) {
  const strength = strengthOf(password);
  return h("div", { class: "strength", "aria-live": "polite" },
    h("div", { class: `strength-bars strength-${password ? strength : "none"}`, "aria-hidden": "true" }, [1, 2, 3].map((step) =>
      h("span", { class: ["strength-bar", password && step <= strength && "strength-on"] }))),
    h("span", { class: "strength-text" }, password ? `${t("strength")}${t("colon")}${t(`strength.${strength}`)}` : t("hint", { n: MIN_PASSWORD })));
}

/** Ask for the old and a new one; `must`: somebody else has set it, and nothing works before it is changed. */
export async function changePassword({ must = false } = {}) {
  const done = await formDialog({
    title: () => t("title"), intro: must ? () => t("must") : null,
    fields: () => [
      { name: "old", label: t("old"), type: "password", required: true, autocomplete: "current-password" },
      { name: "new", label: t("new"), type: "password", required: true, autocomplete: "new-password", hint: t("hint", { n: MIN_PASSWORD }) },
      { name: "again", label: t("again"), type: "password", required: true, autocomplete: "new-password" },
    ],
    check: (values) => {
      if (values.new.length < MIN_PASSWORD) return { new: t("short", { n: MIN_PASSWORD }) };
      if (values.new === values.old) return { new: t("same") };
      return values.new === values.again ? {} : { again: t("different") };
    },
    save: async (values) => {
      await changeOwnPassword(values.old, values.new);
      return true;
    },
  });
  if (done) toast(t("saved"));
  return Boolean(done);
}

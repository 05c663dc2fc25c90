// When the session has expired in the middle of something: ask for the password without leaving the page.

import { formDialog } from "./dialog.js";
import { words } from "../lib/i18n.js";
import { currentSession, login, logout } from "../lib/session.js";

export const strings = {
  zh: { "title": "登录已过期", "intro": "请重新输入密码，页面内容不会丢失。", "user": "用户名", "password": "密码", "submit": "继续" },
  en: { "title": "Your session has expired", "intro": "Enter your password to go on; nothing on this page is lost.",
    "user": "Name", "password": "Password", "submit": "Go on" },
};
const t = words(strings);

let asking = null;

/** Ask once, however many requests were refused; rejects with the error if it is given up. */
export async function askAgain(error) {
  const who = currentSession();
  if (!who) throw error;
  asking ??= ask(who).finally(() => { asking = null; });
  if (!(await asking)) throw error;
}

async function ask(who) {
  const done = await formDialog({
    title: () => t("title"), intro: () => t("intro"), submit: t("submit"),
    fields: () => [
      { name: "user", label: t("user"), value: who.user, readonly: true, autocomplete: "username" },
      { name: "password", label: t("password"), type: "password", required: true, autofocus: true, autocomplete: "current-password" },
    ],
    save: async ({ password }) => login(who.user, password),
  });
  if (!done) await logout().catch(() => {});
  return Boolean(done);
}

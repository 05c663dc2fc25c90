// The menu of whoever is logged in: language, appearance, password, logout.

import { h } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { LANGUAGES, currentLanguage, setLanguage, words } from "../lib/i18n.js";
import { currentSession, isLocal, logout } from "../lib/session.js";
import { codes } from "../lib/codes.js";
import { segmented } from "../lib/ui.js";
import { currentTheme, setTheme } from "../lib/theme.js";
import { changePassword } from "./password.js";
import { toastError } from "./toast.js";

export const strings = {
  zh: { "label": "用户菜单：{user}", "password": "修改密码", "logout": "退出登录" },
  en: { "label": "User menu: {user}", "password": "Change password", "logout": "Log out" },
};
const t = words(strings);

/** A <details> that closes when focus or a click goes elsewhere. */
export function userMenu(update) {
  const who = currentSession();
  if (!who) return null;
  const role = isLocal(who) ? codes.code("role", who.role) : `${who.department} · ${codes.code("role", who.role)}`;
  const shut = (event) => {
    const menu = event.currentTarget.closest("details");
    menu.open = false;
    menu.querySelector("summary").focus();
  };
  return h("details", {
    class: "menu user-menu",
    onfocusout: (event) => {
      if (event.relatedTarget && !event.currentTarget.contains(event.relatedTarget)) event.currentTarget.open = false;
    },
    onkeydown: (event) => event.key === "Escape" && event.currentTarget.open && shut(event),
    ontoggle: (event) => {
      if (!event.currentTarget.open) return;
      const menu = event.currentTarget;
      const away = (click) => {
        if (menu.contains(click.target)) return;
        menu.open = false;
        document.removeEventListener("pointerdown", away);
      };
      document.addEventListener("pointerdown", away);
    },
  },
  h("summary", { class: "user-button", "aria-label": t("label", { user: who.user }) }, icon("user"),
    h("span", { class: "user-name" }, who.display_name || who.user), icon("down", { size: 14, class: "user-arrow" })),
  h("div", { class: "menu-panel" },
    h("div", { class: "menu-head" }, h("strong", null, who.display_name || who.user), who.display_name && h("span", null, who.user), h("span", null, role)),
    h("div", { class: "menu-section" }, h("span", { class: "menu-label" }, t("language")),
      segmented(Object.entries(LANGUAGES), currentLanguage(), setLanguage, { label: t("language") })),
    h("div", { class: "menu-section" }, h("span", { class: "menu-label" }, t("theme")),
      segmented(["system", "light", "dark"].map((id) => [id, t(`theme.${id}`)]), currentTheme(), (id) => {
        setTheme(id);
        update();
      }, { label: t("theme") })),
    h("div", { class: "menu-list" },
      h("button", { type: "button", class: "menu-item", onclick: (event) => {
        shut(event);
        changePassword();
      } }, icon("key", { size: 18 }), t("password")),
      h("button", { type: "button", class: "menu-item", onclick: () => logout().catch(toastError) },
        icon("logout", { size: 18 }), t("logout")))));
}

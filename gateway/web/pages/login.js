// <gb-login>: login, and the first-run set-up that makes the first administrator.

import { View, define, h } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { LANGUAGES, currentLanguage, setLanguage, words } from "../lib/i18n.js";
import { login, setUp } from "../lib/session.js";
import { button, field } from "../lib/ui.js";
import { ApiError } from "../lib/api.js";
import { formError } from "../components/dialog.js";
import { MIN_PASSWORD, strengthMeter, strengthOf } from "../components/password.js";

export const strings = {
  zh: {
    "product": "GB/T 28181 视频网关", "login.title": "登录", "name": "用户名", "password": "密码", "login": "登录",
    "setup.title": "首次设置", "setup.intro": "创建第一个管理员账号，之后用它登录。",
    "token": "管理员令牌", "token.hint": "网关首次启动时显示在终端中，只显示一次。", "again": "再次输入密码",
    "setup": "创建并登录", "different": "两次输入不一致", "short": "密码至少 {n} 个字符", "weak": "此密码太容易猜到",
    "show": "显示密码", "hide": "隐藏密码", "caps": "大写锁定已打开",
    "token.wrong": "管理员令牌不正确；请核对网关首次启动时显示的那一行", "token.lost": "令牌找不到了？", "token.lost.how": "停止网关，删除数据目录中的 admin.token.hash 后重新启动，终端会显示新的令牌。",
  },
  en: {
    "product": "GB/T 28181 gateway", "login.title": "Log in", "name": "Name", "password": "Password", "login": "Log in",
    "setup.title": "First-run set-up", "setup.intro": "Make the first administrator's account; from then on log in with it.",
    "token": "Admin token", "token.hint": "Shown once in the terminal when the gateway started for the first time.",
    "again": "Password again", "setup": "Create and log in", "different": "The two are not the same",
    "short": "A password has at least {n} characters", "weak": "This password is too easy to guess",
    "show": "Show password", "hide": "Hide password", "caps": "Caps Lock is on",
    "token.wrong": "This is not the admin token: compare it with what the first start showed", "token.lost": "Lost the token?", "token.lost.how": "Stop the gateway, delete admin.token.hash in its data directory and start it again: it shows a new one.",
  },
};
const t = words(strings);

class Login extends View {
  setup = false;
  version = "";
  #busy = false;
  #error = null;
  #fields = {};
  #password = "";
  #visible = false;
  #caps = false;

  start() {
    document.title = t("product");
    window.addEventListener("gb-language", () => this.update(), { signal: this.signal });
    this.addEventListener("keydown", (event) => {
      const caps = event.getModifierState?.("CapsLock") ?? false;
      if (caps !== this.#caps) {
        this.#caps = caps;
        this.update();
      }
    }, { signal: this.signal });
  }

  rendered() {
    if (!this.contains(document.activeElement)) this.querySelector("input")?.focus();
  }

  async #send(event) {
    event.preventDefault();
    if (this.#busy) return;
    const values = Object.fromEntries(new FormData(event.target));
    this.#error = null;
    this.#fields = this.setup ? this.#checked(values) : {};
    if (!Object.keys(this.#fields).length) {
      this.#busy = true;
      this.update();
      try {
        if (this.setup) await setUp(values.token.trim(), values.name.trim(), values.password);
        else await login(values.name.trim(), values.password);
        return;
      } catch (error) {
        const token = this.setup && error instanceof ApiError && error.code === "credential_wrong";
        this.#error = token ? null : error;
        this.#fields = token ? { token: t("token.wrong") } : error instanceof ApiError ? renamed(error.fields) : {};
      }
      this.#busy = false;
    }
    this.update();
    queueMicrotask(() => queueMicrotask(() =>
      (this.querySelector('[aria-invalid="true"]') || this.querySelector('[name="password"]'))?.focus()));
  }

  #checked(values) {
    const wrong = {};
    if (values.password.length < MIN_PASSWORD) wrong.password = t("short", { n: MIN_PASSWORD });
    else if (strengthOf(values.password) < 2) wrong.password = t("weak");
    if (values.password !== values.again) wrong.again = t("different");
    return wrong;
  }

  render() {
    return h("main", { class: "login" },
      h("div", { class: "login-card" },
        h("header", { class: "login-head" }, h("img", { src: "icon.svg", alt: "", width: 40, height: 40 }),
          h("div", null, h("p", { class: "login-product" }, t("product")),
            h("h1", { class: "page-title" }, t(this.setup ? "setup.title" : "login.title")))),
        this.setup && h("p", { class: "muted" }, t("setup.intro")),
        h("form", { class: "login-form", onsubmit: (event) => this.#send(event) },
          this.setup && this.#tokenField(),
          field({ label: t("name"), name: "name", required: true, autocomplete: "username", autocapitalize: "none", spellcheck: "false",
            maxlength: 64, error: this.#fields.name }),
          this.#passwordField(),
          this.setup && strengthMeter(this.#password),
          this.setup && field({ label: t("again"), name: "again", type: this.#visible ? "text" : "password", required: true,
            autocomplete: "new-password", error: this.#fields.again }),
          this.#error && formError(this.#error),
          button(t(this.setup ? "setup" : "login"), { type: "submit", kind: "primary", busy: this.#busy, class: "login-submit" })),
        this.setup && h("details", { class: "technical" }, h("summary", null, t("token.lost")), h("p", null, t("token.lost.how")))),
      h("footer", { class: "login-foot" },
        icon("globe", { size: 16 }),
        Object.entries(LANGUAGES).map(([id, name]) => h("button", {
          type: "button", class: "login-language", lang: id === "zh" ? "zh-CN" : "en", "aria-pressed": String(id === currentLanguage()),
          onclick: () => setLanguage(id),
        }, name)),
        this.version && h("span", { class: "login-version" }, `v${this.version}`)));
  }

  #tokenField() {
    return field({ label: t("token"), name: "token", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "none",
      class: "mono", hint: t("token.hint"), error: this.#fields.token });
  }

  #passwordField() {
    return field({
      label: t("password"), name: "password", type: this.#visible ? "text" : "password", required: true, maxlength: 256,
      autocomplete: this.setup ? "new-password" : "current-password", error: this.#fields.password, hint: this.#caps ? t("caps") : null,
      oninput: (event) => {
        this.#password = event.target.value;
        this.update();
      },
      suffix: h("button", {
        type: "button", class: "icon-button", "aria-label": t(this.#visible ? "hide" : "show"), title: t(this.#visible ? "hide" : "show"),
        "aria-pressed": String(this.#visible), onclick: () => this.#show(),
      }, icon("eye")),
    });
  }

  #show() {
    this.#visible = !this.#visible;
    // A change of type makes another field for morph(): the text is carried over by hand.
    for (const input of this.querySelectorAll('[name="password"], [name="again"]')) {
      input.type = this.#visible ? "text" : "password";
    }
    this.update();
  }
}

const FIELDS = { admin_token: "token" };
const renamed = (fields) => Object.fromEntries(Object.entries(fields).map(([name, words]) => [FIELDS[name] || name, words]));

define("gb-login", Login);

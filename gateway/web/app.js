// The web console: shell, navigation, router, session. Served as it is: ES modules, no build step, nothing from outside.
//
// CONVENTIONS
// Folders  app.js          this shell; nothing page-specific
//          lib/            element.js  h() builds DOM (text is always text; there is no way to pass markup), morph(), the
//                                      base class View (render(), update(), start(), stop(), on(), every(), signal), define()
//                          api.js      api.get/post/put/patch/delete -> JSON, ApiError with .words {title, hint} in the
//                                      reader's language; pass {signal: this.signal} so that leaving the page aborts
//                          session.js  currentSession(), may("operator" | "ptz" | ...), isLocal()
//                          i18n.js     words(strings) -> t(key, params), t.code(prefix, code); number, bytes, bitrate,
//                                      duration, dateTime, ago; common.js has words everybody uses (save, cancel ...)
//                          codes.js    words for the server's codes: codes.code("end", reason), remedy(code), said(code)
//                          route.js    link("devices", id, {tab}) -> href; go(href); pages get `.route`
//                          ui.js       stateless components: button, field, badge, status, empty, errorState, skeleton, facts,
//                                      card, pageHead, tabs, segmented, timeline, code (with diff), notice, figure, meter
//                          icons.js    icon(name); draw new ones on the same 24 x 24 grid
//          components/     custom elements and things that open: gb-table (pages), gb-list (100,000 rows), gb-tree,
//                          gb-stages, gb-since; dialog.js (formDialog, confirm, openDialog), toast.js
//          pages/NAME.js   one page each: `export default define("page-NAME", class extends View {...})`; entered in
//                          pages/index.js with its route, section and role (nothing else needs to know of it)
//          css/            tokens.css (colours, sizes; the only place with colour values), layout.css (shell),
//                          components.css, pages.css (what one page needs); further sheets go into index.html
// Words    every module that shows some has `export const strings = {zh: {...}, en: {...}}` with equal keys (a test
//          compares them). Never write a sentence into render(). Codes from the server get their words in lib/codes.js.
// Security CSP has no inline script or style and demands Trusted Types without any policy: no innerHTML, no style="..."
//          attributes (style: {...} of h() is fine), no eval, no new Worker(). Everything is same-origin.
// Manners  every list has loading, empty and error states; errors say what to do; status is never colour alone;
//          destructive acts ask (confirm({danger: true})); forms are formDialog or <form onsubmit>; polls use this.every()
//          (paused while hidden); a poll that fails keeps what is shown. Keyboard: real buttons and links, focus visible.
//          Width 360 px must do without a horizontal scroll bar. Touch targets >= 40 px on coarse pointers.

import { View, define, h, morph } from "./lib/element.js";
import { icon } from "./lib/icons.js";
import { currentLanguage, setLanguage, words } from "./lib/i18n.js";
import { api, useSession } from "./lib/api.js";
import { currentSession, loadSession, logout, may } from "./lib/session.js";
import { currentRoute, go, link, matched } from "./lib/route.js";
import { empty, errorState, iconButton, linkButton } from "./lib/ui.js";
import { groups, pages, strings as pageStrings } from "./pages/index.js";
import { changePassword } from "./components/password.js";
import { askAgain } from "./components/relogin.js";
import { userMenu } from "./components/user-menu.js";
import "./components/quick-find.js";
import "./components/since.js";

export const strings = {
  zh: { "title": "GB/T 28181 视频网关", "menu.open": "打开导航", "menu.close": "关闭导航", "brand": "视频网关",
    "page.failed": "页面没有加载成功", "page.failed.hint": "网关可能刚刚更新，请刷新页面。", "reload": "刷新页面" },
  en: { "title": "GB/T 28181 gateway", "menu.open": "Open navigation", "menu.close": "Close navigation", "brand": "Video gateway",
    "page.failed": "The page did not load", "page.failed.hint": "The gateway may just have been updated: reload the page.",
    "reload": "Reload" },
};
const t = words(strings);
const nav = words(pageStrings);

/** Holds the page: an element of its own, so that renderings of the shell never move what plays in the page. */
class Outlet extends HTMLElement {
  #content = null;

  set content(node) {
    this.#content = node;
    if (this.isConnected) this.connectedCallback();
  }

  connectedCallback() {
    if (this.#content && this.firstChild !== this.#content) this.replaceChildren(this.#content);
  }
}

define("gb-outlet", Outlet);

class App extends View {
  #state = "starting"; // starting, setup, login, ready, offline
  #error = null;
  #facts = { version: "", setup_required: false };
  #menu = false;
  #page = { entry: null, type: null, failed: false, element: null };

  start() {
    window.addEventListener("hashchange", () => this.#route(), { signal: this.signal });
    window.addEventListener("gb-language", () => this.#rebuild(), { signal: this.signal });
    window.addEventListener("gb-session", () => this.#sessionChanged(), { signal: this.signal });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#menu) this.#toggleMenu(false);
    }, { signal: this.signal });
    useSession({ relogin: askAgain });
    this.#begin();
  }

  async #begin() {
    try {
      this.#facts = await api.get("console", { quiet: true });
      if (this.#facts.setup_required) this.#show("setup");
      else if (await loadSession()) this.#show("ready");
      else this.#show("login");
    } catch (error) {
      this.#error = error;
      this.#show("offline");
      setTimeout(() => this.#state === "offline" && this.#begin(), 5_000);
    }
  }

  async #show(state) {
    if (state === "setup" || state === "login") await import("./pages/login.js");
    this.#state = state;
    if (state === "ready" && currentSession().must_change_password) {
      if (!(await changePassword({ must: true }))) {
        await logout();
        return;
      }
    }
    if (state === "ready") this.#route();
    this.update();
  }

  #sessionChanged() {
    const session = currentSession();
    if (!session && this.#state === "ready") {
      this.#page = { entry: null, type: null, failed: false, element: null };
      this.#show("login");
    } else if (session && this.#state !== "ready" && this.#state !== "starting") {
      this.#facts.setup_required = false;
      this.#show("ready");
    } else this.update();
  }

  async #route() {
    if (this.#state !== "ready") return;
    const route = currentRoute();
    if (!route.segments.length) {
      go(link(this.#home()), { replace: true });
      return;
    }
    let params = null;
    const entry = pages.find((item) => (params = matched(item.path, route.segments))) || null;
    route.params = params || {};
    this.#menu = false;
    if (entry && entry === this.#page.entry && this.#page.element) {
      this.#page.element.route = route;
      this.#page.element.routed?.();
      this.update();
      return;
    }
    this.#page = { entry, type: null, failed: false, element: null };
    if (entry?.load && may(entry.role)) {
      try {
        const type = (await entry.load()).default;
        if (this.#page.entry !== entry) return;
        const element = new type();
        element.route = { ...currentRoute(), params: matched(entry.path, currentRoute().segments) || route.params };
        this.#page = { entry, type, failed: false, element };
      } catch (error) {
        console.error(error);
        if (this.#page.entry === entry) this.#page.failed = true;
      }
    }
    this.update();
    this.#announce();
  }

  #home() {
    return pages.find((item) => item.menu && item.load && may(item.role))?.path || "overview";
  }

  #announce() {
    const title = this.#page.entry ? nav(`nav.${this.#page.entry.nav}`) : t("notfound.title");
    document.title = `${title} · ${t("title")}`;
    document.getElementById("main")?.scrollTo(0, 0);
  }

  /** After a change of language: everything anew, the page with its address. */
  #rebuild() {
    if (this.#page.type) {
      const element = new this.#page.type();
      element.route = this.#page.element.route;
      this.#page.element = element;
    }
    morph(this);
    this.update();
    this.#announce();
  }

  #toggleMenu(open) {
    this.#menu = open;
    this.update();
    queueMicrotask(() => queueMicrotask(() =>
      this.querySelector(open ? ".side a" : ".menu-button")?.focus()));
  }

  render() {
    document.body.classList.toggle("menu-open", this.#menu);
    if (this.#state === "starting") return h("div", { class: "boot", "aria-busy": "true" });
    if (this.#state === "offline") {
      return h("main", { class: "boot" }, errorState(this.#error, { retry: () => this.#begin() }));
    }
    if (this.#state !== "ready") {
      return h("gb-login", { key: this.#state, ".setup": this.#state === "setup", ".version": this.#facts.version });
    }
    return [
      h("a", { class: "skip", href: "#main", onclick: (event) => {
        event.preventDefault();
        document.getElementById("main").focus();
      } }, t("app.skip")),
      this.#bar(),
      this.#side(),
      this.#menu && h("div", { class: "side-shade", onclick: () => this.#toggleMenu(false) }),
      h("main", { class: "main", id: "main", tabindex: "-1", key: "main" }, this.#content()),
    ];
  }

  #bar() {
    return h("header", { class: "bar" },
      iconButton("menu", t(this.#menu ? "menu.close" : "menu.open"), {
        class: "menu-button", "aria-expanded": String(this.#menu), "aria-controls": "side", onclick: () => this.#toggleMenu(!this.#menu),
      }),
      h("a", { class: "brand", href: link(this.#home()) }, h("img", { src: "icon.svg", alt: "", width: 26, height: 26 }),
        h("span", null, t("brand"))),
      may("catalog") ? h("gb-quick-find", { class: "bar-find" }) : h("span", { class: "bar-find" }),
      h("div", { class: "bar-tools" },
        h("button", {
          type: "button", class: "icon-button bar-language", "aria-label": currentLanguage() === "zh" ? "English" : "中文",
          title: currentLanguage() === "zh" ? "English" : "中文", lang: currentLanguage() === "zh" ? "en" : "zh-CN",
          onclick: () => setLanguage(currentLanguage() === "zh" ? "en" : "zh"),
        }, currentLanguage() === "zh" ? "EN" : "中"),
        userMenu(() => this.update())));
  }

  #side() {
    const current = this.#page.entry?.nav;
    const seen = pages.filter((item) => item.menu && item.load && may(item.role));
    return h("nav", { class: ["side", this.#menu && "side-shown"], id: "side", "aria-label": nav("nav.label") },
      groups.map((group) => {
        const items = seen.filter((item) => item.group === group);
        return items.length ? h("div", { class: "side-group" }, h("div", { class: "side-head" }, nav(`group.${group}`)),
          h("ul", { class: "side-list" }, items.map((item) => h("li", null, h("a", {
            class: "side-link", href: link(item.path), "aria-current": item.nav === current ? "page" : null,
          }, icon(item.icon), h("span", null, nav(`nav.${item.nav}`))))))) : null;
      }),
      h("div", { class: "side-foot" }, this.#facts.version && `v${this.#facts.version}`));
  }

  #content() {
    const { entry, element, failed } = this.#page;
    if (failed) {
      return h("div", { class: "page" }, empty({
        title: t("page.failed"), hint: t("page.failed.hint"), icon: "warning",
        action: linkButton(t("reload"), location.href, { icon: "refresh", onclick: () => location.reload() }),
      }));
    }
    if (element) return h("gb-outlet", { ".content": element, class: "outlet" });
    if (entry?.load && may(entry.role)) return h("div", { class: "page", "aria-busy": "true" });
    return h("div", { class: "page" }, empty({
      title: t("notfound.title"), hint: t("notfound.hint"), icon: "search",
      action: linkButton(t("notfound.go"), link(this.#home())),
    }));
  }
}

define("gb-app", App);

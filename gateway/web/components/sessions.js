// <gb-sessions .query={device_id, channel_id}>: sessions, running ones first, each with its stages.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { number, words } from "../lib/i18n.js";
import { link } from "../lib/route.js";
import { button, empty, errorState, segmented, skeleton } from "../lib/ui.js";
import { sessionState, showSession } from "./session.js";
import { since } from "./since.js";
import { stages } from "./stages.js";

export const strings = {
  zh: { "all": "全部", "running": "进行中", "failed": "失败", "filter": "会话", "none": "没有会话", "none.hint": "有人观看时这里会出现会话和它的各个阶段。",
    "details": "诊断", "viewers": "{n} 人观看", "sub": "子码流", "shown": "显示最近 {shown} 个，共 {total} 个", "more": "显示更多" },
  en: { "all": "All", "running": "Running", "failed": "Failed", "filter": "Sessions", "none": "No sessions",
    "none.hint": "When somebody watches, the session and its stages appear here.", "details": "Diagnose", "viewers": "viewers: {n}",
    "sub": "sub stream", "shown": "The latest {shown} of {total}", "more": "Show more" },
};
const t = words(strings);

const EVERY = 4_000; // milliseconds
const PAGE = 20;

export class Sessions extends View {
  #query = {};
  #state = "";
  #limit = PAGE;
  #items = null;
  #total = 0;
  #error = null;
  withChannel = true;

  set query(value) {
    if (JSON.stringify(value) === JSON.stringify(this.#query)) return;
    this.#query = value;
    this.#items = null;
    if (this.isConnected) this.#load();
  }

  start() {
    this.every(EVERY, () => this.#load());
  }

  async #load() {
    try {
      const answer = await api.get("sessions", { query: { ...this.#query, state: this.#state, limit: this.#limit }, signal: this.signal });
      this.#items = answer.items;
      this.#total = answer.total;
      this.#error = null;
    } catch (error) {
      if (isAbort(error)) return;
      if (this.#items === null) this.#error = error;
    }
    this.update();
  }

  #choose(state) {
    this.#state = state;
    this.#limit = PAGE;
    this.#load();
    this.update();
  }

  render() {
    const head = h("div", { class: "row row-wrap" }, segmented([["", t("all")], ["running", t("running")], ["failed", t("failed")]], this.#state,
      (id) => this.#choose(id), { label: t("filter") }));
    if (this.#error) return [head, errorState(this.#error, { retry: () => this.#load() })];
    if (this.#items === null) return [head, skeleton(5)];
    if (!this.#items.length) return [head, empty({ title: t("none"), hint: t("none.hint"), icon: "play" })];
    return [head, h("ul", { class: "sessions" }, this.#items.map((item) => this.#one(item))),
      this.#total > this.#items.length && h("div", { class: "row row-wrap" },
        h("span", { class: "muted" }, t("shown", { shown: number(this.#items.length), total: number(this.#total) })),
        button(t("more"), { small: true, onclick: () => {
          this.#limit = Math.min(1000, this.#limit + 50);
          this.#load();
        } }))];
  }

  #one(session) {
    return h("li", { class: "session", key: session.session_id },
      h("div", { class: "session-head" },
        sessionState(session),
        this.withChannel && h("a", { class: "mono", href: link("channels", session.device_id, session.channel_id) }, session.channel_id),
        session.stream ? h("span", { class: "muted" }, t("sub")) : null,
        session.viewers > 0 && h("span", { class: "muted" }, t("viewers", { n: session.viewers })),
        h("span", { class: "session-when" }, since(session.created_at)),
        button(t("details"), { small: true, kind: "ghost", onclick: () => showSession(session.session_id) })),
      stages(session));
  }
}

define("gb-sessions", Sessions);

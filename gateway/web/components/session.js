// One session of a camera: its stages, why it failed, the likely causes and what to do about them.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { codes } from "../lib/codes.js";
import { dateTime, duration, either, words } from "../lib/i18n.js";
import { link } from "../lib/route.js";
import { isLocal, may } from "../lib/session.js";
import { badge, button, errorState, facts, notice, skeleton } from "../lib/ui.js";
import { confirm, openDialog } from "./dialog.js";
import { since } from "./since.js";
import { stages } from "./stages.js";

export const strings = {
  zh: { "title": "会话诊断", "causes": "可能的原因，最可能的在前", "observed": "观察到的情况", "id": "会话", "channel": "通道", "stream": "码流",
    "main": "主码流", "sub": "子码流", "transport": "传输", "began": "开始", "ended": "结束", "lasted": "历时", "viewers": "观看者", "remarks": "已容忍的偏差",
    "ssrc": "SSRC", "ssrc.offered": "提供 {value}", "ssrc.answered": "应答 {value}", "ssrc.received": "收到 {value}", "call": "Call-ID",
    "stop": "停止此会话", "stop.title": "停止此会话？", "stop.text": "所有正在观看此通道的人都会中断。", "todo": "处理办法" },
  en: { "title": "Diagnosis of a session", "causes": "Likely causes, the most likely first", "observed": "What was seen", "id": "Session",
    "channel": "Channel", "stream": "Stream", "main": "Main", "sub": "Sub", "transport": "Transport", "began": "Began", "ended": "Ended",
    "lasted": "Lasted", "viewers": "Viewers", "remarks": "Deviations tolerated", "ssrc": "SSRC", "ssrc.offered": "offered {value}",
    "ssrc.answered": "answered {value}", "ssrc.received": "received {value}", "call": "Call-ID", "stop": "Stop this session",
    "stop.title": "Stop this session?", "stop.text": "Everybody who watches this channel is cut off.", "todo": "What to do" },
};
const t = words(strings);

const TONE = { running: "good", inviting: "info", idle: "info", closing: "neutral", ended: "neutral" };

/** The state of a session as a badge. */
export function sessionState(session) {
  if (session.ended?.failure) return badge(codes.code("end", session.ended.reason), "bad");
  if (session.ended) return badge(codes.code("end", session.ended.reason), "neutral");
  return badge(codes.code("state", session.state), TONE[session.state] || "neutral");
}

/** <gb-session .sessionId=...>: everything about one session. */
export class Session extends View {
  sessionId = "";
  #session = null;
  #diagnosis = null;
  #error = null;

  start() {
    this.every(3_000, () => this.#load());
  }

  async #load() {
    if (this.#session?.ended && this.#diagnosis) return;
    try {
      this.#session = await api.get(`sessions/${encodeURIComponent(this.sessionId)}`, { signal: this.signal });
      if (this.#session.ended?.failure && isLocal()) {
        this.#diagnosis = await api.post("doctor/explain", { session_id: this.sessionId }, { signal: this.signal });
      }
    } catch (error) {
      if (isAbort(error)) return;
      if (!this.#session) this.#error = error;
    }
    this.update();
  }

  render() {
    if (this.#error) return errorState(this.#error, { compact: true });
    const session = this.#session;
    if (!session) return skeleton(6);
    const ssrc = Object.entries(session.ssrc).filter(([, value]) => value);
    const end = session.ended_at ? (new Date(session.ended_at) - new Date(session.created_at)) / 1000 : null;
    return h("div", { class: "stack" },
      stages(session),
      this.#diagnosis && this.#causes(this.#diagnosis),
      facts([
        [t("channel"), h("a", { href: link("channels", session.device_id, session.channel_id), class: "mono" }, session.channel_id)],
        [t("stream"), session.stream ? t("sub") : t("main")],
        [t("transport"), codes.code("transport", session.transport)],
        [t("began"), h("span", null, dateTime(session.created_at), " (", since(session.created_at), ")")],
        session.ended_at && [t("ended"), dateTime(session.ended_at)],
        end !== null && [t("lasted"), duration(end)],
        [t("viewers"), String(session.viewers)],
        ssrc.length && [t("ssrc"), h("span", { class: "mono" }, ssrc.map(([name, value]) => t(`ssrc.${name}`, { value })).join(" · "))],
        [t("id"), h("span", { class: "mono" }, session.session_id)],
        session.call_id && [t("call"), h("span", { class: "mono" }, session.call_id)],
      ]),
      session.remarks.length ? notice(session.remarks.join(" · "), "warn", { title: t("remarks") }) : null,
      !session.ended && may("operator") ? h("div", { class: "row" }, button(t("stop"), { icon: "stop", onclick: () => stop(session) })) : null);
  }

  #causes(found) {
    return [
      found.observations.length ? h("div", { class: "stack-tight" }, h("h3", { class: "small-title" }, t("observed")),
        h("ul", { class: "bullets" }, found.observations.map((item) => h("li", null, either(item))))) : null,
      found.causes.length ? h("div", { class: "stack-tight" }, h("h3", { class: "small-title" }, t("causes")),
        h("ol", { class: "causes" }, found.causes.map((item) => h("li", null, h("p", { class: "cause" }, either(item.cause)),
          h("p", { class: "remedy" }, h("span", { class: "visually-hidden" }, t("todo"), " "), either(item.remedy)))))) : null,
    ];
  }
}

define("gb-session", Session);

async function stop(session) {
  await confirm({
    title: t("stop.title"), text: t("stop.text"), yes: t("stop"), danger: true,
    act: () => api.delete(`sessions/${encodeURIComponent(session.session_id)}`),
  });
}

/** Show a session over the page. */
export function showSession(sessionId) {
  return openDialog({
    title: () => t("title"), wide: true,
    render: () => h("div", { class: "dialog-body" }, h("gb-session", { ".sessionId": sessionId })),
  });
}

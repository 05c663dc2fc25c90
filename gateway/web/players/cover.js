// What stands over (or instead of) a picture: what is being done, or why there is none and since when.

import { stagesOf } from "../components/stages.js";
import { codes, remedy, said } from "../lib/codes.js";
import { h } from "../lib/element.js";
import { duration, timeOfDay } from "../lib/i18n.js";
import { lastReason } from "./desk.js";

const QUOTED = new Set(["browser_codec", "page_error"]); // the sentence is part of the reason's words
const ASKED = new Set(["purpose_required", "ticket_required"]);

/** Whether the policy wants to be told something first. */
export const isQuestion = (error) => ASKED.has(error.code);

/** @param {import("./video.js").GbVideo} video */
export function cover(video, t) {
  const { state } = video;
  switch (state.phase) {
    case "idle":
    case "stopped":
      return video.channel ? quiet(video, t) : null;
    case "asking":
    case "connecting":
      return busy(video, state, t);
    default:
      return isQuestion(state.error)
        ? questionForm(state.error, video.viewing.desk.reason, (reason) => video.viewing.explain(reason), t)
        : failure(video, state, t);
  }
}

function quiet(video, t) {
  return h("div", { class: "gbv-cover" },
    h("button", { type: "button", class: "button", onclick: () => video.play() }, t("act.play")));
}

function busy(video, state, t) {
  let text = t("play.asking");
  if (state.phase === "connecting") text = t("play.connecting", { path: state.way.label });
  else if (state.stage) text = t("play.camera", { stage: codes.code("stage", state.stage) });
  return h("div", { class: ["gbv-cover", video.hasPicture && "gbv-over-still"], role: "status" },
    h("span", { class: "gbv-spinner", "aria-hidden": "true" }),
    h("p", { class: "gbv-doing" }, text),
    state.had ? sinceLine(state, t) : null);
}

function failure(video, state, t) {
  const { error } = state;
  const advice = t.has(`do.${error.code}`) ? t(`do.${error.code}`) : remedy(error.code);
  const title = state.phase === "lost" ? t("play.lost") : t("play.none");
  return h("div", {
    class: ["gbv-cover", "gbv-failure", video.hasPicture && "gbv-over-still"], role: "alert", "data-code": error.code,
  },
    h("p", { class: "gbv-title" }, title),
    h("p", { class: "gbv-reason" }, reasonOf(error, t)),
    advice ? h("p", { class: "gbv-detail" }, advice) : null,
    error.detail && !QUOTED.has(error.code)
      ? h("p", { class: "gbv-detail gbv-said", lang: "en", title: error.detail }, error.detail) : null,
    sinceLine(state, t),
    state.session && explains(state.session, error) ? stagesLine(state.session, t) : null,
    error.attempts.length ? attempts(error, t) : null,
    h("div", { class: "gbv-next" },
      h("button", { type: "button", class: "button button-small", onclick: () => video.retry() },
        t(state.nextAt ? "play.retry" : "play.again")),
      h("span", null, state.nextAt
        ? t("play.next", { n: Math.max(0, Math.ceil((state.nextAt - Date.now()) / 1000)) }) : t("play.no_retry"))));
}

/** How far the camera came: the diagram, and the missing stage in words. */
function stagesLine(session, t) {
  const missing = stagesOf(session).find((item) => item.state === "failed");
  return [
    h("gb-stages", { class: "gbv-stages", ".session": session }),
    missing ? h("p", { class: "gbv-stuck" }, t("play.stuck", { stage: codes.code("stage", missing.stage) })) : null,
  ];
}

/** Whether the camera's session tells more about the failure: not when policy or browser is the cause. */
function explains(session, error) {
  return session.session_id === error.sessionId || Boolean(session.ended && session.ended.reason === error.code);
}

function sinceLine(state, t) {
  const seconds = Math.max(0, Math.floor((Date.now() - state.since) / 1000));
  return h("p", { class: "gbv-since" },
    t("play.since", { time: timeOfDay(state.since), for: duration(seconds < 1 ? 1 : seconds) }));
}

function attempts(error, t) {
  return h("details", { class: "gbv-attempts" },
    h("summary", null, t("play.tried")),
    h("ul", null, error.attempts.map((item) => h("li", null, `${t(`path.${item.path}`)}: ${reasonOf(item, t)}`))));
}

/** The reason in the reader's language. */
export function reasonOf(error, t) {
  return t.has(`reason.${error.code}`) ? t(`reason.${error.code}`, { detail: error.detail }) : said(error.code);
}

/** A form for what the policy demands to be said; `explain` gets {purpose, ticket}. */
export function questionForm(error, given, explain, t) {
  const wanted = error.code === "ticket_required" ? "ticket" : "purpose";
  const submit = (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    const reason = { purpose: String(data.get("purpose")).trim(), ticket: String(data.get("ticket")).trim() };
    Object.assign(lastReason, reason);
    explain(reason);
  };
  const field = (name, longest) => h("label", { class: "gbv-field" }, h("span", null, t(`play.${name}`)),
    h("input", {
      class: "input", name, type: "text", maxlength: longest, autocomplete: "off", required: name === wanted,
      value: given[name] || lastReason[name],
    }));
  return h("div", { class: "gbv-cover gbv-question", role: "group", "data-code": error.code },
    h("form", { onsubmit: submit },
      h("p", { class: "gbv-title" }, reasonOf(error, t)),
      h("p", { class: "gbv-detail" }, t("play.purpose_why")),
      field("purpose", 200), field("ticket", 64),
      h("button", { type: "submit", class: "button button-primary button-small" }, t("play.purpose_ok"))));
}

// What stands over a recording's picture.

import { remedy } from "../lib/codes.js";
import { h } from "../lib/element.js";
import { isQuestion, questionForm, reasonOf } from "./cover.js";

/** @param {import("./playback.js").GbPlayback} playback */
export function playbackCover(playback, t) {
  const { phase, error } = playback;
  switch (phase) {
    case "idle":
      return h("div", { class: "gbv-cover" }, h("p", { class: "gbv-doing" }, t("back.idle")));
    case "loading":
      return h("div", { class: "gbv-cover", role: "status" }, h("span", { class: "gbv-spinner", "aria-hidden": "true" }),
        h("p", { class: "gbv-doing" }, t("back.loading")));
    case "ended":
      return h("div", { class: "gbv-cover gbv-over-still", role: "status" }, h("p", { class: "gbv-title" }, t("back.ended")),
        h("button", { type: "button", class: "button button-small", onclick: () => playback.toggle() }, t("back.on")));
    case "failed":
      if (isQuestion(error)) return questionForm(error, playback.reason, (reason) => playback.explain(reason), t);
      return h("div", { class: "gbv-cover gbv-failure", role: "alert", "data-code": error.code },
        h("p", { class: "gbv-title" }, t("play.none")), h("p", { class: "gbv-reason" }, reasonOf(error, t)),
        remedy(error.code) ? h("p", { class: "gbv-detail" }, remedy(error.code)) : null,
        error.detail && error.code !== "browser_codec" ? h("p", { class: "gbv-detail gbv-said" }, error.detail) : null,
        h("div", { class: "gbv-next" }, h("button", {
          type: "button", class: "button button-small", onclick: () => playback.open(playback.instant || new Date()),
        }, t("play.retry"))));
    default:
      return null;
  }
}

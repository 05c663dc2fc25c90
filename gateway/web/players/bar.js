// The bar of buttons over a picture.

import { h } from "../lib/element.js";
import { icon } from "../lib/icons.js";

/** @param {import("./video.js").GbVideo} video */
export function bar(video, t) {
  const playing = video.state.phase === "playing";
  const silent = playing && video.hasAudio === false;
  const sound = t(silent ? "act.no_sound" : video.muted ? "act.unmute" : "act.mute");
  const full = document.fullscreenElement === video;
  return h("div", { class: "gbv-bar", role: "group" },
    h("div", { class: "gbv-sound" },
      button(video.muted || silent ? "mute" : "sound", sound, () => video.toggleSound(), {
        disabled: silent, "aria-pressed": String(!video.muted), "data-act": "sound",
      }),
      video.muted || silent ? null : h("input", {
        type: "range", class: "gbv-volume", min: 0, max: 1, step: 0.05, "aria-label": t("act.volume"),
        ".value": String(video.volume), oninput: (event) => video.setVolume(Number(event.target.value)),
      }),
      video.muted || silent ? null : h("span", {
        class: "gbv-level", role: "meter", "aria-label": t("act.level"), "aria-valuemin": 0, "aria-valuemax": 100,
        "aria-valuenow": 0,
      })),
    h("span", { class: "gbv-space" }),
    video.extras ? video.extras() : null,
    button("snapshot", t("act.snapshot"), () => void video.snapshot(), { "data-act": "snapshot" }),
    button("info", t("act.stats"), () => video.toggleStats(), {
      "aria-pressed": String(Boolean(video.wantsStats)), "data-act": "stats",
    }),
    document.pictureInPictureEnabled && playing
      ? button("pip", t("act.pip"), () => video.togglePip(), { class: "gbv-button gbv-rare", "data-act": "pip" }) : null,
    button("fullscreen", t(full ? "act.fullscreen_off" : "act.fullscreen"), () => video.toggleFullscreen(), {
      "data-act": "fullscreen",
    }));
}

/** A button of the bar; `label` is read out and shown as its title. */
export function button(name, label, onclick, props = {}) {
  return h("button", { type: "button", class: "gbv-button", title: label, "aria-label": label, onclick, ...props },
    icon(name, { size: 18 }));
}

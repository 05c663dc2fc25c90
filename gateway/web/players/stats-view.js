// The table of figures over a picture.

import { h } from "../lib/element.js";
import { bitrate, duration, number } from "../lib/i18n.js";

/** @param {object} figures From StatsReader. */
export function statsTable(figures, t) {
  const rows = [
    ["path", figures.way],
    ["video", figures.video || "–"],
    ["audio", figures.audio || "–"],
    ["size", figures.width ? `${figures.width} × ${figures.height}` : "–"],
    ["fps", figures.fps === null ? "–" : number(figures.fps, 1)],
    ["rate", bitrate(figures.kbps)],
    ["delay", figures.delay === null ? "–" : `≈ ${duration(figures.delay)}`],
    figures.lost === null ? null : ["lost", number(figures.lost)],
    figures.dropped === null ? null : ["dropped", number(figures.dropped)],
  ];
  return h("dl", { class: "gbv-stats" }, rows.filter(Boolean).map(([key, value]) => [
    h("dt", null, t(`stat.${key}`)), h("dd", { "data-stat": key }, value),
  ]));
}

// <gb-tile>: one place of the wall: name, state and the picture of its channel; takes what is dropped on it.

import { View, define, h } from "../lib/element.js";
import { timeOfDay } from "../lib/i18n.js";
import { button } from "../players/bar.js";
import "../players/video.js";
import { DRAG, dragged, t } from "./live-words.js";

const TONE = { playing: "good", lost: "bad", failed: "bad", asking: "warn", connecting: "warn" };

/** Events: gb-tile-drop {cell, from}; everything else the wall hears by itself. */
export class Tile extends View {
  #cell = null;
  place = 0;
  way = "auto";
  focused = false;
  big = false;
  canPtz = false;
  ptz = false;
  act = () => {};
  #over = false;

  set cell(value) {
    const same = value && this.#cell && value.device === this.#cell.device && value.channel === this.#cell.channel;
    this.#cell = value;
    if (this.isConnected) this.update();
    if (!same) this.state = null;
  }

  get cell() {
    return this.#cell;
  }

  /** The player, if there is a channel. */
  get video() {
    return this.querySelector("gb-video");
  }

  start() {
    const { signal } = this;
    this.addEventListener("gb-video-state", () => this.update(), { signal });
    this.addEventListener("dragover", (event) => this.#dragOver(event), { signal });
    this.addEventListener("dragleave", (event) => {
      if (!this.contains(event.relatedTarget)) this.#lit(false);
    }, { signal });
    this.addEventListener("drop", (event) => this.#drop(event), { signal });
  }

  #dragOver(event) {
    if (![...event.dataTransfer.types].includes(DRAG)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "move";
    this.#lit(true);
  }

  #drop(event) {
    this.#lit(false);
    const what = dragged(event);
    if (!what) return;
    event.preventDefault();
    this.act("drop", this.place, what);
  }

  #lit(over) {
    if (this.#over === over) return;
    this.#over = over;
    this.update();
  }

  #status(state) {
    const { phase } = state;
    const text = t(`phase.${phase}`);
    const since = phase === "playing" || phase === "lost" || phase === "failed"
      ? t("since", { time: timeOfDay(state.since, { seconds: phase !== "playing" }) }) : "";
    return h("span", { class: ["tile-status", `tile-${TONE[phase] || "neutral"}`] },
      h("span", { class: "status-dot", "aria-hidden": "true" }), h("span", { class: "tile-state" }, text),
      since ? h("span", { class: "tile-since" }, since) : null);
  }

  #extras() {
    return [
      this.canPtz ? button("ptz", t("ptz"), () => this.act("ptz", this.place),
        { "data-act": "ptz", "aria-pressed": String(this.ptz) }) : null,
      button(this.big ? "shrink" : "enlarge", t(this.big ? "smaller" : "bigger"), () => this.act("big", this.place),
        { "data-act": "big" }),
    ];
  }

  render() {
    const cell = this.#cell;
    this.classList.toggle("tile-focused", this.focused);
    this.classList.toggle("tile-over", this.#over);
    if (!cell) {
      return h("div", { class: "tile-empty", key: "empty" },
        h("span", { class: "tile-number", "aria-hidden": "true" }, this.place + 1), h("span", null, t("empty")));
    }
    const state = this.video ? this.video.state : { phase: "idle" };
    const name = cell.name || cell.channel;
    return [
      h("div", {
        class: "tile-head dark", key: "head", draggable: "true", title: `${name}\n${cell.device}/${cell.channel}`,
        ondragstart: (event) => {
          event.dataTransfer.setData(DRAG, JSON.stringify({ ...cell, from: this.place }));
          event.dataTransfer.effectAllowed = "move";
        },
      },
        h("span", { class: "tile-name" }, name), this.#status(state),
        button("close", t("remove", { name }), () => this.act("remove", this.place), { class: "gbv-button tile-close" })),
      h("gb-video", {
        class: "tile-video", key: `${cell.device}/${cell.channel}/${this.way}`, ".device": cell.device, ".channel": cell.channel,
        ".name": name, ".way": this.way, ".autoplay": true, ".extras": () => this.#extras(),
      }),
    ];
  }

  rendered() {
    // The bar shows whether PTZ is on, which the tile knows.
    this.video?.update();
  }
}

define("gb-tile", Tile);

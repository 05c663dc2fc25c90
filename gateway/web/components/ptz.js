// <gb-ptz>: moves a camera: 8 directions, zoom, focus, iris, presets. Moves while pressed.
//
//   h("gb-ptz", {".target": {device, channel, name, ptzType}, ".why": () => ({purpose, ticket}), ".keys": true})
//
// keys   true while arrows, + and - anywhere on the page move the camera; the page forwards them by key(event).

import { api } from "../lib/api.js";
import { farewell } from "../lib/farewell.js";
import { View, define, h, newId } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { words } from "../lib/i18n.js";
import { may } from "../lib/session.js";
import { button, notice } from "../lib/ui.js";
import { confirm, formDialog } from "./dialog.js";
import { PtzDrive, directionOf, isPtzKey, speedsOf } from "./ptz-drive.js";
import { strings } from "./ptz-text.js";
import { toast } from "./toast.js";

export { strings };
const t = words(strings);

const FIXED = 3; // PTZType of the catalogue: a fixed camera (GB/T 28181 A.2.1)
const PRESETS = 255;
const QUICK = [1, 2, 3, 4, 5, 6, 7, 8];
const PAD = [
  ["up_left", [-1, 1, 0]], ["up", [0, 1, 0]], ["up_right", [1, 1, 0]],
  ["left", [-1, 0, 0]], ["halt", null], ["right", [1, 0, 0]],
  ["down_left", [-1, -1, 0]], ["down", [0, -1, 0]], ["down_right", [1, -1, 0]],
];
const ASKED = new Set(["purpose_required", "ticket_required"]);
let speed = remembered();

function remembered() {
  try { return Math.min(10, Math.max(1, Number(localStorage.getItem("gb.ptz.speed")) || 5)); } catch { return 5; }
}

export class Ptz extends View {
  #target = null;
  #drive = null;
  #down = new Set();
  #held = null;
  #error = null;
  #anyway = false;
  #preset = "1";
  why = () => ({});
  keys = false;

  set target(value) {
    const same = value && this.#target && value.device === this.#target.device && value.channel === this.#target.channel;
    if (!same && this.#target) this.#release();
    if (!same) {
      this.#anyway = false;
      this.#error = null;
    }
    this.#target = value;
    if (this.isConnected) this.update();
  }

  start() {
    const { signal } = this;
    this.#drive = new PtzDrive((body, options) => this.#send(body, options), (error, wasStop) => this.#result(error, wasStop));
    const release = () => this.#release();
    window.addEventListener("blur", release, { signal });
    document.addEventListener("visibilitychange", () => document.hidden && release(), { signal });
    window.addEventListener("pagehide", () => this.#drive.abandon(), { signal });
    window.addEventListener("pointerup", release, { signal });
    window.addEventListener("pointercancel", release, { signal });
  }

  stop() {
    this.#down.clear();
    this.#held = null;
    this.#drive.abandon();
  }

  /** Take a key of the page (keydown or keyup); whether it was one for the camera. */
  key(event) {
    if (!isPtzKey(event.key) || this.#reason()) return false;
    if (event.type === "keydown" && (event.ctrlKey || event.metaKey || event.altKey)) return false;
    if (event.repeat) return true;
    if (event.type === "keydown") this.#down.add(event.key);
    else this.#down.delete(event.key);
    const direction = directionOf(this.#down);
    if (direction.some(Boolean)) this.#drive.move("move", speedsOf(direction, speed));
    else this.#drive.stop();
    this.update();
    return true;
  }

  #release() {
    if (!this.#held && !this.#down.size) return;
    this.#held = null;
    this.#down.clear();
    this.#drive.stop();
    this.update();
  }

  /** Why it cannot be used: "" if it can. */
  #reason() {
    if (!this.#target) return t("none");
    if (!may("ptz")) return t("no_right");
    return this.#target.ptzType === FIXED && !this.#anyway ? t("fixed") : "";
  }

  async #send(body, { keepalive = false }) {
    const { device, channel } = this.#target;
    const path = `channels/${encodeURIComponent(device)}/${encodeURIComponent(channel)}/ptz`;
    const said = { ...body, ...this.why() };
    if (keepalive) return await farewell(path, said);
    return await api.post(path, said, { timeout: 8_000 });
  }

  #result(error, wasStop) {
    const before = this.#error;
    this.#error = error && { title: error.words ? error.words.title : String(error.message), wasStop };
    if (error && ASKED.has(error.code)) void this.#ask(error);
    if (before || error) this.update();
  }

  async #ask(error) {
    const given = this.why();
    const wanted = error.code === "ticket_required" ? "ticket" : "purpose";
    const reason = await formDialog({
      title: error.words.title,
      intro: t("why"),
      submit: t("why_ok"),
      fields: [
        { name: "purpose", label: t("purpose"), maxlength: 200, value: given.purpose, required: wanted === "purpose" },
        { name: "ticket", label: t("ticket"), maxlength: 64, value: given.ticket, required: wanted === "ticket" },
      ],
    });
    if (!reason) return;
    this.why = () => reason;
    this.#error = null;
    this.update();
  }

  async #once(body, done) {
    try {
      await this.#send(body, {});
      this.#error = null;
      toast(done);
    } catch (error) {
      this.#result(error, false);
    }
    this.update();
  }

  // Held as long as the pointer or the key is down; release() is heard on the window.
  #holding(name, begin) {
    const hold = (event) => {
      event.preventDefault();
      this.#held = name;
      begin();
      this.update();
    };
    return {
      onpointerdown: (event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture?.(event.pointerId);
        hold(event);
      },
      onlostpointercapture: () => this.#release(),
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.stopPropagation();
        if (event.repeat) event.preventDefault();
        else hold(event);
      },
      onkeyup: (event) => { if (event.key === "Enter" || event.key === " ") this.#release(); },
      onblur: () => this.#release(),
      oncontextmenu: (event) => event.preventDefault(),
      "aria-pressed": String(this.#held === name),
      "data-ptz": name,
    };
  }

  #directionButton([name, direction], disabled) {
    if (!direction) {
      return h("button", {
        type: "button", class: "ptz-key ptz-halt", disabled, title: t("halt"), "aria-label": t("halt"), "data-ptz": name,
        onclick: () => this.#drive.halt(),
      }, icon("stop", { size: 16 }));
    }
    const lit = this.#held === name || String(directionOf(this.#down)) === String(direction);
    return h("button", {
      type: "button", class: ["ptz-key", `ptz-${name}`, lit && "ptz-lit"], disabled, title: t(name), "aria-label": t(name),
      ...this.#holding(name, () => this.#drive.move("move", speedsOf(direction, speed))),
    }, icon(name.includes("_") ? "diagonal" : "chevron", { size: 20 }));
  }

  #pair(name, less, more, disabled, move) {
    const one = (key, sign) => h("button", {
      type: "button", class: ["ptz-key", this.#held === key && "ptz-lit"], disabled, title: t(key), "aria-label": t(key),
      ...this.#holding(key, () => move(sign)),
    }, icon(sign < 0 ? "minus" : "plus", { size: 16 }));
    return h("div", { class: "ptz-pair", role: "group", "aria-label": t(name) },
      one(less, -1), h("span", { class: "ptz-word" }, t(name)), one(more, 1));
  }

  #lens(axis) {
    return (sign) => this.#drive.move("lens", { [axis]: sign * Math.round((speed / 10) * 255) });
  }

  #presets(disabled) {
    const number = () => Number(this.#preset);
    const valid = Number.isInteger(number()) && number() >= 1 && number() <= PRESETS;
    const id = this.presetId ||= newId("preset");
    const call = (value) => this.#once({ command: "preset_call", number: value }, t("called", { n: value }));
    return h("div", { class: "ptz-presets" },
      h("label", { for: id, class: "ptz-word" }, t("preset")),
      h("div", { class: "ptz-quick", role: "group", "aria-label": t("presets") }, QUICK.map((value) =>
        h("button", { type: "button", class: "ptz-number", disabled, title: t("call_n", { n: value }),
          "aria-label": t("call_n", { n: value }), onclick: () => void call(value) }, value))),
      h("div", { class: "ptz-preset" },
        h("input", { id, type: "number", class: "input ptz-input", min: 1, max: PRESETS, disabled, ".value": this.#preset,
          oninput: (event) => { this.#preset = event.target.value; this.update(); } }),
        button(t("call"), { small: true, disabled: disabled || !valid, onclick: () => void call(number()) }),
        button(t("set"), { small: true, disabled: disabled || !valid, onclick: () => void this.#store(number()) }),
        button(t("remove"), { small: true, kind: "ghost", disabled: disabled || !valid,
          onclick: () => void this.#remove(number()) })));
  }

  async #store(number) {
    if (!await confirm({ title: t("set_title", { n: number }), text: t("set_text"), yes: t("set") })) return;
    await this.#once({ command: "preset_set", number }, t("stored", { n: number }));
  }

  async #remove(number) {
    if (!await confirm({ title: t("remove_title", { n: number }), text: t("remove_text"), yes: t("remove"), danger: true })) return;
    await this.#once({ command: "preset_delete", number }, t("removed", { n: number }));
  }

  render() {
    const reason = this.#reason();
    const disabled = reason !== "";
    const id = this.speedId ||= newId("speed");
    return h("div", { class: ["ptz", disabled && "ptz-off"], role: "group", "aria-label": t("title") },
      disabled ? notice(reason, "info", {
        action: this.#target?.ptzType === FIXED && may("ptz")
          ? button(t("anyway"), { small: true, onclick: () => { this.#anyway = true; this.update(); } }) : null,
      }) : null,
      h("div", { class: "ptz-pad" }, PAD.map((item) => this.#directionButton(item, disabled))),
      h("div", { class: "ptz-side" },
        this.#pair("zoom", "zoom_out", "zoom_in", disabled, (sign) => this.#drive.move("move", speedsOf([0, 0, sign], speed))),
        this.#pair("focus", "focus_near", "focus_far", disabled, this.#lens("focus")),
        this.#pair("iris", "iris_close", "iris_open", disabled, this.#lens("iris")),
        h("div", { class: "ptz-speed" },
          h("label", { for: id, class: "ptz-word" }, t("speed")),
          h("input", { id, type: "range", min: 1, max: 10, step: 1, disabled, ".value": String(speed),
            oninput: (event) => this.#setSpeed(Number(event.target.value)) }),
          h("output", { class: "ptz-figure" }, speed))),
      this.#presets(disabled),
      this.#error ? notice(this.#error.title, "bad", { title: this.#error.wasStop ? t("stop_failed") : null }) : null,
      this.keys && !disabled ? h("p", { class: "ptz-keys" }, t("keys")) : null);
  }

  #setSpeed(value) {
    speed = value;
    try { localStorage.setItem("gb.ptz.speed", String(value)); } catch { /* lasts for this page */ }
    this.update();
  }
}

define("gb-ptz", Ptz);

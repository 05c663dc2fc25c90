// <gb-timeline-bar>: a day (or any time) as a bar: what was recorded, what not, what is locked, where one is.
//
//   h("gb-timeline-bar", {".begin": Date, ".end": Date, ".ranges": [{begin, end, cause, locked}], ".cursor": Date | null,
//     ".selection": {begin, end} | null, ".selecting": false, onseek: (event) => event.detail, onselect: ...})
//
// Click: seek. Drag: move the bar when zoomed; with `selecting` or Shift: choose a time. Wheel, + and -: zoom.
// Arrows move by 10 s (Shift: a minute), Page keys by 10 min.

import { View, define, h } from "../lib/element.js";
import { dateTime, timeOfDay, words } from "../lib/i18n.js";

export const strings = {
  zh: { label: "录像时间轴", "cause.plan": "计划录像", "cause.alarm": "报警录像", "cause.manual": "手动录像", locked: "已锁定",
    none: "这一天没有录像", recorded: "{from} 至 {to}：{cause}", nowhere: "未选择时刻" },
  en: { label: "Recorded time", "cause.plan": "By plan", "cause.alarm": "By alarm", "cause.manual": "By hand", locked: "Locked",
    none: "Nothing was recorded on this day", recorded: "{from} to {to}: {cause}", nowhere: "No instant chosen" },
};
const t = words(strings);

const SHORTEST = 60_000; // milliseconds in sight at the closest
const STEPS = [10, 30, 60, 300, 600, 1800, 3600, 7200, 14400].map((seconds) => seconds * 1000);
const LABEL = 64; // pixels a label needs
const KEY_PAUSE = 250; // milliseconds without a key before the seek
const DRAG = 4; // pixels from which a press is a drag
const COLOURS = { plan: "--accent", alarm: "--warn", manual: "--good" };

/** plan, alarm or manual. */
export const causeOf = (cause) => (cause.startsWith("alarm") ? "alarm" : cause === "manual" ? "manual" : "plan");

export class TimelineBar extends View {
  begin = new Date();
  end = new Date();
  ranges = [];
  cursor = null;
  selection = null;
  selecting = false;
  #view = null; // [from, to] in milliseconds; null: all
  #press = null;
  #hover = null;
  #keyed = null;
  #timer = 0;
  #day = 0;

  start() {
    const watch = new ResizeObserver(() => this.#draw());
    watch.observe(this);
    this.signal.addEventListener("abort", () => watch.disconnect());
    const theme = new MutationObserver(() => this.#draw());
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.signal.addEventListener("abort", () => theme.disconnect());
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** What is in sight, in milliseconds. */
  get view() {
    if (this.#day !== this.begin.getTime()) {
      this.#day = this.begin.getTime();
      this.#view = null;
    }
    return this.#view || [this.begin.getTime(), this.end.getTime()];
  }

  zoom(factor, around = null) {
    const [from, to] = this.view;
    const centre = around ?? (this.cursor && this.cursor >= from && this.cursor <= to ? this.cursor.getTime() : (from + to) / 2);
    const whole = this.end - this.begin;
    const span = Math.min(whole, Math.max(SHORTEST, (to - from) * factor));
    const share = (centre - from) / (to - from);
    this.#look(centre - share * span, span);
  }

  zoomOut() {
    this.#view = null;
    this.update();
  }

  #look(from, span) {
    const first = Math.min(Math.max(from, this.begin.getTime()), this.end.getTime() - span);
    this.#view = span >= this.end - this.begin ? null : [first, first + span];
    this.update();
  }

  #timeAt(event) {
    const box = this.querySelector("canvas").getBoundingClientRect();
    const [from, to] = this.view;
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return from + share * (to - from);
  }

  #down(event) {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture?.(event.pointerId);
    this.#press = { x: event.clientX, at: this.#timeAt(event), from: this.view[0], select: this.selecting || event.shiftKey, moved: false };
  }

  #move(event) {
    this.#hover = this.#timeAt(event);
    const press = this.#press;
    if (press && Math.abs(event.clientX - press.x) > DRAG) press.moved = true;
    if (press?.moved && press.select) this.#tell("select", range(press.at, this.#hover));
    else if (press?.moved) {
      const [from, to] = this.view;
      const width = this.querySelector("canvas").clientWidth;
      this.#look(press.from - ((event.clientX - press.x) / width) * (to - from), to - from);
    }
    this.#draw();
  }

  #up(event) {
    const press = this.#press;
    this.#press = null;
    if (press && !press.moved) this.#tell("seek", new Date(this.#timeAt(event)));
  }

  #key(event) {
    const second = 1000 * (event.shiftKey ? 6 : 1);
    const step = {
      ArrowLeft: -10 * second, ArrowRight: 10 * second, PageDown: 600_000, PageUp: -600_000, Home: -Infinity, End: Infinity,
    }[event.key];
    if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else if (step !== undefined) {
      const at = (this.#keyed ?? this.cursor ?? this.begin).valueOf() + step;
      this.#keyed = new Date(Math.min(this.end.getTime() - 1000, Math.max(this.begin.getTime(), at)));
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        const to = this.#keyed;
        this.#keyed = null;
        this.#tell("seek", to);
      }, KEY_PAUSE);
      this.update();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  render() {
    const now = this.#keyed ?? this.cursor;
    return [
      h("div", {
        class: ["timeline-bar", this.selecting && "timeline-selecting"], role: "slider", tabindex: "0", "aria-label": t("label"),
        "aria-valuemin": 0, "aria-valuemax": Math.round((this.end - this.begin) / 1000),
        "aria-valuenow": now ? Math.round((now - this.begin) / 1000) : 0, "aria-valuetext": now ? dateTime(now, { full: true }) : t("nowhere"),
        onpointerdown: (event) => this.#down(event), onpointermove: (event) => this.#move(event),
        onpointerup: (event) => this.#up(event), onpointercancel: () => { this.#press = null; },
        onpointerleave: () => { this.#hover = null; this.#draw(); },
        onkeydown: (event) => this.#key(event),
        onwheel: (event) => { event.preventDefault(); this.zoom(event.deltaY < 0 ? 0.7 : 1 / 0.7, this.#timeAt(event)); },
      }, h("canvas", { class: "timeline-canvas" })),
      h("ul", { class: "timeline-legend" }, ["plan", "alarm", "manual"].map((cause) =>
        h("li", null, h("span", { class: `timeline-swatch timeline-${cause}-swatch`, "aria-hidden": "true" }), t(`cause.${cause}`))),
      h("li", null, h("span", { class: "timeline-swatch timeline-locked-swatch", "aria-hidden": "true" }), t("locked"))),
      h("ul", { class: "visually-hidden timeline-words" }, this.ranges.length ? this.ranges.map((item) =>
        h("li", { "data-locked": String(item.locked) }, t("recorded", {
          from: timeOfDay(item.begin), to: timeOfDay(item.end), cause: t(`cause.${causeOf(item.cause)}`),
        }), item.locked ? ` (${t("locked")})` : "")) : h("li", null, t("none"))),
    ];
  }

  rendered() {
    this.#draw();
  }

  #draw() {
    const canvas = this.querySelector("canvas");
    if (!canvas || !canvas.clientWidth) return;
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(this);
    const colour = (name) => style.getPropertyValue(name);
    const [from, to] = this.view;
    const x = (time) => ((time - from) / (to - from)) * width;
    const top = 20;
    const deep = height - top;
    pen.fillStyle = colour("--sunken");
    pen.fillRect(0, top, width, deep);
    for (const item of this.ranges) {
      const [a, b] = [Date.parse(item.begin), Date.parse(item.end)];
      if (b < from || a > to) continue;
      pen.fillStyle = colour(COLOURS[causeOf(item.cause)]);
      pen.fillRect(x(a), top + 4, Math.max(1.5, x(b) - x(a)), deep - 14);
      if (item.locked) {
        pen.fillStyle = colour("--text");
        pen.fillRect(x(a), height - 8, Math.max(1.5, x(b) - x(a)), 4);
      }
    }
    const now = Date.now();
    if (now < to) {
      pen.fillStyle = colour("--bg");
      pen.globalAlpha = 0.7;
      pen.fillRect(Math.max(0, x(now)), top, width, deep);
      pen.globalAlpha = 1;
    }
    this.#ticks(pen, { from, to, width, height, top, x, colour, font: style.fontFamily });
    this.#marks(pen, { width, height, top, x, colour, font: style.fontFamily });
  }

  #ticks(pen, { from, to, width, height, top, x, colour, font }) {
    const step = STEPS.find((size) => (size / (to - from)) * width >= LABEL) || STEPS.at(-1);
    pen.font = `11px ${font}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    // Whole steps of the day, which does not begin at a whole step of UTC everywhere.
    const zero = this.begin.getTime();
    for (let time = zero + Math.ceil((from - zero) / step) * step; time <= to; time += step) {
      const at = x(time);
      pen.fillStyle = colour("--border-strong");
      pen.globalAlpha = 0.5;
      pen.fillRect(at, top, 1, height - top);
      pen.globalAlpha = 1;
      const text = timeOfDay(time, { seconds: step < 60_000 });
      const half = pen.measureText(text).width / 2;
      if (at < half || at > width - half) continue;
      pen.fillStyle = colour("--text-muted");
      pen.fillText(text, at, top / 2);
    }
  }

  #marks(pen, { width, height, top, x, colour, font }) {
    const { selection } = this;
    if (selection) {
      const [a, b] = [x(selection.begin.getTime()), x(selection.end.getTime())];
      pen.fillStyle = colour("--text");
      pen.globalAlpha = 0.25;
      pen.fillRect(a, top, Math.max(1, b - a), height - top);
      pen.globalAlpha = 1;
      pen.fillRect(a - 1, top, 2, height - top);
      pen.fillRect(b - 1, top, 2, height - top);
    }
    const now = this.#keyed ?? this.cursor;
    if (now) {
      pen.fillStyle = colour("--bad");
      pen.fillRect(x(now.getTime()) - 1, top - 4, 2, height - top + 4);
    }
    if (this.#hover === null) return;
    const text = timeOfDay(this.#hover);
    pen.font = `600 11px ${font}`;
    const half = pen.measureText(text).width / 2 + 6;
    const at = Math.min(width - half, Math.max(half, x(this.#hover)));
    pen.fillStyle = colour("--raised");
    pen.fillRect(at - half, 0, 2 * half, top);
    pen.fillStyle = colour("--text");
    pen.textAlign = "center";
    pen.fillText(text, at, top / 2);
    pen.fillRect(x(this.#hover), top, 1, height - top);
  }
}

const range = (one, other) => ({ begin: new Date(Math.min(one, other)), end: new Date(Math.max(one, other)) });

define("gb-timeline-bar", TimelineBar);

// Recordings of one channel: a day as a bar, played from where it is clicked, exported, locked, recorded now, planned.

import "../components/channel-picker.js";
import { confirm, formDialog } from "../components/dialog.js";
import "../components/timeline-bar.js";
import { toast, toastError } from "../components/toast.js";
import { api, isAbort } from "../lib/api.js";
import { View, define, h } from "../lib/element.js";
import { bytes, dateTime, day as dayText, duration, timeOfDay, words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { button, empty, errorState, iconButton, notice, status } from "../lib/ui.js";
import { isQuestion, questionForm } from "../players/cover.js";
import { reasonHeaders } from "../players/desk.js";
import { RATES } from "../players/playback.js";
import { strings as playing } from "../players/text.js";
import { calendar, localTime, midnight, monthSpan } from "./recordings-calendar.js";
import { exportClip } from "./recordings-export.js";
import { handlePlaybackKey } from "./recordings-keys.js";
import { editPlan } from "./recordings-plan.js";
import { t } from "./recordings-words.js";

const FRESH = 10_000; // milliseconds between two looks at today's ranges and at the recording itself
const TONE = { recording: "good", starting: "info", armed: "info", waiting: "neutral", off: "neutral", retrying: "warn" };
const EVENT_SECONDS = 60;
const asked = words(playing);

export default define("page-recordings", class extends View {
  #cell = null;
  #day = midnight(new Date());
  #month = midnight(new Date());
  #days = new Map();
  #ranges = null;
  #error = null;
  #status = null;
  #selection = null;
  #selecting = false;
  #export = null;
  #picker = false;
  #pending = null; // an instant to play once the player is there
  #asked = 0;
  #reason = { purpose: "", ticket: "" };

  start() {
    const { signal } = this;
    for (const type of ["gb-playback", "gb-playback-time"]) this.addEventListener(type, () => this.update(), { signal });
    document.addEventListener("keydown", (event) => handlePlaybackKey(this, event), { signal });
    this.routed();
    this.every(FRESH, () => this.#refresh());
  }

  stop() {
    this.#export?.abort.abort();
  }

  /** The address: ?c=device/channel&day=2026-11-21&at=ISO. */
  routed() {
    const { c, day, at } = this.route.query;
    const [device, channel] = (c || "").split("/");
    const instant = at && !Number.isNaN(Date.parse(at)) ? new Date(at) : null;
    const wanted = instant ? midnight(instant) : /^\d{4}-\d{2}-\d{2}$/.test(day || "") ? midnight(new Date(`${day}T00:00`)) : this.#day;
    const changed = channel && (device !== this.#cell?.device || channel !== this.#cell?.channel);
    if (!channel || (!changed && wanted.getTime() === this.#day.getTime() && !instant)) return;
    if (changed) {
      this.#cell = { device, channel, name: "", ptzType: null };
      void this.#learnName();
    }
    this.#pending = instant;
    this.#show(wanted);
  }

  get player() {
    return this.querySelector("gb-playback");
  }

  get #path() {
    return `recordings/${encodeURIComponent(this.#cell.device)}/${encodeURIComponent(this.#cell.channel)}`;
  }

  #choose(cell) {
    this.#cell = cell;
    this.#picker = false;
    this.#selection = null;
    this.#address();
    this.#show(this.#day);
  }

  #address() {
    const { device, channel } = this.#cell;
    const href = link("recordings", { c: `${device}/${channel}`, day: dayText(this.#day) });
    if (location.hash !== href) go(href, { replace: true });
  }

  #show(day) {
    this.#day = day;
    this.#month = midnight(day);
    this.#ranges = null;
    this.#error = null;
    this.#status = null;
    this.#days = new Map();
    this.player?.close();
    if (this.#cell) this.#address();
    this.update();
    void this.#refresh();
    void this.#markDays();
  }

  async #learnName() {
    const cell = this.#cell;
    try {
      const path = `channels/${encodeURIComponent(cell.device)}/${encodeURIComponent(cell.channel)}`;
      cell.name = (await api.get(path, { signal: this.signal, quiet: true })).name;
      this.update();
    } catch { /* a channel that is gone has only its number */ }
  }

  async #refresh() {
    if (!this.#cell) return;
    const turn = this.#asked += 1;
    const query = { from: this.#day.toISOString(), to: midnight(this.#day, 1).toISOString() };
    try {
      const [found, state] = await Promise.all([
        api.get(`${this.#path}/ranges`, { query, signal: this.signal, headers: reasonHeaders(this.#reason) }),
        may("local") ? api.get(`${this.#path}/status`, { signal: this.signal }).catch((error) => {
          if (isAbort(error)) throw error;
          return null; // a channel that is gone still has its recordings
        }) : null,
      ]);
      if (turn !== this.#asked) return;
      this.#ranges = found;
      this.#status = state;
      this.#error = null;
    } catch (error) {
      if (isAbort(error) || turn !== this.#asked) return;
      // What is shown stays when a later look fails.
      if (!this.#ranges) this.#error = error;
    }
    this.update();
  }

  async #markDays() {
    if (!this.#cell) return;
    const { device, channel } = this.#cell;
    const [first, last] = monthSpan(this.#month);
    const query = { from: dayText(first), to: dayText(last), zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
    try {
      const headers = reasonHeaders(this.#reason);
      const { items } = await api.get(`${this.#path}/days`, { query, headers, signal: this.signal });
      if (device !== this.#cell.device || channel !== this.#cell.channel) return;
      this.#days = new Map(items.map((item) => [item.day, item]));
      this.update();
    } catch (error) {
      if (isAbort(error) || error.status === 403) return; // the ranges say why
      toastError(error);
    }
  }

  /** Say why one looks at recordings, as the policy demanded. */
  #explain(reason) {
    this.#reason = reason;
    this.#show(this.#day);
  }

  seek(instant, options) {
    this.player?.open(instant, options);
  }

  /** Seconds on or back from where one is. */
  skip(seconds) {
    const { instant } = this.player || {};
    if (instant) this.seek(new Date(instant.getTime() + seconds * 1000), { paused: this.player.phase === "paused" });
  }

  async snapshot() {
    try {
      toast(t("saved", { name: await this.player.snapshot() }));
    } catch {
      toast(t("no_picture"), "warn");
    }
  }

  #select(selection) {
    this.#selection = selection;
    this.update();
  }

  async #exportNow() {
    const abort = new AbortController();
    this.#export = { abort, done: 0, total: 0 };
    this.update();
    try {
      const what = { ...this.#cell, ...this.#selection, reason: this.#reason };
      const found = await exportClip(what, { signal: abort.signal, onProgress: (done, total) => {
        this.#export = { abort, done, total };
        this.update();
      } });
      toast(found.large ? t("export_large", { size: bytes(found.size) }) : t("export_done", { name: found.name }));
      if (found.next) toast(t("export_next", { time: timeOfDay(found.next) }), "warn");
    } catch (error) {
      if (!abort.signal.aborted) toastError(error.words ? error : Object.assign(error, { words: { title: error.message, hint: "" } }));
    }
    this.#export = null;
    this.update();
  }

  async #lock(locked) {
    const { begin, end } = this.#selection;
    const act = async () => {
      const body = { start: begin.toISOString(), end: end.toISOString() };
      const headers = reasonHeaders(this.#reason);
      const { items } = await api.post(`${this.#path}/${locked ? "lock" : "unlock"}`, body, { headers });
      if (items.length) toast(t(locked ? "locked_n" : "unlocked_n", { n: items.length }));
      else toast(t("lock_none"), "warn");
      await this.#refresh();
    };
    if (locked) return void act().catch(toastError);
    await confirm({ title: t("unlock_title"), text: t("unlock_text"), yes: t("unlock"), danger: true, act });
    return undefined;
  }

  async #recordNow() {
    if (this.#status?.event_until) {
      try {
        this.#status = await api.post(`${this.#path}/stop`);
      } catch (error) {
        toastError(error);
      }
      return this.update();
    }
    const done = await formDialog({
      title: t("now_title"), submit: t("begin_now"),
      fields: [{ name: "seconds", label: t("seconds"), type: "number", min: 1, max: 3600, value: EVENT_SECONDS, required: true }],
      save: ({ seconds }) => api.post(`${this.#path}/start`, { seconds }),
    });
    if (done) this.#status = done;
    return this.update();
  }

  async #plan() {
    try {
      this.#status = await api.get(`${this.#path}/status`, { signal: this.signal });
      if (await editPlan(this.#cell, this.#status.plan, { mayChange: may("admin") })) await this.#refresh();
    } catch (error) {
      toastError(error);
    }
  }

  render() {
    return h("div", { class: ["recs", this.#picker && "recs-picking"] },
      h("aside", { class: "recs-side", key: "side", "aria-label": t("channels") },
        h("gb-channel-picker", {
          class: "recs-picker", onpick: (event) => this.#choose(event.detail),
          ".marked": new Set(this.#cell ? [`${this.#cell.device}/${this.#cell.channel}`] : []),
        }),
        calendar({
          month: this.#month, chosen: this.#day, days: this.#days, choose: (day) => this.#show(day),
          turn: (months) => {
            this.#month = new Date(this.#month.getFullYear(), this.#month.getMonth() + months, 1);
            void this.#markDays();
            this.update();
          },
        })),
      h("section", { class: "recs-main", key: "main" }, this.#cell ? this.#channel() : this.#nothing()));
  }

  rendered() {
    this.querySelector("gb-timeline-bar")?.update();
    if (this.#pending && this.player) {
      const instant = this.#pending;
      this.#pending = null;
      this.seek(instant);
    }
  }

  #nothing() {
    return empty({ title: t("choose"), hint: t("choose_hint"), icon: "recordings",
      action: button(t("picker"), { class: "recs-pick-button", onclick: () => { this.#picker = true; this.update(); } }) });
  }

  #channel() {
    const { device, channel, name } = this.#cell;
    return [
      this.#head(name || channel),
      this.#error ? this.#trouble() : null,
      h("gb-playback", { class: "recs-player", key: `${device}/${channel}`, ".device": device, ".channel": channel, ".name": name || channel,
        ".reason": this.#reason, hidden: Boolean(this.#error) }),
      this.#controls(),
      this.#timeline(),
      this.#range(),
    ];
  }

  #trouble() {
    if (!isQuestion(this.#error)) return errorState(this.#error, { retry: () => this.#refresh() });
    return h("div", { class: "recs-question" }, questionForm(this.#error, this.#reason, (reason) => this.#explain(reason), asked));
  }

  #head(name) {
    const whole = this.#ranges ? this.#ranges.seconds : 0;
    const state = this.#status;
    return h("header", { class: "recs-head" },
      h("div", { class: "recs-title" }, h("h1", { class: "page-title truncate" }, name),
        h("span", { class: "muted" }, this.#ranges ? (whole ? t("recorded", { time: duration(whole) }) : t("nothing")) : "")),
      state ? h("div", { class: "recs-status", title: state.detail || null },
        status(t.code("phase", state.phase), TONE[state.phase] || "bad"),
        state.event_until ? h("span", { class: "muted" }, t("until", { time: timeOfDay(state.event_until) })) :
          state.phase === "off" ? null : h("span", { class: "muted" }, t("since", { time: dateTime(state.since) }))) : null,
      h("div", { class: "recs-acts" },
        iconButton("search", t("picker"), { class: "recs-pick-button", onclick: () => { this.#picker = !this.#picker; this.update(); } }),
        h("span", { class: "recs-days" },
          iconButton("chevron", t("day_before"), { small: true, class: "flip", onclick: () => this.#show(midnight(this.#day, -1)) }),
          h("input", { type: "date", class: "input recs-date", "aria-label": t("day"), max: dayText(new Date()), ".value": dayText(this.#day),
            onchange: (event) => { if (event.target.value) this.#show(midnight(new Date(`${event.target.value}T00:00`))); } }),
          iconButton("chevron", t("day_after"), { small: true, disabled: midnight(this.#day, 1) > new Date(),
            onclick: () => this.#show(midnight(this.#day, 1)) })),
        may("operator") ? button(t(state?.event_until ? "stop_now" : "now"), {
          small: true, icon: state?.event_until ? "stop" : "record", onclick: () => void this.#recordNow(), "data-act": "now" }) : null,
        may("local") ? button(t("plan"), { small: true, icon: "clock", onclick: () => void this.#plan(), "data-act": "plan" }) : null));
  }

  #controls() {
    const { player } = this;
    const instant = player?.instant;
    const playing = player?.phase === "playing" || player?.phase === "loading";
    const idle = !player || !player.video;
    return h("div", { class: "recs-controls", role: "group" },
      iconButton("back10", t("back"), { disabled: !instant, onclick: () => this.skip(-10) }),
      iconButton("frameback", t("frame_back"), { disabled: idle, onclick: () => player.step(-1), "data-act": "frame-back" }),
      iconButton(playing ? "pause" : "play", t(playing ? "pause" : "play"), { disabled: idle, class: "recs-play", "data-act": "toggle",
        onclick: () => player.toggle() }),
      iconButton("frameon", t("frame_on"), { disabled: idle, onclick: () => player.step(1), "data-act": "frame-on" }),
      iconButton("on10", t("forward"), { disabled: !instant, onclick: () => this.skip(10) }),
      h("time", { class: "recs-clock" }, instant ? `${dayText(instant)} ${timeOfDay(instant)}` : "–"),
      h("select", { class: "input recs-rate", "aria-label": t("rate"), title: t("rate"),
        onchange: (event) => player?.setRate(Number(event.target.value)) },
      RATES.map((rate) => h("option", { value: rate, selected: rate === (player?.rate ?? 1) }, t("speed", { n: rate })))),
      h("span", { class: "grow" }),
      iconButton(player?.muted === false ? "sound" : "mute", t(player?.muted === false ? "mute" : "unmute"), { disabled: idle,
        onclick: () => player.toggleSound() }),
      iconButton("snapshot", t("snapshot"), { disabled: idle, onclick: () => void this.snapshot(), "data-act": "snapshot" }),
      iconButton("fullscreen", t("fullscreen"), { disabled: idle, onclick: () => player.toggleFullscreen() }));
  }

  #timeline() {
    const bar = () => this.querySelector("gb-timeline-bar");
    return h("div", { class: "recs-timeline" },
      h("gb-timeline-bar", {
        ".begin": this.#day, ".end": midnight(this.#day, 1), ".ranges": this.#ranges ? this.#ranges.items : [],
        ".cursor": this.player?.instant || null, ".selection": this.#selection, ".selecting": this.#selecting,
        onseek: (event) => this.seek(event.detail), onselect: (event) => this.#select(event.detail),
      }),
      h("div", { class: "recs-zoom" },
        iconButton("plus", t("zoom_in"), { small: true, onclick: () => bar().zoom(0.5) }),
        iconButton("minus", t("zoom_out"), { small: true, onclick: () => bar().zoom(2) }),
        button(t("zoom_all"), { small: true, kind: "ghost", onclick: () => bar().zoomOut() }),
        button(t("select"), { small: true, "aria-pressed": String(this.#selecting), "data-act": "select", class: this.#selecting && "button-on",
          onclick: () => this.#toggleSelecting() })));
  }

  #toggleSelecting() {
    this.#selecting = !this.#selecting;
    if (!this.#selecting) this.#selection = null;
    else if (!this.#selection) {
      const at = this.player?.instant || new Date(Math.min(Date.now(), midnight(this.#day, 1)) - 60_000);
      this.#selection = { begin: at, end: new Date(at.getTime() + 60_000) };
    }
    this.update();
  }

  #range() {
    const selection = this.#selection;
    if (!selection) return null;
    const { begin, end } = selection;
    const wrong = !(begin < end);
    const set = (name) => (event) => {
      const date = new Date(event.target.value);
      if (!Number.isNaN(date.getTime())) this.#select({ ...selection, [name]: date });
    };
    const input = (name) => h("label", { class: "recs-edge" }, h("span", null, t(name === "begin" ? "from" : "to")),
      h("input", { type: "datetime-local", step: 1, class: "input", ".value": localTime(selection[name]), onchange: set(name), "data-edge": name }));
    const progress = this.#export;
    return h("div", { class: "recs-range", role: "group", "aria-label": t("select") },
      input("begin"), input("end"),
      h("span", { class: "muted" }, wrong ? null : t("selected", { time: duration((end - begin) / 1000) })),
      may("download") ? button(t("export"), { small: true, icon: "download", kind: "primary", disabled: wrong || Boolean(progress),
        onclick: () => void this.#exportNow(), "data-act": "export" }) : null,
      may("operator") ? button(t("lock"), { small: true, icon: "lock", disabled: wrong, onclick: () => void this.#lock(true), "data-act": "lock" }) : null,
      may("admin") ? button(t("unlock"), { small: true, disabled: wrong, onclick: () => void this.#lock(false), "data-act": "unlock" }) : null,
      button(t("clear"), { small: true, kind: "ghost", onclick: () => { this.#selecting = false; this.#select(null); } }),
      wrong ? notice(t("wrong_range"), "warn") : null,
      progress ? h("div", { class: "recs-export", role: "status" },
        h("progress", { max: progress.total || 1, value: progress.done, "aria-label": t("export") }),
        h("span", { class: "number" }, t("exporting", { done: bytes(progress.done), total: bytes(progress.total) })),
        button(t("export_cancel"), { small: true, onclick: () => progress.abort.abort() })) : h("p", { class: "muted recs-hint" }, t("select_hint")));
  }
});

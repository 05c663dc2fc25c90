// <gb-playback>: what was recorded of one channel, from an instant on.
//
//   h("gb-playback", {".device": d, ".channel": c, ".name": "North gate"}); element.open(new Date(...))
//
// Methods  open(instant) toggle() pause() step(1 | -1) setRate(0.5 .. 8) snapshot() toggleFullscreen() close()
// State    phase (idle, loading, playing, paused, ended, failed), instant (Date of the picture), rate, muted, clip
// Events   gb-playback (phase, rate or clip changed), gb-playback-time (the instant moved). They bubble.

import { api } from "../lib/api.js";
import { View, define, h, morph } from "../lib/element.js";
import { request } from "../lib/farewell.js";
import { words } from "../lib/i18n.js";
import { reasonHeaders } from "./desk.js";
import { MseFeed, SourceClass } from "./mse.js";
import { PlayError, asPlayError, problemOf } from "./play-error.js";
import { playbackCover } from "./playback-cover.js";
import { drawn, safe, save, stamp } from "./snapshot.js";
import { strings } from "./text.js";

const t = words(strings);
const AHEAD = 20; // seconds of playing time that are fetched ahead
const PENDING = 4 * 1024 * 1024; // bytes fetched and not yet taken by the browser
const KEEP_BEHIND = 60; // seconds kept for stepping back
const POLL = 150; // milliseconds between two looks whether more may be fetched
const FRAME = 0.04; // seconds a picture lasts, until it is known

export const RATES = [0.5, 1, 2, 4, 8];

export class GbPlayback extends View {
  device = "";
  channel = "";
  name = "";
  phase = "idle";
  error = null;
  rate = 1;
  muted = true;
  clip = null;
  reason = { purpose: "", ticket: "" };
  video = null;
  #frame = null;
  #layer = null;
  #run = null;
  #feed = null;
  #wanted = null;
  #cut = false;
  #shown = 0;
  #deltas = [];

  get path() {
    return `recordings/${encodeURIComponent(this.device)}/${encodeURIComponent(this.channel)}`;
  }

  /** Date of the picture that is shown; what was asked for while it loads. */
  get instant() {
    if (!this.video || !this.clip || this.#wanted) return this.#wanted;
    return instantAt(this.clip, this.video.currentTime);
  }

  start() {
    if (!this.#frame) {
      this.#layer = h("div", { class: "gbv-layer" });
      this.#frame = h("div", { class: "gbv-frame dark" }, this.#layer);
      this.replaceChildren(this.#frame);
    }
  }

  stop() {
    this.close();
  }

  update() {
    queueMicrotask(() => {
      if (this.isConnected && this.#layer) morph(this.#layer, this.render());
    });
  }

  render() {
    return playbackCover(this, t);
  }

  /** Play from an instant on; where nothing is recorded, from what comes next. */
  open(instant, { paused = false } = {}) {
    const { video, clip } = this;
    // Within what has been fetched: no need to ask anew.
    if (video && clip && !this.error) {
      const time = timeAt(clip, instant);
      if (time !== null && covers(video.buffered, time)) {
        this.#wanted = null;
        video.currentTime = time;
        if (!paused) void this.#play();
        return this.#told("time");
      }
    }
    void this.#load(instant, paused);
    return undefined;
  }

  close() {
    this.#unload();
    this.#wanted = null;
    this.clip = null;
    this.#phase("idle");
  }

  toggle() {
    if (!this.video) return;
    if (this.phase === "ended") this.open(new Date(this.clip.end));
    else if (this.video.paused) void this.#play();
    else this.pause();
  }

  pause() {
    this.video?.pause();
  }

  /** One picture on or back. */
  step(direction) {
    const { video } = this;
    if (!video) return;
    video.pause();
    const frame = this.frameTime;
    // A little into the picture, so that rounding does not show its neighbour.
    video.currentTime = Math.max(0, this.#shown + direction * frame + frame * 0.1);
  }

  /** Seconds a picture lasts, as seen. */
  get frameTime() {
    return this.#deltas.length ? Math.min(...this.#deltas) : FRAME;
  }

  setRate(rate) {
    this.rate = rate;
    if (this.video) this.video.playbackRate = rate;
    this.#told();
  }

  toggleSound() {
    this.muted = !this.muted;
    if (this.video) this.video.muted = this.muted;
    this.#told();
  }

  async snapshot() {
    const blob = await drawn(this.video, new PlayError("no_output"));
    const file = `${safe(this.name || this.channel)}_${stamp(this.instant)}.jpg`;
    save(blob, file);
    return file;
  }

  toggleFullscreen() {
    if (document.fullscreenElement) return void document.exitFullscreen();
    if (this.requestFullscreen) return void this.requestFullscreen().catch(() => {});
    return void this.video?.webkitEnterFullscreen?.();
  }

  /** Say why one watches, as the policy demanded, and try again. */
  explain(reason) {
    this.reason = reason;
    if (this.#wanted) void this.#load(this.#wanted, false);
  }

  async #load(instant, paused) {
    this.#unload();
    const run = new AbortController();
    this.#run = run;
    this.#wanted = instant;
    this.error = null;
    this.#phase("loading");
    try {
      const headers = reasonHeaders(this.reason);
      const query = { start: instant.toISOString() };
      const clip = await api.get(`${this.path}/play`, { query, headers, signal: run.signal });
      if (run.signal.aborted) return;
      this.clip = clip;
      this.#show(run, Math.max(0, timeAt(clip, instant) ?? 0), paused);
      if (this.#feed) await this.#fetch(run, clip, headers);
      else this.video.src = clip.url;
    } catch (thrown) {
      if (!run.signal.aborted) this.#fail(asPlayError(thrown));
    }
  }

  #show(run, time, paused) {
    const video = document.createElement("video");
    video.className = "gbv-video";
    video.playsInline = true;
    video.muted = this.muted;
    this.video = video;
    this.#frame.insertBefore(video, this.#layer);
    const { signal } = run;
    const on = (type, work) => video.addEventListener(type, work, { signal });
    on("loadedmetadata", () => {
      // The clip begins at the key frame before the instant.
      if (time > 0) video.currentTime = time;
      video.playbackRate = this.rate;
      if (paused) this.#phase("paused");
      else void this.#play();
    });
    on("playing", () => { this.#wanted = null; this.#phase("playing"); });
    on("seeked", () => { this.#wanted = null; this.#told("time"); });
    on("pause", () => { if (!video.ended) this.#phase("paused"); });
    on("timeupdate", () => this.#moved());
    on("ended", () => this.#ended());
    this.#countFrames(video, signal);
    this.#cut = false;
    if (SourceClass()?.isTypeSupported(this.clip.mime)) {
      const options = { keepBehind: KEEP_BEHIND, patient: true };
      this.#feed = new MseFeed(video, this.clip.mime, (error) => { if (!signal.aborted) this.#fail(error); }, options);
    } else if (!video.canPlayType(this.clip.mime)) {
      throw new PlayError("browser_codec", this.clip.mime);
    } else {
      on("error", () => this.#fail(new PlayError("decode_failed", video.error?.message || "")));
    }
  }

  async #fetch(run, clip, headers) {
    const feed = this.#feed;
    const answer = await request(clip.url, { signal: run.signal, headers, cache: "no-store" });
    if (!answer.ok) throw await problemOf(answer);
    const reader = answer.body.getReader();
    try {
      for (;;) {
        while (this.#full(feed)) await pause(POLL, run.signal);
        const { done, value } = await reader.read();
        if (run.signal.aborted) return;
        if (done) break;
        feed.push(value);
      }
      feed.end();
    } catch (error) {
      if (run.signal.aborted) return;
      // Whoever pauses for long is let go by the gateway: fetched anew when the pictures run out.
      if (!feed.closed) this.#cut = true;
      else throw error;
    }
  }

  /** Whether enough is fetched for now. */
  #full(feed) {
    if (feed.closed || !this.video) return false;
    feed.kick();
    return feed.waiting > PENDING || ahead(this.video) > AHEAD * Math.max(1, this.rate);
  }

  async #play() {
    if (this.#cut && this.video && ahead(this.video) < 1) return this.open(this.instant);
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || this.muted) return undefined;
      this.muted = this.video.muted = true;
      await this.video.play().catch(() => {});
    }
    return undefined;
  }

  #moved() {
    this.#feed?.kick();
    if (this.#cut && !this.video.paused && ahead(this.video) < 0.5) this.open(this.instant);
    else this.#told("time");
  }

  #ended() {
    const { next } = this.clip;
    if (next) this.open(new Date(next));
    else this.#phase("ended");
  }

  #countFrames(video, signal) {
    this.#deltas = [];
    if (!video.requestVideoFrameCallback) {
      video.addEventListener("timeupdate", () => { this.#shown = video.currentTime; }, { signal });
      return;
    }
    let before = null;
    const count = (_now, { mediaTime }) => {
      if (signal.aborted) return;
      const delta = before === null ? 0 : mediaTime - before;
      if (delta > 0.008 && delta < 1 && !video.paused) this.#deltas = [...this.#deltas.slice(-20), delta];
      before = this.#shown = mediaTime;
      video.requestVideoFrameCallback(count);
    };
    video.requestVideoFrameCallback(count);
  }

  #fail(error) {
    this.#unload();
    this.error = error;
    this.#phase("failed");
  }

  #unload() {
    this.#run?.abort();
    this.#feed?.close();
    const { video } = this;
    this.#run = this.#feed = this.video = null;
    if (!video) return;
    video.pause();
    video.removeAttribute("src");
    video.load();
    video.remove();
  }

  #phase(phase) {
    this.phase = phase;
    this.update();
    this.#told();
  }

  #told(what = "") {
    this.dispatchEvent(new CustomEvent(what ? `gb-playback-${what}` : "gb-playback", { bubbles: true }));
  }
}

/** Seconds within a clip at which an instant plays; null if it is not in the clip. In a gap: where it goes on. */
export function timeAt(clip, instant) {
  const at = instant.getTime();
  for (const part of clip.parts) {
    if (at < Date.parse(part.begin)) return part === clip.parts[0] && at < Date.parse(part.begin) - 1000 ? null : part.at;
    if (at < Date.parse(part.end)) return part.at + (at - Date.parse(part.begin)) / 1000;
  }
  return null;
}

/** Date of what plays at so many seconds of a clip. */
export function instantAt(clip, time) {
  const part = clip.parts.findLast((item) => item.at <= time + 0.001) || clip.parts[0];
  const at = Date.parse(part.begin) + Math.max(0, time - part.at) * 1000;
  return new Date(Math.min(at, Date.parse(part.end)));
}

function covers(ranges, time) {
  for (let index = 0; index < ranges.length; index += 1) {
    if (ranges.start(index) <= time + 0.05 && time < ranges.end(index) - 0.05) return true;
  }
  return false;
}

function ahead({ buffered, currentTime }) {
  return buffered.length ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : 0;
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
    return undefined;
  });
}

define("gb-playback", GbPlayback);

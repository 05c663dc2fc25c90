// <gb-video>: one channel, live.
//
//   h("gb-video", {".device": d, ".channel": c, ".name": "North gate", ".way": "auto", ".autoplay": true})
//
// Properties   device, channel, name (of snapshots), stream (0 main, 1 sub), way ("auto", "whep", "ws", "hls"),
//              autoplay (begins when it enters the page), extras (() => nodes for the bar of buttons)
// Methods      play() stop() retry() toggleSound() setVolume(0..1) snapshot() toggleFullscreen() toggleStats()
// State        state (players/viewing.js), muted, volume, level (0..1), video (the element that is shown)
// Events       gb-video-state (detail: state); gb-video-sound. They bubble.

import { View, define, h, morph } from "../lib/element.js";
import { words } from "../lib/i18n.js";
import { bar } from "./bar.js";
import { cover, reasonOf } from "./cover.js";
import { asPlayError } from "./play-error.js";
import { saveSnapshot } from "./snapshot.js";
import { SoundLevel } from "./sound.js";
import { StatsReader } from "./stats.js";
import { statsTable } from "./stats-view.js";
import { strings } from "./text.js";
import { Viewing } from "./viewing.js";

const t = words(strings);
const LEVEL_EVERY = 80; // milliseconds
const NOTICE = 4_000; // milliseconds for which a notice stays

export class GbVideo extends View {
  device = "";
  channel = "";
  name = "";
  stream = 0;
  way = "auto";
  autoplay = false;
  extras = null;
  muted = true;
  volume = 0.8;
  level = 0;
  video = null;
  viewing = null;
  figures = null;
  notice = "";
  blocked = false;
  #frame = null;
  #layer = null;
  #still = null;
  #reader = null;
  #meter = null;
  #source = null;
  #noticeTimer = 0;

  get state() {
    return this.viewing ? this.viewing.state : { phase: "idle", since: null };
  }

  /** The picture on the screen, a last one included. */
  get hasPicture() {
    return Boolean(this.video) || (this.#still !== null && !this.#still.hidden);
  }

  start() {
    if (!this.#frame) {
      this.#still = h("canvas", { class: "gbv-still", hidden: true });
      this.#layer = h("div", { class: "gbv-layer" });
      this.#frame = h("div", { class: "gbv-frame dark" }, this.#still, this.#layer);
      this.replaceChildren(this.#frame);
    }
    window.addEventListener("gb-language", () => this.update(), { signal: this.signal });
    window.addEventListener("pagehide", () => this.stopPlaying(), { signal: this.signal });
    document.addEventListener("fullscreenchange", () => this.update(), { signal: this.signal });
    this.every(1000, () => this.#tick());
    const timer = setInterval(() => this.#measure(), LEVEL_EVERY);
    this.signal.addEventListener("abort", () => clearInterval(timer));
    if (this.autoplay) this.play();
  }

  stop() {
    this.stopPlaying();
  }

  // Pictures stay out of the way of rendering: only the layer above them is made anew.
  update() {
    if (this.layerDue) return;
    this.layerDue = true;
    queueMicrotask(() => {
      this.layerDue = false;
      if (!this.isConnected || !this.#layer) return;
      morph(this.#layer, this.render());
    });
  }

  render() {
    const { phase } = this.state;
    this.dataset.phase = phase;
    return [
      phase === "playing" ? this.#playButton() : cover(this, t),
      this.figures ? statsTable(this.figures, t) : null,
      this.notice ? h("p", { class: "gbv-notice", role: "status" }, this.notice) : null,
      bar(this, t),
    ];
  }

  /** Where the browser wants a click before it plays anything (a phone that saves power). */
  #playButton() {
    if (!this.blocked) return null;
    const begin = () => this.video?.play().then(() => { this.blocked = false; this.update(); }).catch(() => {});
    return h("div", { class: "gbv-cover gbv-over-still" },
      h("button", { type: "button", class: "button button-primary", onclick: begin }, t("act.play")));
  }

  play() {
    if (this.viewing || !this.channel) return;
    this.viewing = new Viewing(this, {
      makeVideo: () => this.#makeVideo(),
      show: (video, source) => this.#show(video, source),
      drop: (video) => this.#drop(video),
      onChange: (state) => this.#changed(state),
    });
    this.viewing.start();
  }

  /** End the viewing; the element may play again. */
  stopPlaying() {
    if (!this.viewing) return;
    const { viewing } = this;
    viewing.stop();
    this.viewing = null;
    this.#still.hidden = true;
    this.figures = null;
    this.update();
  }

  retry() {
    if (this.viewing) this.viewing.retry();
    else this.play();
  }

  toggleSound() {
    this.muted = !this.muted;
    this.#applySound();
  }

  setVolume(volume) {
    this.volume = volume;
    this.muted = volume === 0;
    this.#applySound();
  }

  /** Whether there is sound to be heard; null if not known yet. */
  get hasAudio() {
    return this.#source ? this.#source.hasAudio : null;
  }

  async snapshot() {
    if (!this.viewing) return this.say(t("snap.no_picture"));
    try {
      const { desk } = this.viewing;
      const file = await saveSnapshot({ desk, video: this.video, name: this.name || this.channel, signal: this.signal });
      return this.say(t("snap.done", { name: file }));
    } catch (error) {
      const known = asPlayError(error);
      if (known.code === "cancelled") return undefined;
      return this.say(t("snap.failed", { reason: reasonOf(known, t) }));
    }
  }

  toggleFullscreen() {
    const own = document.fullscreenElement === this;
    if (own) return void document.exitFullscreen();
    if (this.requestFullscreen) return void this.requestFullscreen().catch(() => {});
    // iPhones let only the video itself have the screen.
    if (this.video && this.video.webkitEnterFullscreen) this.video.webkitEnterFullscreen();
    return undefined;
  }

  togglePip() {
    if (document.pictureInPictureElement) return void document.exitPictureInPicture();
    return void this.video?.requestPictureInPicture?.().catch(() => {});
  }

  toggleStats() {
    this.wantsStats = !this.wantsStats;
    this.figures = null;
    void this.#tick();
    this.update();
  }

  /** Show a sentence for some seconds. */
  say(text) {
    clearTimeout(this.#noticeTimer);
    this.notice = text;
    this.#noticeTimer = setTimeout(() => { this.notice = ""; this.update(); }, NOTICE);
    this.update();
  }

  #makeVideo() {
    const video = document.createElement("video");
    video.className = "gbv-video gbv-pending";
    video.playsInline = true;
    video.muted = this.muted;
    video.volume = this.volume;
    video.disablePictureInPicture = false;
    this.#frame.insertBefore(video, this.#layer);
    return video;
  }

  #show(video, source) {
    video.classList.remove("gbv-pending");
    this.#still.hidden = true;
    this.video = video;
    this.#source = source;
    this.#reader = new StatsReader(video, source);
    this.#applySound();
  }

  #drop(video) {
    if (video === this.video) {
      this.#keepStill(video);
      this.video = this.#source = this.#reader = null;
      this.blocked = false;
      this.#endMeter();
    }
    video.pause();
    video.srcObject = null;
    video.removeAttribute("src");
    video.load();
    video.remove();
  }

  #keepStill(video) {
    if (!video.videoWidth) return;
    this.#still.width = video.videoWidth;
    this.#still.height = video.videoHeight;
    this.#still.getContext("2d").drawImage(video, 0, 0);
    this.#still.hidden = false;
  }

  #changed(state) {
    if (!this.viewing) return;
    this.update();
    this.dispatchEvent(new CustomEvent("gb-video-state", { bubbles: true, detail: state }));
  }

  #applySound() {
    const { video } = this;
    if (video) {
      video.muted = this.muted;
      video.volume = this.volume;
      if (video.paused) void this.#resume(video);
      if (!this.muted && !this.#meter && this.#source.constructor.path !== "hls") {
        // Safari gives silence for HLS.
        this.#meter = new SoundLevel(video, video.srcObject);
      }
    }
    this.update();
    this.dispatchEvent(new CustomEvent("gb-video-sound", { bubbles: true }));
  }

  async #resume(video) {
    try {
      await video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || video !== this.video) return;
      // Sound may be what is not allowed, or playing at all.
      this.blocked = this.muted;
      this.muted = video.muted = true;
      if (!this.blocked) await video.play().catch(() => { this.blocked = true; });
      this.update();
    }
  }

  #endMeter() {
    if (this.#meter) this.#meter.close();
    this.#meter = null;
    this.level = 0;
  }

  #measure() {
    if (!this.#meter || this.muted) this.level = 0;
    else this.level = this.#meter.read();
    const meter = this.querySelector(".gbv-level");
    if (!meter) return;
    meter.style.setProperty("--level", this.level.toFixed(3));
    meter.setAttribute("aria-valuenow", Math.round(this.level * 100));
  }

  async #tick() {
    if (this.wantsStats && this.#reader) {
      this.figures = await this.#reader.read();
      this.update();
    } else if (this.state.phase !== "playing" && this.state.phase !== "idle") {
      this.update(); // seconds count on
    }
  }
}

define("gb-video", GbVideo);

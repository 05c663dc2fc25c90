// One channel watched: asks for it, tries the ways in turn, and begins anew when the picture is lost.

import { request } from "../lib/farewell.js";
import { Desk } from "./desk.js";
import { NativeHls } from "./hls-native.js";
import { PlayError, asPlayError, isOfTheWay, nextTry } from "./play-error.js";
import { Whep } from "./whep.js";
import { WsFmp4 } from "./ws-fmp4.js";

const WAYS = [Whep, WsFmp4, NativeHls];
const STEADY = 10_000; // milliseconds of pictures after which failures before are forgotten
const STALLED = 10_000; // milliseconds without a new picture that count as a loss
const AVOID = 300_000; // milliseconds for which a way that failed is not tried again

/** Ways that do not work from this browser at all (UDP blocked ...): no tile needs to find out anew. */
const avoidEverywhere = new Map();

/** Ways by name, for menus: "whep", "ws", "hls". */
export const wayNames = WAYS.map((Way) => Way.path);

/**
 * Calls `onChange(state)` whenever it changes:
 *   phase    idle, asking, connecting, playing, lost (had pictures before), failed (never had), stopped
 *   since    Date at which the phase began; for lost and failed when the picture went or was first asked for
 *   way      {path, label} being tried or used
 *   stage    how far the camera came, while asking takes long
 *   error    PlayError, in lost and failed
 *   session  the session's record behind the error, once known
 *   nextAt   Date of the next try; null if there is none by itself
 */
export class Viewing {
  /**
   * @param {{device: string, channel: string, stream?: number, way?: string}} what way: "auto" or one of wayNames.
   * @param {{makeVideo: () => HTMLVideoElement, show: (video: HTMLVideoElement, source: object) => void,
   *   drop: (video: HTMLVideoElement) => void, onChange: (state: object) => void}} host
   */
  constructor(what, host) {
    this.way = what.way || "auto";
    this.desk = new Desk(what.device, what.channel, what.stream || 0);
    this.host = host;
    this.avoid = new Map();
    this.source = null;
    this.state = { phase: "idle", since: new Date() };
    this.failures = 0;
    this.over = null;
    this.wake = null;
  }

  start() {
    if (this.over) return;
    this.over = new AbortController();
    this.#change({ phase: "asking", since: new Date() });
    void this.#run(this.over.signal);
  }

  stop() {
    if (!this.over) return;
    this.over.abort();
    this.over = null;
    this.#letGo();
    this.#change({ phase: "stopped", since: new Date() });
  }

  /** Try now, by a person's wish. */
  retry() {
    this.failures = 0;
    if (this.wake) this.wake();
    else if (!this.over) this.start();
  }

  /** Say why one watches, as the policy demanded, and try again. */
  explain(reason) {
    this.desk.reason = reason;
    this.retry();
  }

  async #run(signal) {
    const online = () => this.wake && this.state.nextAt && this.wake();
    window.addEventListener("online", online, { signal });
    while (!signal.aborted) {
      let error;
      try {
        error = await this.#view(signal);
      } catch (thrown) {
        error = asPlayError(thrown);
        if (error.code === "page_error") console.error(thrown);
      }
      if (signal.aborted) return;
      const had = this.state.had;
      if (this.playedAt && performance.now() - this.playedAt > STEADY) this.failures = 0;
      this.failures += 1;
      const wait = nextTry(error, this.failures);
      this.#change({
        phase: had ? "lost" : "failed",
        had,
        since: this.missingSince || new Date(),
        error,
        nextAt: wait === null ? null : new Date(Date.now() + wait * 1000),
      });
      void this.#explainError(error, signal);
      await this.#pause(wait, signal);
    }
  }

  /** Watch until it ends; returns why it ended, or throws why it did not begin. */
  async #view(signal) {
    const onStage = (stage) => this.#change({ ...this.state, stage });
    this.missingSince ||= new Date();
    this.#change({ phase: "asking", had: this.state.had, since: this.missingSince });
    await this.desk.open(signal, onStage);
    const attempts = [];
    for (const Way of this.#ways(attempts)) {
      const urls = await this.desk.fresh(signal, onStage);
      if (!urls[Way.path]) {
        attempts.push(new PlayError("not_offered", "", { path: Way.path }));
        continue;
      }
      this.#change({ phase: "connecting", had: this.state.had, since: this.missingSince, way: Way });
      try {
        this.desk.used = true;
        return await this.#watch(Way, urls[Way.path], signal);
      } catch (thrown) {
        const error = asPlayError(thrown);
        if (signal.aborted) throw error;
        error.path = Way.path;
        if (!isOfTheWay(error)) {
          error.attempts = attempts;
          throw error;
        }
        attempts.push(error);
        this.#shun(Way, error);
      }
    }
    throw summary(attempts);
  }

  #ways(attempts) {
    if (this.way !== "auto") return WAYS.filter((Way) => Way.path === this.way);
    const now = performance.now();
    const lacking = { whep: "no_webrtc", ws: "no_mse", hls: "no_native_hls" };
    const usable = [];
    const shunned = [];
    for (const Way of WAYS) {
      const known = this.avoid.get(Way) || avoidEverywhere.get(Way);
      if (!Way.supported()) attempts.push(new PlayError(lacking[Way.path], "", { path: Way.path }));
      else if (known && known.until > now) shunned.push([Way, known.error]);
      else usable.push(Way);
    }
    // When nothing else is left a way that failed before gets its turn again.
    if (!usable.length) return shunned.map(([Way]) => Way);
    attempts.push(...shunned.map(([, error]) => error));
    return usable;
  }

  #shun(Way, error) {
    const known = { until: performance.now() + AVOID, error };
    if (error.code === "webrtc_failed") avoidEverywhere.set(Way, known);
    else this.avoid.set(Way, known);
  }

  async #watch(Way, url, signal) {
    const video = this.host.makeVideo();
    let end;
    const ended = new Promise((resolve) => { end = resolve; });
    const source = new Way(video, url, end, request);
    this.source = source;
    this.video = video;
    try {
      await source.start(signal);
    } catch (error) {
      source.stop();
      this.source = null;
      this.host.drop(video);
      throw error;
    }
    this.playedAt = performance.now();
    this.missingSince = null;
    this.host.show(video, source);
    this.#change({ phase: "playing", had: true, since: new Date(), way: Way });
    const stopWatching = this.#guard(video, end);
    signal.addEventListener("abort", () => end(new PlayError("cancelled")), { once: true });
    const error = await ended;
    stopWatching();
    this.missingSince = new Date();
    this.#letGo();
    // A way that breaks again and again is given up for another one.
    if (isOfTheWay(error) && performance.now() - this.playedAt < STEADY) this.#shun(Way, error);
    return error;
  }

  /** End a viewing whose picture stands still though nobody says that it ended. */
  #guard(video, end) {
    let frames = -1;
    let since = performance.now();
    const timer = setInterval(() => {
      const quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : null;
      const now = quality ? quality.totalVideoFrames : video.currentTime;
      if (now !== frames || document.hidden || video.paused) {
        frames = now;
        since = performance.now();
      } else if (performance.now() - since > STALLED) {
        end(new PlayError("stalled"));
      }
    }, 1000);
    return () => clearInterval(timer);
  }

  #letGo() {
    if (this.video) this.host.drop(this.video);
    if (this.source) this.source.stop();
    this.source = this.video = null;
  }

  async #explainError(error, signal) {
    const session = await this.desk.session(error.sessionId, signal);
    if (session && this.state.error === error) this.#change({ ...this.state, session });
  }

  /** Wait so many seconds, or for a wish to retry; null: only for that. */
  #pause(seconds, signal) {
    return new Promise((resolve) => {
      const timer = seconds === null ? null : setTimeout(() => this.wake(), seconds * 1000);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
      signal.addEventListener("abort", () => this.wake && this.wake(), { once: true });
    });
  }

  #change(state) {
    this.state = state;
    this.host.onChange(state);
  }
}

/** The most telling of several failures, with all of them. */
function summary(attempts) {
  const telling = ["browser_codec", "decode_failed", "no_media_yet", "stalled"];
  const found = telling.map((code) => attempts.find((item) => item.code === code)).find(Boolean)
    || attempts.findLast((item) => item.code !== "not_offered" && !item.code.startsWith("no_"));
  const error = new PlayError(found ? found.code : "no_way", found ? found.detail : "", found || {});
  error.attempts = attempts;
  return error;
}

// Feeds fragmented MP4 into a video by Media Source Extensions and keeps it close to the live edge.

import { codecName } from "./codec.js";
import { PlayError } from "./play-error.js";

const MAX_PENDING = 32 * 1024 * 1024; // bytes: a picture that is not decoded must not fill the memory
const KEEP_BEHIND = 10; // seconds of what was shown
const JUMP = 3; // seconds behind the live edge from which playing faster would take too long
const HURRY = 1; // seconds behind from which it plays faster
const FASTER = 1.12; // hardly seen, not heard as another pitch
const EASY = 0.35; // seconds kept before the live edge at first ...
const EASIEST = 1.5; // ... and at most: each stall adds a step
const STEP = 0.2;
const CALM = 20_000; // milliseconds without a stall after which a step is taken back

/** The Media Source class of this browser; iPhones have only the managed kind. */
export const SourceClass = () => window.ManagedMediaSource || window.MediaSource;

/** Whether this browser decodes a type such as `video/mp4; codecs="hvc1..."`. */
export function canDecode(mime) {
  const Source = SourceClass();
  return Boolean(Source) && Source.isTypeSupported(mime);
}

/** Names of the codecs in a type that this browser does not decode. */
function lacking(Source, mime) {
  const [, container, codecs] = /^([^;]+);\s*codecs="([^"]*)"/.exec(mime) || [null, mime, ""];
  const named = codecs.split(",");
  const missing = named.filter((codec) => !Source.isTypeSupported(`${container}; codecs="${codec}"`));
  return (missing.length ? missing : named).map(codecName).join(", ");
}

/** One media source on one video element. */
export class MseFeed {
  /**
   * @param {HTMLVideoElement} video
   * @param {string} mime With codecs.
   * @param {(error: PlayError) => void} onError Called once.
   * @param {{keepBehind?: number, patient?: boolean}} options Seconds kept of what was shown; patient: when the
   *   browser's buffer is full wait for kick(), as recordings can and live pictures cannot.
   */
  constructor(video, mime, onError, options = {}) {
    this.video = video;
    this.keepBehind = options.keepBehind || KEEP_BEHIND;
    this.queue = [];
    this.pending = 0;
    this.buffer = null;
    this.closed = false;
    this.ending = false;
    this.onError = onError;
    this.patient = Boolean(options.patient);
    const Source = SourceClass();
    if (!Source) throw new PlayError("no_mse");
    if (!Source.isTypeSupported(mime)) throw new PlayError("browser_codec", lacking(Source, mime));
    this.source = new Source();
    if (window.ManagedMediaSource) video.disableRemotePlayback = true;
    this.source.addEventListener("sourceopen", () => this.#open(mime), { once: true });
    this.url = URL.createObjectURL(this.source);
    video.src = this.url;
    video.addEventListener("error", this.#broken);
  }

  /** Take a chunk: an initialisation or whole fragments. */
  push(data) {
    if (this.closed) return;
    this.queue.push(data);
    this.pending += data.byteLength;
    if (this.pending > MAX_PENDING) return this.#fail("decode_failed", "the browser does not keep up");
    this.#pump();
  }

  /** Bytes that wait to be taken by the browser. */
  get waiting() {
    return this.pending;
  }

  /** Try again what did not fit before: the playhead has moved. */
  kick() {
    this.#pump();
  }

  /** Nothing more comes. */
  end() {
    this.ending = true;
    this.#pump();
  }

  /** Let go of the video. */
  close() {
    if (this.closed) return;
    this.closed = true;
    this.video.removeEventListener("error", this.#broken);
    this.queue = [];
    this.pending = 0;
    URL.revokeObjectURL(this.url);
  }

  #broken = () => {
    const error = this.video.error;
    this.#fail("decode_failed", error ? error.message : "");
  };

  #open(mime) {
    if (this.closed) return;
    try {
      this.buffer = this.source.addSourceBuffer(mime);
    } catch (error) {
      return this.#fail("browser_codec", lacking(SourceClass(), mime));
    }
    this.buffer.addEventListener("updateend", () => this.#pump());
    this.buffer.addEventListener("error", () => this.#fail("decode_failed", "the stream cannot be read"));
    this.#pump();
  }

  #pump() {
    const buffer = this.buffer;
    if (!buffer || this.closed || buffer.updating || this.source.readyState !== "open") return;
    if (this.#trim(2 * this.keepBehind, this.keepBehind)) return;
    if (!this.queue.length) {
      if (this.ending) this.source.endOfStream();
      return;
    }
    const data = this.queue[0];
    try {
      buffer.appendBuffer(data);
      this.queue.shift();
      this.pending -= data.byteLength;
    } catch (error) {
      // Full: make room and try this chunk again at the next updateend.
      if (error.name === "QuotaExceededError" && this.#trim(1, 1)) return;
      if (error.name === "QuotaExceededError" && this.patient) return;
      this.#fail("decode_failed", error.message);
    }
  }

  /** Remove what is further behind than `limit`, down to `keep`; whether a removal began. */
  #trim(limit, keep) {
    const { buffered } = this.buffer;
    const now = this.video.currentTime;
    if (!buffered.length || !(now - buffered.start(0) > limit)) return false;
    const until = now - keep;
    if (until <= buffered.start(0)) return false;
    this.buffer.remove(buffered.start(0), until);
    return true;
  }

  #fail(code, detail) {
    if (this.closed) return;
    this.close();
    this.onError(new PlayError(code, detail));
  }
}

/** Keeps a live video near the end of its buffer: plays faster when late, jumps when very late. */
export class LiveEdge {
  constructor(video) {
    this.video = video;
    this.ease = EASY;
    this.stalls = 0;
    this.calmSince = performance.now();
    video.addEventListener("waiting", this.#stalled);
  }

  /** Seconds between what is shown and what has come. */
  get behind() {
    const { buffered, currentTime } = this.video;
    return buffered.length ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : 0;
  }

  /** To be called a few times a second. */
  look() {
    const { video } = this;
    const { buffered } = video;
    if (!buffered.length) return;
    const start = buffered.start(buffered.length - 1);
    const end = buffered.end(buffered.length - 1);
    const behind = end - video.currentTime;
    // A live stream does not begin at 0, and a gap in it is no place to wait.
    if (video.currentTime < start || behind > JUMP + this.ease) {
      video.currentTime = Math.max(start, end - this.ease);
      video.playbackRate = 1;
    } else if (behind > HURRY + this.ease) {
      video.playbackRate = FASTER;
    } else if (behind < this.ease + HURRY / 4) {
      video.playbackRate = 1;
    }
    if (performance.now() - this.calmSince > CALM && this.ease > EASY) {
      this.ease = Math.max(EASY, this.ease - STEP);
      this.calmSince = performance.now();
    }
  }

  close() {
    this.video.removeEventListener("waiting", this.#stalled);
  }

  #stalled = () => {
    // Each source stalls once at its beginning.
    this.stalls += 1;
    if (this.stalls > 1) this.ease = Math.min(EASIEST, this.ease + STEP);
    this.calmSince = performance.now();
  };
}

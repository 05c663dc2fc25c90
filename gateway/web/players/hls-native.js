// Live pictures by HLS where the browser plays it itself (iPhone, Safari); nothing of it is ours.

import { PlayError, asPlayError, problemOf } from "./play-error.js";

const FIRST_PICTURE = 20_000; // milliseconds: segments must fill first
const AGAIN = 1_500; // milliseconds after which a playlist that was hardly begun is read again
const TRIES = 4;
const TYPE = "application/vnd.apple.mpegurl";

/** One viewing; `start` resolves at the first picture, `onEnd` is called once after that. */
export class NativeHls {
  static path = "hls";
  static label = "HLS";

  static supported = () => document.createElement("video").canPlayType(TYPE) !== "";

  constructor(video, url, onEnd) {
    this.video = video;
    this.url = url;
    this.onEnd = onEnd;
    this.over = false;
    this.hasAudio = true; // not known before it is heard
  }

  async start(signal) {
    if (!NativeHls.supported()) throw new PlayError("no_native_hls");
    const { video } = this;
    await new Promise((resolve, reject) => {
      const deadline = setTimeout(() => fail(new PlayError("no_media_yet")), FIRST_PICTURE);
      const fail = (error) => { clearTimeout(deadline); this.stop(); reject(error); };
      signal.addEventListener("abort", () => fail(new PlayError("cancelled")), { once: true });
      // A first picture alone is no playing: some browsers show one and fail then.
      video.addEventListener("timeupdate", () => {
        if (video.currentTime === 0) return;
        clearTimeout(deadline);
        resolve();
      });
      video.addEventListener("canplay", () => video.play().catch(() => {}));
      let tries = 1;
      video.addEventListener("error", () => {
        if (this.over || video.currentTime > 0) return;
        tries += 1;
        if (tries > TRIES) void refusal(this.url, video.error).then(fail);
        else setTimeout(() => { if (!this.over) video.src = this.url; }, AGAIN);
      });
      video.src = this.url;
      video.play().catch(() => {});
    });
    if (this.over) return;
    video.addEventListener("error", () => void refusal(this.url, video.error).then((e) => this.#ended(e)));
    video.addEventListener("ended", () => this.#ended(new PlayError("stream_over")));
  }

  stop() {
    this.over = true;
  }

  async stats() {
    const { seekable, currentTime } = this.video;
    const edge = seekable.length ? seekable.end(seekable.length - 1) : 0;
    const track = this.video.audioTracks;
    return {
      video: "", audio: track && track.length ? "AAC" : "", bytes: 0,
      delay: Number.isFinite(edge) && edge > currentTime ? edge - currentTime : null,
    };
  }

  #ended(error) {
    if (this.over) return;
    this.stop();
    this.onEnd(error);
  }
}

async function refusal(url, mediaError) {
  try {
    const answer = await fetch(url, { cache: "no-store" });
    if (!answer.ok) return await problemOf(answer);
  } catch (error) {
    return asPlayError(error);
  }
  return new PlayError("hls_failed", mediaError ? mediaError.message : "");
}

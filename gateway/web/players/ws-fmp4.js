// Live pictures as fragmented MP4 over a WebSocket: a text message with the codecs, then binary data.

import { LiveEdge, MseFeed, SourceClass } from "./mse.js";
import { PlayError, asPlayError, closeReason, problemOf } from "./play-error.js";

const FIRST_MEDIA = 12_000; // milliseconds until the codecs are known: the camera may have to be started
const FIRST_PICTURE = 10_000; // milliseconds from there to the first picture
const LOOK = 250; // milliseconds between two looks at the live edge

/** One viewing; `start` resolves at the first picture, `onEnd` is called once after that. */
export class WsFmp4 {
  static path = "ws";
  static label = "WS-fMP4";

  /** Whether this browser can at all. */
  static supported = () => Boolean(SourceClass());

  constructor(video, url, onEnd) {
    this.video = video;
    this.url = url;
    this.onEnd = onEnd;
    this.bytes = 0;
    this.info = null;
    this.over = false;
    this.hasAudio = false;
  }

  async start(signal) {
    if (!WsFmp4.supported()) throw new PlayError("no_mse");
    await new Promise((resolve, reject) => {
      let settled = false;
      this.settle = (error) => {
        if (settled) {
          if (error) this.#finish(error);
          return;
        }
        settled = true;
        clearTimeout(this.deadline);
        if (error) {
          this.stop();
          reject(error);
        } else {
          resolve();
        }
      };
      signal.addEventListener("abort", () => this.settle(new PlayError("cancelled")), { once: true });
      this.#wait(FIRST_MEDIA);
      this.#connect();
    });
  }

  stop() {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.deadline);
    clearInterval(this.timer);
    if (this.socket) {
      this.socket.onmessage = this.socket.onclose = null;
      this.socket.close();
    }
    if (this.edge) this.edge.close();
    if (this.feed) this.feed.close();
  }

  async stats() {
    return {
      video: this.info ? this.info.video : "",
      audio: this.info ? this.info.audio : "",
      bytes: this.bytes,
      delay: this.edge ? this.edge.behind : null,
      stalls: this.edge ? Math.max(0, this.edge.stalls - 1) : 0,
    };
  }

  #wait(milliseconds) {
    clearTimeout(this.deadline);
    this.deadline = setTimeout(() => this.settle(new PlayError("no_media_yet")), milliseconds);
  }

  #connect() {
    this.socket = new WebSocket(this.url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.#receive(event.data);
    this.socket.onclose = (event) => void this.#closed(event);
  }

  #receive(data) {
    if (typeof data !== "string") {
      this.bytes += data.byteLength;
      if (this.feed) this.feed.push(data);
      return;
    }
    let message;
    try { message = JSON.parse(data); } catch { return; }
    if (message.type === "info" && !this.feed) this.#open(message);
  }

  #open(info) {
    this.info = info;
    this.hasAudio = Boolean(info.audio);
    try {
      this.feed = new MseFeed(this.video, info.mime, (error) => this.settle(error));
    } catch (error) {
      return this.settle(asPlayError(error));
    }
    this.edge = new LiveEdge(this.video);
    this.timer = setInterval(() => this.edge.look(), LOOK);
    this.#wait(FIRST_PICTURE);
    this.video.addEventListener("loadeddata", () => this.settle(), { once: true });
    this.video.play().catch(() => { /* autoplay may need a click; muted video seldom does */ });
  }

  async #closed(event) {
    if (this.over) return;
    if (event.code === 1006 && !this.bytes) {
      // The handshake was refused, and browsers hide why: a plain request tells.
      return this.settle(await refusal(this.url));
    }
    this.settle(closeReason(event));
  }

  #finish(error) {
    if (this.over) return;
    this.stop();
    this.onEnd(error);
  }
}

async function refusal(url) {
  const abort = new AbortController();
  try {
    const answer = await fetch(url.replace(/^ws/, "http"), { signal: abort.signal, cache: "no-store" });
    if (!answer.ok) return await problemOf(answer);
    return new PlayError("websocket_blocked");
  } catch (error) {
    return asPlayError(error);
  } finally {
    abort.abort();
  }
}

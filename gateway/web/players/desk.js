// Where a viewing is asked for: POST play starts the camera and gives addresses with a token in them.

import { api } from "../lib/api.js";
import { asPlayError } from "./play-error.js";

const PATIENCE = 45_000; // milliseconds: a camera behind two platforms may take half a minute
const PEEK_AFTER = 1_500; // milliseconds of waiting after which it is told how far the camera came
const PEEK_EVERY = 1_000;

/** Purpose and ticket last given on this page: offered again, never sent unasked for another channel. */
export const lastReason = { purpose: "", ticket: "" };

/** Headers that tell why something is asked for. */
export function reasonHeaders({ purpose, ticket }) {
  return {
    ...(purpose ? { "X-Gb-Purpose": encodeURIComponent(purpose) } : {}),
    ...(ticket ? { "X-Gb-Ticket": ticket } : {}),
  };
}

/** Asks for one channel's addresses. */
export class Desk {
  constructor(device, channel, stream) {
    this.device = device;
    this.channel = channel;
    this.stream = stream;
    this.reason = { purpose: "", ticket: "" };
    this.answer = null;
    this.used = false;
  }

  get path() {
    return `channels/${encodeURIComponent(this.device)}/${encodeURIComponent(this.channel)}`;
  }

  /** Headers that tell other requests about this channel why they are made. */
  get headers() {
    return reasonHeaders(this.reason);
  }

  /**
   * Ask for addresses: {whep, ws, hls}, each a URL of this page's own host, or absent.
   * @param {AbortSignal} signal
   * @param {(stage: string) => void} onStage Told how far the camera came, if it takes long.
   */
  async open(signal, onStage) {
    const over = new AbortController();
    signal.addEventListener("abort", () => over.abort(), { once: true, signal: over.signal });
    const peeking = this.#peek(over.signal, onStage);
    try {
      this.answer = await api.post(`${this.path}/play`, { stream: this.stream, ...this.reason },
        { signal, timeout: PATIENCE });
    } catch (error) {
      throw asPlayError(error);
    } finally {
      over.abort();
      await peeking;
    }
    this.used = false;
    return this.urls();
  }

  /** The addresses; asked for anew when those we have are spent. */
  async fresh(signal, onStage) {
    if (!this.answer || (this.answer.single_use && this.used)) return await this.open(signal, onStage);
    return this.urls();
  }

  urls() {
    const { urls } = this.answer;
    return { whep: here(urls.whep), ws: here(urls.ws_mp4, true), hls: here(urls.hls) };
  }

  /** The latest session of this channel, for its stages; null if none is known. */
  async session(sessionId, signal) {
    try {
      if (sessionId) return await api.get(`sessions/${encodeURIComponent(sessionId)}`, { signal, quiet: true });
      const query = { device_id: this.device, channel_id: this.channel, limit: 1 };
      const page = await api.get("sessions", { query, signal, quiet: true });
      return page.items[0] || null;
    } catch {
      return null; // it explains a failure and must not be one
    }
  }

  async #peek(signal, onStage) {
    await wait(PEEK_AFTER, signal);
    while (!signal.aborted) {
      const session = await this.session("", signal);
      if (signal.aborted) return;
      if (session && !session.ended) onStage(session.stage);
      await wait(PEEK_EVERY, signal);
    }
  }
}

/** A URL on this page's own host: behind a proxy the gateway may know itself by another name. */
function here(url, socket = false) {
  if (!url) return null;
  const { pathname, search } = new URL(url, location.href);
  const base = socket ? location.origin.replace(/^http/, "ws") : location.origin;
  return base + pathname + search;
}

function wait(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
    return undefined;
  });
}

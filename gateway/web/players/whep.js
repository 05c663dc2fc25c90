// Live pictures by WebRTC: WHEP (draft-ietf-wish-whep), one POST with an offer, one DELETE at the end.

import { PlayError, asPlayError, problemOf } from "./play-error.js";

const GATHERING = 1_500; // milliseconds for our own addresses; what comes later is not needed
const ANSWER = 15_000; // milliseconds for the answer: the camera may have to be started
const FIRST_PICTURE = 8_000; // milliseconds from the answer to the first picture
const DISCONNECTED = 5_000; // milliseconds without a path before it counts as lost
const LOOK = 1_000; // milliseconds between two looks whether pictures still come

/** One viewing; `start` resolves at the first picture, `onEnd` is called once after that. */
export class Whep {
  static path = "whep";
  static label = "WHEP";

  static supported = () => Boolean(window.RTCPeerConnection);

  /**
   * @param {HTMLVideoElement} video
   * @param {string} url
   * @param {(error: PlayError) => void} onEnd
   * @param {(url: string, options: object) => Promise<Response>} request fetch() with our credential.
   */
  constructor(video, url, onEnd, request) {
    this.video = video;
    this.url = url;
    this.onEnd = onEnd;
    this.request = request;
    this.session = "";
    this.over = false;
    this.started = false;
    this.hasAudio = false;
    this.stream = new MediaStream();
  }

  async start(signal) {
    if (!Whep.supported()) throw new PlayError("no_webrtc");
    signal.addEventListener("abort", () => this.stop(), { once: true });
    try {
      await this.#negotiate(signal);
      await this.#firstPicture(signal);
      this.started = true;
      this.#watch();
    } catch (error) {
      this.stop();
      throw asPlayError(error);
    }
  }

  stop() {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.lost);
    clearInterval(this.watch);
    if (this.peer) {
      this.peer.onconnectionstatechange = this.peer.ontrack = null;
      this.peer.close();
    }
    // keepalive: it must get out also when the page goes away.
    if (this.session) this.request(this.session, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  async stats() {
    const found = { video: "", audio: "", bytes: 0, delay: null, lost: 0 };
    if (!this.peer || this.over) return found;
    const report = await this.peer.getStats();
    let travel = 0;
    for (const item of report.values()) {
      if (item.type === "candidate-pair" && item.nominated && item.currentRoundTripTime) {
        travel = item.currentRoundTripTime / 2;
      }
      if (item.type !== "inbound-rtp") continue;
      found.bytes += item.bytesReceived || 0;
      const codec = report.get(item.codecId);
      const name = codec ? codec.mimeType.split("/")[1] : "";
      if (item.kind === "audio") found.audio = item.bytesReceived ? name : "";
      if (item.kind !== "video") continue;
      found.video = name;
      found.lost = item.packetsLost || 0;
      found.frames = item.framesDecoded;
      found.delay = travel + held(item, this.previous);
      this.previous = item;
    }
    return found;
  }

  async #negotiate(signal) {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.peer = peer;
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.addTransceiver("audio", { direction: "recvonly" });
    peer.ontrack = ({ track, receiver }) => {
      // No buffer but what the network's jitter asks for.
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = 0;
      this.stream.addTrack(track);
      if (track.kind === "audio") this.#listen(track);
    };
    peer.onconnectionstatechange = () => this.#changed();
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const answer = await this.request(this.url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Accept: "application/sdp" },
      body: peer.localDescription.sdp,
      signal: either(signal, ANSWER),
    }).catch((error) => {
      throw error.name === "TimeoutError" ? new PlayError("no_media_yet") : error;
    });
    if (answer.status !== 201) throw await problemOf(answer);
    const location = answer.headers.get("Location");
    if (location) this.session = new URL(new URL(location, this.url).pathname, window.location.href).href;
    const sdp = await answer.text();
    if (this.over) {
      // Stopped while the answer was under way: the session must not stay.
      if (this.session) this.request(this.session, { method: "DELETE" }).catch(() => {});
      throw new PlayError("cancelled");
    }
    this.video.srcObject = this.stream;
    await peer.setRemoteDescription({ type: "answer", sdp });
    // The gateway ends a stream with a goodbye of DTLS; the state of the connection would need seconds to follow.
    const transport = peer.getReceivers()[0]?.transport;
    if (transport) {
      transport.onstatechange = () => {
        if (!this.over && transport.state === "closed") void this.#ended();
      };
    }
    this.hasAudio = /^m=audio [1-9]/m.test(sdp) && !/^m=audio[\s\S]*?^a=inactive/m.test(sdp);
  }

  #firstPicture(signal) {
    const { video } = this;
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        const connected = this.peer.connectionState === "connected";
        reject(new PlayError(connected ? "webrtc_no_media" : "webrtc_failed"));
      }, FIRST_PICTURE);
      this.failStart = (error) => { clearTimeout(deadline); reject(error); };
      signal.addEventListener("abort", () => this.failStart(new PlayError("cancelled")), { once: true });
      video.addEventListener("loadeddata", () => { clearTimeout(deadline); resolve(); }, { once: true });
      video.play().catch(() => { /* as in ws-fmp4.js */ });
    });
  }

  // A viewer that is stopped is told nothing by WebRTC itself: when pictures stay away the gateway is asked.
  #watch() {
    let before = -1;
    this.watch = setInterval(async () => {
      const { totalVideoFrames } = this.video.getVideoPlaybackQuality();
      const stands = totalVideoFrames === before && !document.hidden;
      before = totalVideoFrames;
      if (!stands || this.asking) return;
      this.asking = true;
      const error = await this.#reason();
      this.asking = false;
      if (error.code !== "connection_lost") this.#finish(error);
    }, LOOK);
  }

  #listen(track) {
    track.onunmute = () => { this.hasAudio = true; };
  }

  #changed() {
    if (this.over) return;
    const state = this.peer.connectionState;
    clearTimeout(this.lost);
    if (state === "disconnected") this.lost = setTimeout(() => void this.#ended(), DISCONNECTED);
    if (state === "failed" || state === "closed") void this.#ended();
  }

  /** The connection is gone; the session's record says why. */
  async #ended() {
    const error = await this.#reason();
    if (this.over) return;
    if (!this.started && this.failStart) return this.failStart(error);
    this.#finish(error);
  }

  #finish(error) {
    if (this.over) return;
    this.stop();
    this.onEnd(error);
  }

  async #reason() {
    const fallback = new PlayError(this.started ? "connection_lost" : "webrtc_failed");
    if (!this.session) return fallback;
    try {
      const answer = await this.request(this.session, { method: "GET", cache: "no-store" });
      if (!answer.ok) {
        const problem = await problemOf(answer);
        return problem.status === 404 || problem.status === 405 ? fallback : problem;
      }
      const { code, detail } = await answer.json();
      return code ? new PlayError(code, detail) : fallback;
    } catch {
      return fallback;
    }
  }
}

/** Seconds from a picture's first packet until it was decoded, lately. */
function held(now, before) {
  const past = before || { totalProcessingDelay: 0, framesDecoded: 0 };
  const count = now.framesDecoded - past.framesDecoded;
  return count > 0 && now.totalProcessingDelay ? (now.totalProcessingDelay - past.totalProcessingDelay) / count : 0;
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHERING);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") resolve();
    });
  });
}

function either(signal, milliseconds) {
  return AbortSignal.any ? AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]) : signal;
}

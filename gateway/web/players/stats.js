// Figures of one viewing, read once a second: rates are differences between two readings.

/** Reads a source and its video. */
export class StatsReader {
  constructor(video, source) {
    this.video = video;
    this.source = source;
    this.before = null;
  }

  /**
   * {way, video, audio, width, height, fps, kbps, delay, lost, dropped}; null where the way does not tell.
   */
  async read() {
    const { video, source } = this;
    const found = await source.stats();
    const quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : null;
    const now = {
      at: performance.now(),
      bytes: found.bytes || 0,
      frames: quality ? quality.totalVideoFrames : found.frames || 0,
    };
    const past = this.before;
    this.before = now;
    const seconds = past ? (now.at - past.at) / 1000 : 0;
    return {
      way: source.constructor.label,
      video: codecName(found.video),
      audio: codecName(found.audio),
      width: video.videoWidth,
      height: video.videoHeight,
      fps: seconds ? (now.frames - past.frames) / seconds : null,
      kbps: seconds && now.bytes ? ((now.bytes - past.bytes) * 8) / seconds / 1000 : null,
      delay: found.delay ?? null,
      lost: found.lost ?? null,
      dropped: quality ? quality.droppedVideoFrames : null,
    };
  }
}

const NAMES = [
  [/^avc[13]/, "H.264"], [/^h264$/i, "H.264"], [/^(hvc|hev)1/, "H.265"], [/^(h265|hevc)$/i, "H.265"],
  [/^mp4a/, "AAC"], [/^pcma$/i, "G.711 A"], [/^pcmu$/i, "G.711 µ"],
];

/** `avc1.64001f` -> `H.264 (avc1.64001f)`: the name for people, the string for whoever looks closer. */
export function codecName(text) {
  if (!text) return "";
  const known = NAMES.find(([pattern]) => pattern.test(text));
  if (!known) return text;
  return /[.]/.test(text) ? `${known[1]} (${text})` : known[1];
}

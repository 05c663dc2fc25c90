// Figures of one viewing, read once a second: rates are differences between two readings.

import { codecName } from "./codec.js";

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

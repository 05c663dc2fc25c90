// Sound of a video: its level, from Web Audio. Volume and mute stay those of the element.

let context = null;

/** One for the page; browsers let it run only after the first click or key. */
function audioContext() {
  const Context = window.AudioContext || window.webkitAudioContext;
  if (!Context) return null;
  context ||= new Context({ latencyHint: "interactive" });
  if (context.state === "suspended") context.resume().catch(() => {});
  return context;
}

/** Measures what a video sounds like, 0 (silence) to 1 (full scale). */
export class SoundLevel {
  /**
   * @param {HTMLVideoElement} video Playing; an element can be measured once in its life.
   * @param {MediaStream | null} stream What it plays, if that is a MediaStream.
   */
  constructor(video, stream) {
    const audio = audioContext();
    this.analyser = null;
    if (!audio) return;
    this.analyser = audio.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
    if (stream) {
      if (!stream.getAudioTracks().length) { this.analyser = null; return; }
      // The element itself is heard; this is a second line to the same stream.
      this.node = audio.createMediaStreamSource(stream);
      this.node.connect(this.analyser);
    } else {
      this.node = audio.createMediaElementSource(video);
      this.node.connect(this.analyser);
      this.analyser.connect(audio.destination);
    }
  }

  /** Whether there is something to measure. */
  get works() {
    return this.analyser !== null && context.state === "running";
  }

  /** The level now, in steps of hearing: -60 dB is 0, full scale is 1. */
  read() {
    if (!this.analyser) return 0;
    this.analyser.getFloatTimeDomainData(this.samples);
    let sum = 0;
    for (const sample of this.samples) sum += sample * sample;
    const root = Math.sqrt(sum / this.samples.length);
    return root > 0 ? Math.max(0, Math.min(1, 1 + Math.log10(root) / 3)) : 0;
  }

  close() {
    if (this.node) this.node.disconnect();
    if (this.analyser) this.analyser.disconnect();
    this.analyser = this.node = null;
  }
}

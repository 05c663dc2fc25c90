// Sends the commands of a PTZ pad one after the other, and never loses a stop.

const HOLD = 5; // seconds after which the gateway stops a motion by itself: should this page vanish
const RENEW = 2_000; // milliseconds after which a motion that goes on is commanded anew
const STOP_TRIES = 3;
const STOP_PAUSE = 400; // milliseconds between tries to stop

/** Drives one camera. */
export class PtzDrive {
  /**
   * @param {(body: object, options: {keepalive?: boolean}) => Promise<void>} send Posts one command.
   * @param {(error: Error | null, wasStop: boolean) => void} onResult Told of each command's end.
   */
  constructor(send, onResult) {
    this.send = send;
    this.onResult = onResult;
    this.motion = null; // what is wanted now: {command, ...speeds} or null
    this.moved = null; // the word that stops what was last sent: "stop", "lens_stop" or null
    this.busy = false;
    this.failed = false;
    this.timer = 0;
  }

  /** Whether the camera moves, or is about to, by us. */
  get moving() {
    return this.motion !== null || this.moved !== null;
  }

  /** Begin or change a motion. `speeds`: pan, tilt, zoom of "move", or focus, iris of "lens". */
  move(command, speeds) {
    this.motion = { command, ...speeds };
    void this.#work();
  }

  /** End it. */
  stop() {
    this.motion = null;
    void this.#work();
  }

  /** Stop the camera whoever moves it. */
  halt() {
    this.moved ||= "stop";
    this.stop();
  }

  /** The page goes away: nothing can be awaited any more. */
  abandon() {
    clearTimeout(this.timer);
    this.motion = null;
    if (!this.moved && !this.busy) return;
    const word = this.moved || "stop";
    this.moved = null;
    this.send({ command: word }, { keepalive: true }).catch(() => {});
  }

  // One request at a time: two on their way at once may arrive in either order.
  async #work() {
    if (this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    let sent = null;
    try {
      while (!this.failed) {
        const wanted = this.motion;
        if (wanted === null ? !this.moved : wanted === sent) break;
        // Nothing is wanted any more, or another kind of motion.
        if (wanted === null || (this.moved && this.moved !== stopOf(wanted))) await this.#halt();
        else await this.#go(sent = wanted);
      }
    } finally {
      this.busy = false;
      this.failed = false;
    }
    if (this.motion) this.timer = setTimeout(() => { void this.#renew(); }, RENEW);
  }

  async #renew() {
    const { motion } = this;
    if (!motion || this.busy) return;
    this.motion = { ...motion }; // another object: sent again
    await this.#work();
  }

  async #go(motion) {
    // Should the answer get lost the motion may yet have begun: from here on it wants a stop.
    this.moved = stopOf(motion);
    try {
      await this.send({ ...motion, hold_s: HOLD }, {});
      this.onResult(null, false);
    } catch (error) {
      if (this.motion === motion) this.motion = null;
      // Refused: nothing moves. No answer: who knows.
      if (error.status >= 400 && error.status < 500) this.moved = null;
      this.onResult(error, false);
    }
  }

  async #halt() {
    const word = this.moved;
    this.moved = null;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.send({ command: word }, {});
        this.onResult(null, true);
        return;
      } catch (error) {
        if (attempt === STOP_TRIES || (error.status >= 400 && error.status < 500)) {
          this.failed = true;
          this.motion = null;
          this.onResult(error, true);
          return;
        }
        await new Promise((resolve) => { setTimeout(resolve, STOP_PAUSE); });
      }
    }
  }
}

/** The command that ends a motion. */
const stopOf = (motion) => (motion.command === "lens" ? "lens_stop" : "stop");

const ARROWS = {
  ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
  "+": [0, 0, 1], "=": [0, 0, 1], "-": [0, 0, -1], _: [0, 0, -1], PageUp: [0, 0, 1], PageDown: [0, 0, -1],
};

/** Whether a key moves a camera. */
export const isPtzKey = (key) => key in ARROWS;

/** The direction [pan, tilt, zoom] of the keys that are down: two arrows are a diagonal. */
export function directionOf(keys) {
  const sum = [0, 0, 0];
  for (const key of keys) ARROWS[key].forEach((value, axis) => { sum[axis] += value; });
  return sum.map(Math.sign);
}

/** Speeds of a direction; `speed` is 1 to 10. */
export function speedsOf([pan, tilt, zoom], speed) {
  const turn = Math.round((speed / 10) * 255);
  const zoomed = Math.max(1, Math.round((speed / 10) * 15));
  // -0 is no JSON of a whole number.
  return { pan: pan * turn || 0, tilt: tilt * turn || 0, zoom: zoom * zoomed || 0 };
}

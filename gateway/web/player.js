"use strict";
// Plays fragmented MP4 that comes over a WebSocket: a text message with the codecs, then binary data.
// Parameters, in the query or (better, since it is never sent) in the fragment: url=ws://...  token=...

const TEXT = {
  idle: ["请输入地址", "Enter a URL"],
  connecting: ["正在连接，等待设备出流…", "Connecting, waiting for the device…"],
  buffering: ["已收到数据，正在缓冲…", "Data arrives, buffering…"],
  playing: ["正在播放", "Playing"],
  stopped: ["已停止", "Stopped"],
  unsupported: ["浏览器不支持该编码", "codec not supported by this browser"],
  noMse: ["浏览器没有 MediaSource", "This browser has no MediaSource"],
  refused: ["无法连接", "Cannot connect"],
  failed: ["没有画面", "No picture"],
  over: ["流已结束", "The stream is over"],
  decode: ["解码失败", "Decoding failed"],
  badUrl: ["地址无效", "Not a usable URL"],
};
// Why there is no stream, or none any more: the codes of close frames.
const REASON = {
  invite_timeout: ["设备没有应答", "the device did not answer"],
  invite_refused: ["设备拒绝了点播", "the device refused"],
  answer_unusable: ["设备的应答无法使用", "the device's answer cannot be used"],
  connect_failed: ["媒体连接没有建立", "no media connection"],
  no_packet: ["设备没有发送媒体", "the device sent no media"],
  not_decodable: ["没有可解码的画面", "nothing decodable arrived"],
  source_lost: ["媒体流中断", "the media stream broke off"],
  codec_unsupported: ["编码不受支持", "codec not supported"],
  device_offline: ["设备离线", "the device is offline"],
  device_bye: ["设备结束了会话", "the device hung up"],
  device_unknown: ["没有这台设备", "no such device"],
  channel_unknown: ["没有这个通道", "no such channel"],
  no_rule: ["未获授权", "not granted"],
  denied: ["策略禁止", "denied by policy"],
  secrecy: ["涉密点位，不予共享", "secret, never shared"],
  outside_window: ["不在开放时段", "outside the hours granted"],
  expired: ["授权已到期", "the grant has expired"],
  revoked: ["授权已撤销", "the grant was revoked"],
  forced_stop: ["已被强制停止", "stopped by order"],
  purpose_required: ["需登记调阅事由", "a purpose must be given"],
  ticket_required: ["需填写工单号", "a ticket number must be given"],
  too_many_streams: ["已达并发路数上限", "too many streams at once"],
  token_used: ["播放凭证已使用", "the play token was used before"],
  token_expired: ["播放凭证已过期", "the play token has expired"],
  device_busy: ["设备忙", "the device is busy"],
  rtp_ports_exhausted: ["RTP 端口已用完", "no RTP port is free"],
  no_output: ["没有输出", "no output"],
  stopped: ["已按请求停止", "stopped by request"],
  shutdown: ["网关正在关闭", "the gateway is stopping"],
  too_slow: ["接收太慢", "this viewer is too slow"],
};
const MAX_PENDING = 32 * 1024 * 1024;
const KEEP_BEHIND = 10; // seconds kept for the back button
const MAX_DELAY = 3; // seconds behind the live edge before jumping forward

const $ = (id) => document.getElementById(id);
const video = $("video");
let player = null;

function show(state, key, detail) {
  const [zh, en] = TEXT[key];
  $("state").dataset.state = state;
  $("state").textContent = `${zh} / ${en}` + (detail ? ` — ${detail}` : "");
}

function facts(values) {
  $("facts").replaceChildren(...Object.entries(values).flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
}

class Player {
  constructor(url) {
    this.url = url;
    this.queue = [];
    this.pending = 0;
    this.received = 0;
    this.started = performance.now();
    this.firstPicture = null;
    this.buffer = null;
    this.done = false;
    show("connecting", "connecting");
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = (event) => this.closed(event);
    this.timer = setInterval(() => this.look(), 500);
  }

  receive(data) {
    if (typeof data === "string") {
      let message;
      try { message = JSON.parse(data); } catch { return; }
      if (message.type === "info") this.open(message);
      return;
    }
    this.received += data.byteLength;
    this.queue.push(data);
    this.pending += data.byteLength;
    if (this.pending > MAX_PENDING) return this.fail("error", "decode", "too slow");
    this.pump();
  }

  open(info) {
    this.info = info;
    facts({ "视频 / video": info.video || "–", "音频 / audio": info.audio || "–" });
    const Source = window.ManagedMediaSource || window.MediaSource;
    if (!Source) return this.fail("unsupported", "noMse");
    if (!Source.isTypeSupported(info.mime)) return this.fail("unsupported", "unsupported", info.mime);
    this.source = new Source();
    if (window.ManagedMediaSource) video.disableRemotePlayback = true;
    this.source.addEventListener("sourceopen", () => {
      if (this.done) return;
      try {
        this.buffer = this.source.addSourceBuffer(info.mime);
      } catch (error) {
        return this.fail("unsupported", "unsupported", info.mime);
      }
      this.buffer.addEventListener("updateend", () => this.pump());
      this.buffer.addEventListener("error", () => this.fail("error", "decode"));
      this.pump();
    }, { once: true });
    video.src = this.objectUrl = URL.createObjectURL(this.source);
    show("buffering", "buffering");
    video.onplaying = () => {
      if (this.firstPicture === null) this.firstPicture = performance.now() - this.started;
      show("playing", "playing");
    };
    video.onerror = () => this.fail("error", "decode", video.error && video.error.message);
    video.play().catch(() => {}); // autoplay may need a click
  }

  pump() {
    const buffer = this.buffer;
    if (!buffer || buffer.updating || this.done || this.source.readyState !== "open") return;
    const ranges = buffer.buffered;
    if (ranges.length && video.currentTime - ranges.start(0) > 2 * KEEP_BEHIND) {
      buffer.remove(ranges.start(0), video.currentTime - KEEP_BEHIND);
      return;
    }
    const data = this.queue.shift();
    if (data === undefined) return;
    this.pending -= data.byteLength;
    try {
      buffer.appendBuffer(data);
    } catch (error) {
      if (error.name === "QuotaExceededError" && video.currentTime - ranges.start(0) > 1) {
        this.queue.unshift(data);
        this.pending += data.byteLength;
        buffer.remove(ranges.start(0), video.currentTime - 1);
      } else {
        this.fail("error", "decode", error.message);
      }
    }
  }

  look() {
    const ranges = video.buffered;
    if (ranges.length) {
      const start = ranges.start(ranges.length - 1);
      const end = ranges.end(ranges.length - 1);
      // A live stream does not begin at 0, and a stall must not leave it ever later.
      if (video.currentTime < start || end - video.currentTime > MAX_DELAY) {
        video.currentTime = Math.max(start, end - 0.5);
      }
      if (this.info) {
        facts({
          "视频 / video": `${this.info.video || "–"} ${video.videoWidth}×${video.videoHeight}`,
          "音频 / audio": this.info.audio || "–",
          "首帧 / first picture": this.firstPicture === null ? "…" : `${Math.round(this.firstPicture)} ms`,
          "已收 / received": `${(this.received / 1048576).toFixed(1)} MiB`,
          "延迟 / behind": `${(end - video.currentTime).toFixed(1)} s`,
        });
      }
    }
  }

  async closed(event) {
    if (this.done) return;
    if (event.code === 1006 && this.received === 0) {
      // The handshake was refused: browsers hide why, a plain request tells.
      return this.fail("error", "refused", await refusal(this.url));
    }
    const [, code, detail] = /^(\w+): (.*)$/s.exec(event.reason) || [];
    const ordinary = event.code === 1000 || code === "stopped" || code === "shutdown";
    this.fail(ordinary ? "stopped" : "error", this.received ? "over" : "failed",
              code ? `${words(code)} — ${detail}` : event.reason || `code ${event.code}`);
  }

  fail(state, key, detail) {
    this.stop();
    show(state, key, detail);
  }

  stop() {
    if (this.done) return;
    this.done = true;
    clearInterval(this.timer);
    this.socket.onclose = null;
    this.socket.close();
    video.onplaying = video.onerror = null;
    video.removeAttribute("src");
    video.load();
    if (this.objectUrl) URL.revokeObjectURL(this.objectUrl);
    this.queue = [];
  }
}

function words(code) {
  return code in REASON ? REASON[code].join(" / ") : code;
}

async function refusal(url) {
  const abort = new AbortController();
  try {
    const answer = await fetch(url.replace(/^ws/, "http"), { signal: abort.signal });
    if (!answer.ok) {
      const problem = await answer.json();
      return problem.code in REASON ? `${words(problem.code)} — ${problem.detail}` : problem.detail;
    }
    return "HTTP 可用，WebSocket 被拒绝；检查反向代理 / HTTP works, WebSocket is refused; is there a proxy?";
  } catch {
    return "";
  } finally {
    abort.abort();
  }
}

function begin() {
  if (player) player.stop();
  let url;
  try {
    url = new URL($("url").value.trim().replace(/^http/, "ws"), location.href.replace(/^http/, "ws"));
  } catch {
    return show("error", "badUrl");
  }
  if (!/^wss?:$/.test(url.protocol) || !url.pathname.endsWith(".mp4")) return show("error", "badUrl", ".mp4");
  const token = $("token").value.trim();
  if (token) url.searchParams.set("token", token);
  player = new Player(url.href);
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); begin(); });
$("stop").addEventListener("click", () => {
  if (player) player.stop();
  show("idle", "stopped");
});
window.addEventListener("pagehide", () => player && player.stop());

show("idle", "idle");
const given = new URLSearchParams(location.hash.slice(1) || location.search);
$("url").value = given.get("url") || given.get("ws") || "";
$("token").value = given.get("token") || "";
if ($("url").value) begin();

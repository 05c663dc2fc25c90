// Why there is no picture, or none any more; and whether trying again can help.

/** An operator's end of one session and an order in force have one code; only the order forbids to ask again. */
const BY_STOP_ORDER = /^(Forced stop|Sharing of this was stopped|共享已被强制停止)/;

/** What ended a viewing: a stable code, and the gateway's sentence about it. */
export class PlayError extends Error {
  /**
   * @param {string} code Stable word of the gateway or of this page.
   * @param {string} detail A sentence for people; may be empty.
   * @param {{status?: number, sessionId?: string, retryAfter?: number, path?: string}} facts
   */
  constructor(code, detail = "", facts = {}) {
    super(detail || code);
    this.name = "PlayError";
    this.code = code === "stopped" && BY_STOP_ORDER.test(detail) ? "forced_stop" : code;
    this.detail = detail;
    this.status = facts.status || 0;
    this.sessionId = facts.sessionId || "";
    this.retryAfter = facts.retryAfter || 0; // seconds
    this.path = facts.path || "";
    this.attempts = []; // [{path, code, detail}] of the ways tried before
  }
}

/** Read the problem (RFC 9457) in an answer. */
export async function problemOf(response) {
  let body = {};
  try { body = await response.json(); } catch { /* not a problem: the status must do */ }
  const retry = Number(response.headers.get("Retry-After"));
  return new PlayError(body.code || `http_${response.status}`, body.detail || "", {
    status: response.status,
    sessionId: body.session_id,
    retryAfter: Number.isFinite(retry) ? retry : 0,
  });
}

/** Read the reason, `code: detail`, of a WebSocket's close frame. */
export function closeReason(event) {
  const [, code, detail] = /^(\w+)(?::\s*(.*))?$/s.exec(event.reason) || [];
  return new PlayError(code || "connection_lost", detail || (code ? "" : event.reason));
}

/** Whatever was thrown, as a PlayError. */
export function asPlayError(error) {
  if (error instanceof PlayError) return error;
  if (error && error.name === "AbortError") return new PlayError("cancelled");
  // fetch() reports a lost network as a TypeError without further word.
  if (error instanceof TypeError) return new PlayError("unreachable_gateway");
  if (error && typeof error.code === "string") {
    return new PlayError(error.code, error.detail || "", {
      status: error.status,
      sessionId: error.problem && error.problem.session_id,
      retryAfter: error.retryAfter,
    });
  }
  return new PlayError("page_error", String((error && error.message) || error));
}

/** These belong to one way of bringing the picture: another way may do. */
const OF_THE_WAY = new Set([
  "codec_not_supported", "browser_codec", "no_mse", "no_webrtc", "no_native_hls", "not_offered",
  "webrtc_failed", "webrtc_no_media", "websocket_blocked", "no_media_yet", "decode_failed", "stalled", "hls_failed",
  "http_404", "http_405", "http_406", "http_415", "http_501", "not_found", "method_not_allowed",
  "codec_unsupported", "webrtc_ports_exhausted", "webrtc_not_connected", "viewer_lost", "offer_invalid", "wrong_content_type",
]);

/** Nobody is helped by asking again: somebody decided, or it does not exist. */
const FINAL = new Set([
  "denied", "no_rule", "secrecy", "zone", "identity_required", "expired", "revoked", "not_yet_valid",
  "purpose_required", "ticket_required", "scope_missing", "role_missing", "key_disabled", "key_expired",
  "forced_stop", "ended", "channel_unknown", "device_unknown", "not_a_camera", "channel_ambiguous",
  "browser_codec", "codec_not_supported", "no_way", "origin_refused", "token_for_other_stream", "page_error",
  "logged_out", "http_401", "unauthorized",
]);

/** An operator ended it, or the hours are over: worth another look only now and then, or on request. */
const BY_ORDER = new Set(["stopped"]);
const RARELY = new Set(["outside_window", "audit_unavailable", "too_many_viewers", "too_many_streams",
  "device_offline", "channel_offline", "invite_refused", "device_busy"]);

/** Whether another way (WHEP, fMP4, HLS) may still bring the picture. */
export const isOfTheWay = (error) => OF_THE_WAY.has(error.code);

/**
 * Seconds until the next try, null if there shall be none without a person asking for it.
 * @param {PlayError} error
 * @param {number} failures In a row, this one included.
 * @param {() => number} random 0 up to 1; spreads sixteen tiles that lost their picture at one instant.
 */
export function nextTry(error, failures, random = Math.random) {
  // Whoever has changed the network opens the picture again from there.
  const refused = (error.status === 403 && error.code !== "viewing_elsewhere") || (error.status === 401 && !error.code.startsWith("token_"));
  if (refused || FINAL.has(error.code) || BY_ORDER.has(error.code)) return null;
  const slowest = RARELY.has(error.code) ? 60 : 30;
  const base = Math.min(slowest, (RARELY.has(error.code) ? 5 : 1) * 2 ** Math.min(failures - 1, 6));
  return Math.max(error.retryAfter, base * (0.75 + random() / 2));
}

// The gateway's API: fetch with the session cookie, the CSRF header, a deadline, and errors in words.
//
//   const page = await api.get("channels", {query: {q, limit: 50}, signal: this.signal});
//   await api.post(`devices/${id}/sync`);
//
// A refused request rejects with ApiError; one that was aborted rejects with the AbortError of its signal
// (`isAbort(error)`). When the session has expired a dialog asks for the password, and the request goes on after it.

import { problemWords } from "./codes.js";
import { currentLanguage } from "./i18n.js";

const BASE = "/api/v1/";
const TIMEOUT = 30_000; // milliseconds; a camera may take its time to answer

/** A request that did not succeed. */
export class ApiError extends Error {
  /** status 0: no answer came. problem: the RFC 9457 object, if there was one. */
  constructor(status, code, detail, problem = {}) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.detail = detail;
    /** The sentence that names fields, what was expected and what came; English, see spoken(). */
    this.exact = problem.detail_en || detail;
    this.problem = problem;
  }

  /** {title, hint}: what happened and what to do, in the reader's language. */
  get words() {
    return problemWords(this);
  }

  /** Whether the gateway did not answer at all. */
  get isOffline() {
    return this.status === 0;
  }

  /** Wrong fields of a form: {field: message}. */
  get fields() {
    const errors = Array.isArray(this.problem.errors) ? this.problem.errors : [];
    return Object.fromEntries(errors.filter((item) => item.field).map((item) => [item.field, item.message]));
  }
}

export const isAbort = (error) => error?.name === "AbortError";

const state = { csrf: null, relogin: null };

/** Set by lib/session.js: the token of the session, and what asks for the password anew. */
export function useSession({ csrf, relogin }) {
  if (csrf !== undefined) state.csrf = csrf;
  if (relogin !== undefined) state.relogin = relogin;
}

async function send(method, path, { query, body, signal, timeout = TIMEOUT, headers = {}, quiet = false, as } = {}) {
  const url = new URL(path.startsWith("/") ? path : BASE + path, location.origin);
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeout);
  const abort = () => deadline.abort(signal.reason);
  if (signal?.aborted) throw signal.reason;
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const answer = await fetch(url, {
      method,
      headers: {
        Accept: "application/json, application/problem+json",
        // Errors come in this language where the server has words for them.
        "Accept-Language": currentLanguage() === "zh" ? "zh-CN" : "en",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(state.csrf && method !== "GET" ? { "X-CSRF-Token": state.csrf } : {}),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: deadline.signal,
    });
    if (answer.ok) return await decoded(answer, as);
    throw await refused(answer);
  } catch (error) {
    if (error instanceof ApiError) {
      if (error.status === 401 && !quiet && state.relogin) {
        clearTimeout(timer);
        await state.relogin(error);
        return await send(method, path, { query, body, signal, timeout, headers, quiet: true, as });
      }
      throw error;
    }
    if (signal?.aborted) throw signal.reason;
    const code = deadline.signal.aborted ? "no_answer_in_time" : "unreachable_gateway";
    throw new ApiError(0, code, String(error?.message || error));
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

async function decoded(answer, as) {
  if (as === "response") return answer;
  if (as === "blob") return await answer.blob();
  if (as === "text") return await answer.text();
  if (answer.status === 204) return null;
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

async function refused(answer) {
  let problem = {};
  try {
    problem = await answer.json();
  } catch { /* a proxy in between answers in HTML */ }
  const error = new ApiError(answer.status, problem.code || `http_${answer.status}`, problem.detail || "", problem);
  error.retryAfter = Number(answer.headers.get("Retry-After")) || null;
  return error;
}

export const api = {
  get: (path, options) => send("GET", path, options),
  post: (path, body, options) => send("POST", path, { ...options, body }),
  put: (path, body, options) => send("PUT", path, { ...options, body }),
  patch: (path, body, options) => send("PATCH", path, { ...options, body }),
  delete: (path, options) => send("DELETE", path, options),
};

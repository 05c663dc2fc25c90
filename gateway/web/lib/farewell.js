// Requests that api.js is not made for: bodies that are no JSON, and those that outlive the page.

import { currentSession } from "./session.js";

/** fetch() with what a session cookie needs besides. */
export function request(url, options = {}) {
  const csrf = currentSession()?.csrf;
  const plain = !options.method || options.method === "GET";
  const headers = { ...options.headers, ...(csrf && !plain ? { "X-CSRF-Token": csrf } : {}) };
  return fetch(url, { credentials: "same-origin", ...options, headers });
}

/** POST JSON so that it gets out also while the page is being left; nobody learns what came of it. */
export async function farewell(path, body) {
  await request(`/api/v1/${path}`, {
    method: "POST", keepalive: true, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
}

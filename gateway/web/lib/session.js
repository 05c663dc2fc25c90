// Who is logged in, and what they may see.

import { api, useSession } from "./api.js";

const RANK = { viewer: 1, operator: 2, admin: 3 };

let session = null;

/** {user, display_name, role, department, scopes, csrf, expires_at, must_change_password} or null. */
export function currentSession() {
  return session;
}

function take(value) {
  session = value;
  useSession({ csrf: value?.csrf ?? null });
  window.dispatchEvent(new CustomEvent("gb-session", { detail: value }));
  return value;
}

/** Ask whether this browser has a session; null if not. */
export async function loadSession() {
  try {
    return take(await api.get("console/session", { quiet: true }));
  } catch (error) {
    if (error.status === 401 || error.status === 403) return take(null);
    throw error;
  }
}

export async function login(name, password) {
  return take(await api.post("console/login", { name, password }, { quiet: true }));
}

export async function setUp(adminToken, name, password) {
  return take(await api.post("console/setup", { admin_token: adminToken, name, password }, { quiet: true }));
}

/** Change one's own password; the session goes on. */
export async function changeOwnPassword(old, fresh) {
  return take(await api.post("console/password", { old, new: fresh }, { quiet: true }));
}

export async function logout() {
  try {
    await api.delete("console/session", { quiet: true });
  } finally {
    take(null);
  }
}

/** Whether they belong to the gateway's own domain (not to a department it shares with). */
export function isLocal(who = session) {
  return Boolean(who && !who.department && who.role in RANK);
}

/**
 * Whether they may use something: "any", "local" (viewer and above), "operator", "admin", "outside" (departments),
 * or a scope ("live", "ptz", "catalog" ...). The server decides again; this only spares people useless buttons.
 */
export function may(what, who = session) {
  if (!who) return false;
  if (!what || what === "any") return true;
  if (what === "local") return isLocal(who);
  if (what === "outside") return !isLocal(who);
  if (what in RANK) return isLocal(who) && RANK[who.role] >= RANK[what];
  return Array.isArray(who.scopes) && who.scopes.includes(what);
}

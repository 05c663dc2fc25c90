// Names of departments and platforms, for pages that show their codes; and how a subject and a face are said.

import { h } from "../lib/element.js";
import { api } from "../lib/api.js";
import { words } from "../lib/i18n.js";
import { codes } from "../lib/codes.js";

export const strings = {
  zh: {
    "department": "部门 {name}", "platform": "平台 {name}", "key": "密钥 {name}", "user": "用户 {name}", "role": "{name}", "nobody": "未知",
    "identity": "用户身份 {name}", "system": "网关", "via.sip": "SIP 级联", "via.http": "HTTP", "via.rtsp": "RTSP", "via.webrtc": "WebRTC", "via.push": "转推", "via.rtmp": "RTMP",
    "via.hls": "HLS",
  },
  en: {
    "department": "Department {name}", "platform": "Platform {name}", "key": "Key {name}", "user": "User {name}", "role": "{name}", "nobody": "Unknown",
    "identity": "Identity {name}", "system": "The gateway", "via.sip": "SIP cascade", "via.http": "HTTP", "via.rtsp": "RTSP", "via.webrtc": "WebRTC", "via.push": "Push",
    "via.rtmp": "RTMP", "via.hls": "HLS",
  },
};
const t = words(strings);

const MOST = 500; // platforms and departments whose names are asked for at once

/** {departments, platforms}: their items; empty where the caller may not see them. */
export async function loadParties(signal) {
  const list = (path, query) => api.get(path, { query, signal }).then((page) => page.items, () => []);
  const [departments, platforms] = await Promise.all([list("departments"), list("platforms", { limit: MOST })]);
  return { departments, platforms };
}

/** Names by code, for subjectText() and whoText(). */
export const namesOf = ({ departments, platforms }) => new Map([
  ...platforms.map((item) => [item.platform_id, item.name || item.platform_id]), ...departments.map((item) => [item.code, item.name]),
]);

/** [what they are, what identifies them besides] of {platform, department, key, user, role, identity}. */
export function whoText(subject, names = new Map()) {
  const named = (kind) => t(kind, { name: names.get(subject[kind]) || subject[kind] });
  if (subject.platform) return [named("platform"), subject.identity ? t("identity", { name: subject.identity }) : subject.platform];
  if (subject.department) {
    return [named("department"), subject.user ? t("user", { name: subject.user }) : subject.key ? t("key", { name: subject.key }) : ""];
  }
  const role = subject.role ? codes.code("role", subject.role) : "";
  if (subject.user) return [subject.user, role];
  if (subject.key) return [named("key"), role];
  return [role || t("nobody"), ""];
}

/** The same as a cell of a table. */
export function whoCell(subject, names) {
  const [title, note] = whoText(subject, names);
  return h("div", { class: "cell-main" }, h("span", { class: "cell-title" }, title), note && h("span", { class: "cell-note" }, note));
}

/** A face of the gateway. */
export const viaText = (via) => (via ? t.code("via", via) : "–");

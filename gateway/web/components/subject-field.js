// Choosing who is meant: a platform, a department, a key, a user or a role; and the names of those there are.

import { api } from "../lib/api.js";
import { codes } from "../lib/codes.js";
import { h } from "../lib/element.js";
import { words } from "../lib/i18n.js";
import { field } from "../lib/ui.js";

export const strings = {
  zh: { "kind": "对象", "department": "部门", "platform": "平台", "key": "密钥", "user": "用户", "role": "本单位角色", "outside": "所有外部单位和平台", "choose": "请选择…", "key.id": "密钥编号", "user.name": "用户名",
    "none.department": "还没有部门", "none.platform": "还没有平台" },
  en: { "kind": "Who", "department": "Department", "platform": "Platform", "key": "Key", "user": "User", "role": "Role of our own", "outside": "Everybody outside",
    "choose": "Choose…", "key.id": "Identifier of the key", "user.name": "Name of the user", "none.department": "There is no department yet", "none.platform": "There is no platform yet" },
};
const t = words(strings);

/** Departments and platforms with their names: {departments: [[code, text]...], platforms, names: Map}. */
export async function loadParties(signal) {
  const [departments, platforms] = await Promise.all([api.get("departments", { signal }), api.get("platforms", { query: { limit: 1000 }, signal })]);
  const names = new Map();
  const option = (code, name) => {
    names.set(code, name ? `${name} (${code})` : code);
    return [code, names.get(code)];
  };
  return {
    departments: departments.items.map((item) => option(item.code, item.name)),
    platforms: platforms.items.map((item) => option(item.platform_id, item.name)), names,
  };
}

/** Fields of {kind, id}; `kinds` are those offered; `change` is called with what is new of it. */
export function subjectFields(who, parties, { kinds = ["department", "platform", "key", "user", "role"], change, error = null, prefix = "who" }) {
  const { kind, id } = who;
  const set = (event) => change({ id: event.target.value });
  const common = { name: "id", id: `${prefix}-id`, label: t(kind === "key" ? "key.id" : kind === "user" ? "user.name" : kind), value: id, error, required: true };
  let second = null;
  if (kind === "role") second = field({ ...common, type: "select", options: ["admin", "operator", "viewer"].map((role) => [role, codes.code("role", role)]), onchange: set });
  else if (kind === "department" || kind === "platform") {
    const list = parties[`${kind}s`];
    second = field({ ...common, type: "select", options: [["", list.length ? t("choose") : t(`none.${kind}`)], ...list], onchange: set });
  } else if (kind !== "outside") second = field({ ...common, class: "mono", spellcheck: "false", maxlength: 100, oninput: set });
  return [
    h("div", { key: "who-kind" }, field({ label: t("kind"), name: "kind", id: `${prefix}-kind`, type: "select", value: kind, options: kinds.map((one) => [one, t(one)]),
      onchange: (event) => change({ kind: event.target.value, id: event.target.value === "role" ? "viewer" : "" }) })),
    second && h("div", { key: `who-${kind}` }, second),
  ];
}

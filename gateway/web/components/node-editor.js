// Nodes of a custom tree: the list as it hangs together, and the dialog of one node.

import { h } from "../lib/element.js";
import { words } from "../lib/i18n.js";
import { button, empty, field, iconButton } from "../lib/ui.js";
import { kindOfCode } from "./catalog-items.js";
import { kindIcon } from "./device-row.js";
import { openDialog } from "./dialog.js";
import { objectsText } from "./sharing-words.js";
import "./selector.js";

export const strings = {
  zh: {
    "nodes": "自定义树的节点", "none": "还没有节点", "none.hint": "添加行政区划、业务分组或虚拟组织，并指定放入其中的通道。", "add": "添加节点", "add.below": "在“{name}”下添加", "edit": "编辑“{name}”",
    "remove": "删除“{name}”及其下级", "new": "添加节点", "change": "编辑节点", "kind": "节点类型", "kind.region": "行政区划（2–8 位）", "kind.group": "业务分组（215）",
    "kind.organisation": "虚拟组织（216）", "code": "编码", "code.hint": "区划为 2、4、6 或 8 位；分组和组织为 20 位，已按本级编码建议。", "name": "名称", "parent": "上级节点", "top": "直接在平台下",
    "holds": "放入的通道", "holds.none": "不放入通道", "holds.some": "放入符合条件的通道", "code.region": "应为 2、4、6 或 8 位数字", "code.group": "应为 20 位数字，第 11–13 位为 {type}",
    "code.used": "此编码已被使用", "name.none": "请填写名称", "parent.none": "虚拟组织须在业务分组或虚拟组织之下", "holds.no": "不放入通道",
  },
  en: {
    "nodes": "Nodes of the custom tree", "none": "There is no node yet", "none.hint": "Add divisions, business groups or organisations, and say which channels go there.",
    "add": "Add a node", "add.below": "Add below “{name}”", "edit": "Edit “{name}”", "remove": "Delete “{name}” and what is below", "new": "Add a node",
    "change": "Edit the node", "kind": "Kind", "kind.region": "Division (2–8 digits)", "kind.group": "Business group (215)",
    "kind.organisation": "Organisation (216)", "code": "Code", "code.hint": "2, 4, 6 or 8 digits for a division; 20 for groups and organisations, suggested from our own code.",
    "name": "Name", "parent": "Node above", "top": "Directly below the platform", "holds": "Channels placed here", "holds.none": "None",
    "holds.some": "Those that fit", "code.region": "Expected 2, 4, 6 or 8 digits", "code.group": "Expected 20 digits, {type} in digits 11–13",
    "code.used": "This code is in use", "name.none": "Give a name", "parent.none": "An organisation needs a group or organisation above it", "holds.no": "no channels",
  },
};
const t = words(strings);

const TYPES = { group: "215", organisation: "216" };

/** The nodes as a nested list; `act` has add(parent), edit(node), remove(node); null for who may only look. */
export function nodeList(nodes, act) {
  if (!nodes.length) {
    return empty({ title: t("none"), hint: t("none.hint"), icon: "folder",
      action: act && button(t("add"), { icon: "plus", kind: "primary", onclick: () => act.add("") }) });
  }
  return h("div", { class: "stack-tight" }, branch(nodes, "", act, t("nodes")),
    act && h("div", { class: "row" }, button(t("add"), { icon: "plus", small: true, onclick: () => act.add("") })));
}

function branch(nodes, parent, act, label = null, depth = 0) {
  const known = new Set(nodes.map((node) => node.node_id));
  const own = nodes.filter((node) => (parent ? node.parent_id === parent : !node.parent_id || !known.has(node.parent_id)));
  if (!own.length || depth > 16) return null;
  return h("ul", { class: "nodes", "aria-label": label }, own.map((node) => h("li", { key: node.node_id },
    h("div", { class: "node" }, kindIcon(kindOfCode(node.node_id), { size: 18 }),
      h("div", { class: "cell-main grow" }, h("span", { class: "cell-title" }, node.name, " ", h("span", { class: "mono muted" }, node.node_id)),
        h("span", { class: "cell-note" }, node.select ? objectsText(node.select) : t("holds.no"))),
      act && h("span", { class: "row" },
        iconButton("plus", t("add.below", { name: node.name }), { small: true, onclick: () => act.add(node.node_id) }),
        iconButton("edit", t("edit", { name: node.name }), { small: true, onclick: () => act.edit(node) }),
        iconButton("trash", t("remove", { name: node.name }), { small: true, onclick: () => act.remove(node) }))),
    branch(nodes, node.node_id, act, null, depth + 1))));
}

/** All codes below a node, its own included. */
export function withBelow(nodes, code) {
  const found = new Set([code]);
  let before = 0;
  while (found.size !== before) {
    before = found.size;
    for (const node of nodes) if (found.has(node.parent_id)) found.add(node.node_id);
  }
  return found;
}

/** The next free code of a kind within our own domain. */
function suggested(kind, nodes, own) {
  if (kind === "region") return "";
  const start = `${own.slice(0, 8)}00${TYPES[kind]}${own.slice(13, 14) || "0"}`;
  for (let number = 1; ; number += 1) {
    const code = start + String(number).padStart(6, "0");
    if (!nodes.some((node) => node.node_id === code)) return code;
  }
}

/** Add a node (null) below a parent, or change one; resolves with the node, or null. */
export function editNode(nodes, node, parent, own) {
  const above = nodes.find((item) => item.node_id === parent);
  const aboveKind = above && kindOfCode(above.node_id);
  const kind = node ? kindOfCode(node.node_id) : !above ? "region" : aboveKind === "region" ? "region" : "organisation";
  const state = {
    kind, code: node ? node.node_id : suggested(kind, nodes, own), name: node?.name || "", parent: node ? node.parent_id : parent,
    holds: Boolean(node?.select), select: node?.select || {}, errors: {},
  };
  return openDialog({ title: () => t(node ? "change" : "new"), wide: true, render: (close, update) => form(state, { nodes, node, own, close, update }) });
}

function form(state, { nodes, node, own, close, update }) {
  const banned = node ? withBelow(nodes, node.node_id) : new Set();
  const send = (event) => {
    event.preventDefault();
    const selector = event.target.querySelector("gb-selector");
    if (selector) state.select = selector.selector;
    state.errors = wrong(state, nodes, node);
    if (Object.keys(state.errors).length) {
      update();
      return;
    }
    close({ node_id: state.code.trim(), name: state.name.trim(), parent_id: state.parent, select: state.holds ? state.select : null });
  };
  const { errors } = state;
  return h("form", { class: "dialog-form", onsubmit: send, autocomplete: "off", novalidate: true },
    h("div", { class: "dialog-body" },
      h("div", { class: "form-grid" },
        field({ label: t("kind"), name: "kind", id: "node-kind", type: "select", value: state.kind, disabled: Boolean(node),
          options: ["region", "group", "organisation"].map((kind) => [kind, t(`kind.${kind}`)]),
          onchange: (event) => {
            state.kind = event.target.value;
            state.code = suggested(state.kind, nodes, own);
            update();
          } }),
        field({ label: t("parent"), name: "parent", id: "node-parent", type: "select", value: state.parent, error: errors.parent,
          options: [["", t("top")], ...nodes.filter((item) => !banned.has(item.node_id)).map((item) => [item.node_id, `${item.name} ${item.node_id}`])],
          onchange: (event) => { state.parent = event.target.value; } }),
        h("div", null, field({ label: t("code"), name: "code", id: "node-code", required: true, class: "mono", inputmode: "numeric", maxlength: 20, hint: t("code.hint"), error: errors.code,
          ".value": state.code, readonly: Boolean(node), oninput: (event) => { state.code = event.target.value; } })),
        field({ label: t("name"), name: "name", id: "node-name", required: true, maxlength: 128, error: errors.name, ".value": state.name, autofocus: true,
          oninput: (event) => { state.name = event.target.value; } })),
      field({ label: t("holds"), name: "holds", id: "node-holds", type: "select", value: state.holds ? "some" : "none",
        options: [["none", t("holds.none")], ["some", t("holds.some")]], onchange: (event) => {
          state.holds = event.target.value === "some";
          update();
        } }),
      state.holds ? h("gb-selector", { ".selector": state.select }) : null),
    h("footer", { class: "dialog-foot" }, button(t("cancel"), { kind: "ghost", onclick: () => close() }),
      button(t("ok"), { kind: "primary", type: "submit" })));
}

function wrong({ kind, code, name, parent }, nodes, node) {
  const errors = {};
  const plain = code.trim();
  if (kind === "region" ? !/^(\d{2}){1,4}$/.test(plain) : !/^\d{20}$/.test(plain) || plain.slice(10, 13) !== TYPES[kind]) {
    errors.code = kind === "region" ? t("code.region") : t("code.group", { type: TYPES[kind] });
  } else if (!node && nodes.some((item) => item.node_id === plain)) errors.code = t("code.used");
  if (!name.trim()) errors.name = t("name.none");
  const above = parent && kindOfCode(parent);
  if (kind === "organisation" && !["group", "organisation"].includes(above)) errors.parent = t("parent.none");
  return errors;
}

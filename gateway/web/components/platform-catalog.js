// <gb-platform-catalog .platform>: the catalogue a platform gets, how it is arranged, and what a change of that would change.

import { api, isAbort } from "../lib/api.js";
import { View, define, h } from "../lib/element.js";
import { number, words } from "../lib/i18n.js";
import { may } from "../lib/session.js";
import { badge, button, card, empty, errorState, figure, notice, searchField, segmented, skeleton } from "../lib/ui.js";
import { changedFields, difference, kindOfCode, loadCatalog, loadCodes, treeOf } from "./catalog-items.js";
import { confirm, formError } from "./dialog.js";
import { kindIcon } from "./device-row.js";
import { editNode, nodeList, withBelow } from "./node-editor.js";
import { spoken } from "./spoken.js";
import { toast } from "./toast.js";
import "./tree.js";

export const strings = {
  zh: {
    "arrange": "编排方式", "tree.kept": "沿用下级目录", "tree.kept.hint": "按下级平台、行政区划、业务分组和虚拟组织原样上报。", "tree.division": "按行政区划",
    "tree.division.hint": "按通道的行政区划编码（CivilCode）归到各级区划节点。", "tree.custom": "自定义", "tree.custom.hint": "只上报下面各节点及所选的通道。",
    "codes": "上报编码", "codes.keep": "保留下级编码", "codes.rename": "全部换成本级编码", "preview": "将上报的目录", "preview.draft": "预览：按修改后的编排", "items": "目录项", "cameras": "摄像机", "nodes": "节点", "masked": "名称已脱敏",
    "renamed": "编码已换", "find": "按名称或编码查找", "view": "显示", "view.tree": "目录树", "view.changes": "差异", "view.items": "列表", "added": "新增 {n}", "removed": "移除 {n}", "changed": "变化 {n}", "same": "与平台现有目录相同",
    "now": "与平台现有目录相比", "mark.added": "新增", "mark.changed": "变化", "mark.removed": "移除", "mark.masked": "脱敏", "mark.offline": "离线", "own.name": "本级名称：{name}",
    "own.code": "本级编码：{code}", "empty": "没有可上报的内容", "empty.hint": "共享策略还没有向该平台开放任何通道。", "partial": "仅载入前 {n} 项，共 {total} 项", "load": "全部载入",
    "dirty": "编排有改动，尚未保存", "save": "保存编排", "discard": "放弃改动", "save.title": "保存目录编排？", "save.text": "平台收到的目录将：新增 {added} 项，移除 {removed} 项，变化 {changed} 项。",
    "saved": "目录编排已保存", "remove.title": "删除节点？", "remove.text": "将删除“{name}”及其下级共 {n} 个节点；改动在保存后生效。", "rest": "另有 {n} 项", "wrong": "这样的编排不可用", "in.cameras": "{n} 路",
    "field.parent_id": "上级", "field.name": "名称", "field.status": "状态", "field.civil_code": "行政区划", "field.business_group_id": "业务分组", "field.address": "地址", "field.longitude": "经度", "field.latitude": "纬度",
  },
  en: {
    "arrange": "Arrangement", "tree.kept": "As below", "tree.kept.hint": "Platforms, divisions, groups and organisations as the lower levels arranged them.",
    "tree.division": "By division", "tree.division.hint": "Under divisions made from the channels' CivilCode.", "tree.custom": "Custom",
    "tree.custom.hint": "Only the nodes below and the channels they select.", "codes": "Codes sent up", "codes.keep": "The cameras' own",
    "codes.rename": "New ones of our domain", "preview": "The catalogue sent up", "preview.draft": "Preview with the changes", "items": "Items",
    "cameras": "Cameras", "nodes": "Nodes", "masked": "Names masked", "renamed": "Codes changed", "find": "Find by name or code", "view": "Show",
    "view.tree": "Tree", "view.changes": "Differences", "view.items": "List", "added": "{n} added", "removed": "{n} removed", "changed": "{n} changed",
    "same": "The same as the platform has now", "now": "Against what the platform has now", "mark.added": "new", "mark.changed": "changed",
    "mark.removed": "removed", "mark.masked": "masked", "mark.offline": "offline", "own.name": "Our name: {name}", "own.code": "Our code: {code}",
    "empty": "Nothing is sent up", "empty.hint": "The sharing policy gives this platform no channel yet.", "partial": "The first {n} of {total} items are shown",
    "load": "Load all", "dirty": "The arrangement has changes that are not saved", "save": "Save", "discard": "Discard",
    "save.title": "Save the arrangement?", "save.text": "The platform's catalogue: {added} items added, {removed} removed, {changed} changed.",
    "saved": "The arrangement is saved", "remove.title": "Delete the node?", "remove.text": "“{name}” and what is below it go: {n} nodes. It counts once saved.",
    "rest": "and {n} more", "wrong": "This arrangement cannot be used", "in.cameras": "{n}",
    "field.parent_id": "Parent", "field.name": "Name", "field.status": "Status", "field.civil_code": "Division", "field.business_group_id": "Business group", "field.address": "Address",
    "field.longitude": "Longitude", "field.latitude": "Latitude",
  },
};
const t = words(strings);

const FIRST = 5_000; // items loaded without being asked
const MOST = 200_000;
const WAIT = 250; // milliseconds without a change before the preview is made anew
const LISTED = 200; // rows of a flat list

class PlatformCatalog extends View {
  #platform = null;
  #most = FIRST;
  #kept = null; // {tree, nodes, id_mode}
  #draft = null;
  #now = null; // {items, total} the platform has
  #shown = null; // {items, total} it would have
  #codes = new Map();
  #error = null;
  #wrong = null;
  #view = "tree";
  #q = "";
  #timer = null;
  #round = 0;
  #made = null;

  set platform(value) {
    const other = value?.platform_id !== this.#platform?.platform_id;
    const changed = this.#platform && (value.tree !== this.#platform.tree || value.id_mode !== this.#platform.id_mode);
    this.#platform = value;
    if (this.isConnected && (other || (changed && !this.#dirty))) this.#load();
  }

  start() {
    this.#load();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  get #path() {
    return `platforms/${encodeURIComponent(this.#platform.platform_id)}`;
  }

  get #dirty() {
    return this.#draft !== null && JSON.stringify(this.#draft) !== JSON.stringify(this.#kept);
  }

  /** A custom tree to which no node was added yet. */
  get #isBare() {
    return this.#draft.tree === "custom" && !this.#draft.nodes.length;
  }

  async #load() {
    const { signal } = this;
    const id = this.#platform.platform_id;
    this.#round += 1;
    try {
      const [tree, now, codes] = await Promise.all([api.get(`${this.#path}/tree`, { signal }), loadCatalog(id, null, this.#most, signal),
        loadCodes(id, this.#most, signal)]);
      this.#kept = { tree: tree.tree, nodes: tree.nodes, id_mode: this.#platform.id_mode };
      this.#draft ??= structuredClone(this.#kept);
      this.#now = now;
      this.#codes = codes;
      this.#error = null;
      if (!this.#dirty) this.#show(now);
      else await this.#preview();
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.update();
  }

  #show(found) {
    this.#shown = found;
    this.#made = { tree: treeOf(found.items), difference: difference(this.#now.items, found.items) };
    const { tree } = this.#made;
    this.#made.load = async (node, { offset, limit }) => {
      const items = node ? tree.below.get(node.device_id) || [] : tree.roots;
      return { items: items.slice(offset, offset + limit), total: items.length };
    };
  }

  #change(changes) {
    this.#draft = { ...this.#draft, ...changes };
    this.update();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#preview(), WAIT);
  }

  async #preview() {
    this.#round += 1;
    const round = this.#round;
    if (!this.#dirty) {
      this.#wrong = null;
      this.#show(this.#now);
      this.update();
      return;
    }
    if (this.#isBare) {
      this.#wrong = null;
      this.#show({ items: [], total: 0 });
      this.update();
      return;
    }
    try {
      const found = await loadCatalog(this.#platform.platform_id, this.#draft, this.#most, this.signal);
      if (round !== this.#round) return;
      this.#wrong = null;
      this.#show(found);
    } catch (error) {
      if (isAbort(error) || round !== this.#round) return;
      this.#wrong = error;
    }
    this.update();
  }

  async #save() {
    const { added, removed, changed } = this.#made.difference;
    const yes = await confirm({
      title: t("save.title"), yes: t("save"), text: t("save.text", { added: number(added.length), removed: number(removed.length), changed: number(changed.length) }),
      act: () => api.patch(this.#path, this.#draft),
    });
    if (!yes) return;
    toast(t("saved"));
    this.#platform = { ...this.#platform, tree: this.#draft.tree, id_mode: this.#draft.id_mode };
    this.#draft = null;
    this.dispatchEvent(new CustomEvent("saved"));
    await this.#load();
  }

  get #own() {
    return this.#platform.local_id || this.#now?.items[0]?.device_id || this.#platform.platform_id;
  }

  #acts() {
    if (!may("admin")) return null;
    const { nodes } = this.#draft;
    return {
      add: async (parent) => {
        const node = await editNode(nodes, null, parent, this.#own);
        if (node) this.#change({ nodes: [...nodes, node] });
      },
      edit: async (node) => {
        const changed = await editNode(nodes, node, node.parent_id, this.#own);
        if (changed) this.#change({ nodes: nodes.map((item) => (item === node ? changed : item)) });
      },
      remove: async (node) => {
        const gone = withBelow(nodes, node.node_id);
        if (await confirm({ title: t("remove.title"), text: t("remove.text", { name: node.name, n: gone.size }), yes: t("delete"), danger: true })) {
          this.#change({ nodes: nodes.filter((item) => !gone.has(item.node_id)) });
        }
      },
    };
  }

  render() {
    if (this.#error && !this.#shown) return errorState(this.#error, { retry: () => this.#load() });
    if (!this.#shown) return skeleton(10);
    return h("div", { class: "catalog-panes" }, h("div", { class: "stack" }, this.#arrangement()), this.#result());
  }

  #arrangement() {
    const draft = this.#draft;
    const mayEdit = may("admin");
    return [
      this.#dirty ? h("div", { class: "notice notice-warn catalog-dirty", role: "status" }, h("div", { class: "notice-text" }, h("strong", null, t("dirty"))),
        button(t("discard"), { small: true, kind: "ghost", onclick: () => this.#change(structuredClone(this.#kept)) }),
        button(t("save"), { small: true, kind: "primary", disabled: Boolean(this.#wrong) || this.#isBare, onclick: () => this.#save() })) : null,
      this.#wrong ? this.#problem(this.#wrong) : null,
      card({ title: t("arrange") }, h("div", { class: "stack" },
        h("div", { class: "choices", role: "radiogroup", "aria-label": t("arrange") }, ["kept", "division", "custom"].map((mode) =>
          h("label", { class: ["choice", draft.tree === mode && "choice-on"] },
            h("input", { type: "radio", name: "tree-mode", value: mode, ".checked": draft.tree === mode, disabled: !mayEdit, onchange: () => this.#change({ tree: mode }) }),
            h("span", { class: "cell-main" }, h("span", { class: "cell-title" }, t(`tree.${mode}`)), h("span", { class: "cell-note" }, t(`tree.${mode}.hint`)))))),
        h("div", { class: "field" }, h("span", { class: "field-label" }, t("codes")),
          mayEdit ? h("div", null, segmented([["keep", t("codes.keep")], ["rename", t("codes.rename")]], draft.id_mode, (id) => this.#change({ id_mode: id }), { label: t("codes") }))
            : h("span", null, t(`codes.${draft.id_mode}`))))),
      draft.tree === "custom" ? card({ title: t("nodes") }, nodeList(draft.nodes, this.#acts())) : null,
    ];
  }

  #problem(error) {
    if (error.code !== "invalid_platform" && error.code !== "policy_invalid") return formError(error);
    const detail = error.exact.replace(/^[a-z_]+: /, "");
    return notice(spoken(detail), "bad", { title: t("wrong") });
  }

  #result() {
    const { items, total } = this.#shown;
    const made = this.#made;
    const cameras = items.filter((item) => kindOfCode(item.device_id) === "camera");
    const masked = items.filter((item) => this.#isMasked(item));
    const renamed = items.filter((item) => this.#isRenamed(item));
    return card({ title: t(this.#dirty ? "preview.draft" : "preview") }, h("div", { class: "stack" },
      h("div", { class: "figures figures-small" }, figure(number(total), t("items")), figure(number(cameras.length), t("cameras")),
        figure(number(items.length - cameras.length), t("nodes")), figure(number(masked.length), t("masked")), figure(number(renamed.length), t("renamed"))),
      this.#dirty ? this.#summary(made.difference) : null,
      items.length < total ? h("div", { class: "notice notice-info" }, h("div", { class: "notice-text" }, t("partial", { n: number(items.length), total: number(total) })),
        button(t("load"), { small: true, onclick: () => { this.#most = MOST; this.#load(); } })) : null,
      h("div", { class: "toolbar" }, searchField({ value: this.#q, label: t("find"), oninput: (text) => { this.#q = text; this.update(); } }),
        segmented([["tree", t("view.tree")], ["changes", t("view.changes")]], this.#view, (id) => { this.#view = id; this.update(); }, { label: t("view") })),
      this.#list()));
  }

  #summary({ added, removed, changed }) {
    if (!added.length && !removed.length && !changed.length) return notice(t("same"), "info");
    return h("div", { class: "row row-wrap", role: "status" }, h("span", { class: "muted" }, t("now")), badge(t("added", { n: number(added.length) }), "good"),
      badge(t("removed", { n: number(removed.length) }), removed.length ? "bad" : "neutral"), badge(t("changed", { n: number(changed.length) }), changed.length ? "warn" : "neutral"));
  }

  #list() {
    const q = this.#q.trim().toLowerCase();
    if (this.#view === "changes") return this.#changes(q);
    if (q) {
      const found = this.#shown.items.filter((item) => fits(item, q));
      return found.length ? h("ul", { class: "catalog-flat" }, found.slice(0, LISTED).map((item) => h("li", { key: item.device_id, class: "tree-row" }, this.#row(item))), rest(found))
        : empty({ title: t("empty.search", { q: this.#q }), icon: "search" });
    }
    return h("div", { class: "catalog-tree" }, h("gb-tree", {
      ".load": this.#made.load, ".keyOf": (item) => item.device_id, ".isBranch": (item) => this.#made.tree.below.has(item.device_id), ".row": (item) => this.#row(item),
      ".label": t("preview"), ".empty": () => empty({ title: t("empty"), hint: t("empty.hint"), icon: "policy" }),
      onpick: (event) => this.#made.tree.below.has(event.detail.device_id) && event.currentTarget.toggle(event.detail),
    }));
  }

  #changes(q) {
    const { added, removed, changed } = this.#made.difference;
    const rows = [...removed.map((item) => ["removed", item]), ...added.map((item) => ["added", item]), ...changed.map(([was, item]) => ["changed", item, was])]
      .filter(([, item]) => !q || fits(item, q));
    if (!rows.length) return empty({ title: t("same"), icon: "check" });
    return h("ul", { class: "catalog-flat" }, rows.slice(0, LISTED).map(([mark, item, was]) => h("li", { key: `${mark}/${item.device_id}`, class: `catalog-change catalog-${mark}` },
      badge(t(`mark.${mark}`), { added: "good", removed: "bad", changed: "warn" }[mark]),
      h("span", { class: "cell-main grow" }, h("span", { class: "cell-title" }, item.name || item.device_id), h("span", { class: "cell-note mono" }, item.device_id),
        was ? changedFields(was, item).map(([name, before, after]) => h("span", { class: "cell-note" }, t.code("field", name), t("colon"), before || "–", " → ", after || "–")) : null))), rest(rows));
  }

  #row(item) {
    const kind = kindOfCode(item.device_id);
    const own = this.#codes.get(item.device_id);
    const mark = this.#made.difference.marks.get(item.device_id);
    const count = this.#made.tree.cameras.get(item.device_id);
    const masked = this.#isMasked(item);
    const renamed = this.#isRenamed(item);
    const title = [item.name, item.device_id, masked && t("own.name", { name: own.name }), renamed && t("own.code", { code: own.channel_id })].filter(Boolean).join("\n");
    return [kindIcon(kind, { size: 18 }), h("span", { class: "tree-name", title }, item.name || item.device_id),
      mark ? badge(t(`mark.${mark}`), mark === "added" ? "good" : "warn") : null, masked ? badge(t("mark.masked"), "info") : null,
      kind === "camera" && item.status === "OFF" ? h("span", { class: "tree-off" }, t("mark.offline")) : null,
      h("span", { class: "tree-count" }, count ? [t("in.cameras", { n: number(count) }), h("span", { class: "catalog-code mono" }, item.device_id)] : h("span", { class: "catalog-code mono" }, item.device_id))];
  }

  #isMasked(item) {
    const own = this.#codes.get(item.device_id);
    return Boolean(own?.device_id && own.name && own.name !== item.name);
  }

  #isRenamed(item) {
    const own = this.#codes.get(item.device_id);
    return Boolean(own?.channel_id && own.channel_id !== item.device_id);
  }
}

const fits = (item, q) => item.name.toLowerCase().includes(q) || item.device_id.includes(q);
const rest = (found) => (found.length > LISTED ? h("li", { class: "muted" }, t("rest", { n: number(found.length - LISTED) })) : null);

define("gb-platform-catalog", PlatformCatalog);

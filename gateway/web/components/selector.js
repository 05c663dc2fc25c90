// <gb-selector>: which channels are meant, as `objects` of a policy file: criteria that must all be met, with values of
// which one must fit. Without any criterion every channel is meant.
//
//   h("gb-selector", {".selector": {civil_codes: ["371326"]}, onpick: (event) => event.detail /* the selector */})

import { View, define, h, newId } from "../lib/element.js";
import { icon } from "../lib/icons.js";
import { words } from "../lib/i18n.js";
import { button, field, iconButton } from "../lib/ui.js";
import { openDialog } from "./dialog.js";
import { CRITERIA, criterionText, kindText, objectsText, pointText } from "./sharing-words.js";
import "./channel-picker.js";

export const strings = {
  zh: {
    "add": "添加条件", "add.choose": "选择一种条件…", "remove": "去掉条件“{name}”", "value.remove": "去掉 {value}", "value.add": "输入后按回车", "pick": "选择通道",
    "all": "未设条件：包括全部通道", "rule": "同时满足以下各项；每项满足其中一个值即可",
    "hint.channels": "通道编码，或“设备编码/通道编码”", "hint.devices": "设备或下级平台的编码", "hint.civil_codes": "行政区划的前 2、4、6 或 8 位，例如 371326",
    "hint.grassroots": "基层编码：3 位乡镇 + 3 位村", "hint.groups": "业务分组（215）或虚拟组织（216）的编码", "hint.industries": "编码第 9–10 位",
    "hint.networks": "编码第 14 位", "hint.tags": "策略文件中 [[tag]] 的名称",
  },
  en: {
    "add": "Add a criterion", "add.choose": "Choose a criterion…", "remove": "Drop “{name}”", "value.remove": "Drop {value}", "value.add": "Type, then Enter",
    "pick": "Choose channels", "all": "No criterion: every channel is meant", "rule": "All of these must be met, each by one of its values",
    "hint.channels": "Codes, or DEVICE/CHANNEL", "hint.devices": "Codes of devices or lower platforms",
    "hint.civil_codes": "The first 2, 4, 6 or 8 digits of the division, e.g. 371326", "hint.grassroots": "3 digits of township, 3 of village",
    "hint.groups": "Codes of business groups (215) or organisations (216)", "hint.industries": "Digits 9–10 of the code",
    "hint.networks": "Digit 14 of the code", "hint.tags": "Names of [[tag]] tables of the policy",
  },
};
const t = words(strings);

const CHOICES = {
  point_types: [["1", pointText], ["2", pointText], ["3", pointText], ["9", pointText]],
  kinds: ["camera", "audio", "alarm", "device", "platform", "region", "group", "organisation", "other"].map((kind) => [kind, kindText]),
};

class Selector extends View {
  #chosen = {};
  #own = newId("selector");

  set selector(value) {
    this.#chosen = Object.fromEntries(Object.entries(value || {}).map(([name, values]) => [name, [...values]]));
    if (this.isConnected) this.update();
  }

  /** The criteria with values. */
  get selector() {
    this.#takeTyped();
    return Object.fromEntries(Object.entries(this.#chosen).filter(([, values]) => values.length));
  }

  #takeTyped() {
    for (const input of this.querySelectorAll("input[data-field]")) if (input.value.trim()) this.#add(input.dataset.field, input);
  }

  #changed() {
    this.update();
    const detail = Object.fromEntries(Object.entries(this.#chosen).filter(([, values]) => values.length));
    this.dispatchEvent(new CustomEvent("pick", { detail }));
  }

  #add(name, input) {
    const known = this.#chosen[name];
    for (const value of input.value.split(/[\s,;，；、]+/).filter(Boolean)) if (!known.includes(value)) known.push(value);
    input.value = "";
    this.#changed();
  }

  async #pick() {
    const found = this.#chosen.channels;
    await openDialog({
      title: () => t("pick"), wide: true, class: "dialog-picker",
      render: (close, update) => [
        h("div", { class: "dialog-body picker-body" }, h("gb-channel-picker", {
          ".marked": new Set(found),
          onpick: (event) => {
            const code = `${event.detail.device}/${event.detail.channel}`;
            const at = found.indexOf(code);
            if (at < 0) found.push(code);
            else found.splice(at, 1);
            update();
          },
        })),
        h("footer", { class: "dialog-foot" }, h("span", { class: "grow muted" }, objectsText({ channels: found })),
          button(t("done"), { kind: "primary", onclick: () => close() })),
      ],
    });
    this.#changed();
  }

  render() {
    const used = CRITERIA.filter((name) => name in this.#chosen);
    const left = CRITERIA.filter((name) => !(name in this.#chosen));
    return h("div", { class: "selector" },
      used.length ? h("p", { class: "field-hint" }, t("rule")) : h("p", { class: "selector-all" }, icon("warning", { size: 16 }), t("all")),
      used.map((name) => this.#criterion(name)),
      left.length ? field({
        label: t("add"), name: "criterion", id: this.#own, type: "select", class: "input selector-add", options: [["", t("add.choose")], ...left.map((name) => [name, criterionText(name)])],
        value: "", onchange: (event) => {
          const name = event.target.value;
          event.target.value = "";
          if (!name) return;
          this.#chosen[name] = [];
          this.#changed();
          queueMicrotask(() => queueMicrotask(() => this.querySelector(`[data-criterion="${name}"] input`)?.focus()));
        },
      }) : null);
  }

  #criterion(name) {
    const title = criterionText(name);
    return h("div", { class: "criterion", key: name, "data-criterion": name, role: "group", "aria-label": title },
      h("div", { class: "criterion-head" }, h("span", { class: "field-label grow" }, title),
        name === "channels" && button(t("pick"), { small: true, icon: "search", onclick: () => this.#pick() }),
        iconButton("close", t("remove", { name: title }), { small: true, onclick: () => {
          delete this.#chosen[name];
          this.#changed();
        } })),
      CHOICES[name] ? this.#choices(name) : this.#values(name));
  }

  #choices(name) {
    const values = this.#chosen[name];
    return h("div", { class: "row row-wrap checks" }, CHOICES[name].map(([value, text]) => h("label", { class: "check" },
      h("input", { type: "checkbox", class: "check-box", ".checked": values.includes(value), onchange: (event) => {
        this.#chosen[name] = event.target.checked ? [...values, value] : values.filter((item) => item !== value);
        this.#changed();
      } }), h("span", null, text(value)))));
  }

  #values(name) {
    const values = this.#chosen[name];
    return h("div", { class: "stack-tight" },
      values.length ? h("ul", { class: "chips" }, values.map((value) => h("li", { class: "chip chip-filter", key: value },
        h("span", { class: "truncate mono" }, value),
        iconButton("close", t("value.remove", { value }), { small: true, onclick: () => {
          this.#chosen[name] = values.filter((item) => item !== value);
          this.#changed();
        } })))) : null,
      h("input", {
        class: "input", "data-field": name, "aria-label": `${criterionText(name)}${t("colon")}${t("value.add")}`, placeholder: t("value.add"), autocomplete: "off",
        spellcheck: "false", onkeydown: (event) => {
          if (event.key !== "Enter" || event.isComposing) return;
          event.preventDefault();
          if (event.target.value.trim()) this.#add(name, event.target);
        },
      }),
      h("p", { class: "field-hint" }, t(`hint.${name}`)));
  }
}

define("gb-selector", Selector);

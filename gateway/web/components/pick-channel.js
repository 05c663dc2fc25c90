// A dialog in which one channel is chosen.

import { h } from "../lib/element.js";
import { words } from "../lib/i18n.js";
import { openDialog } from "./dialog.js";
import "./channel-picker.js";

export const strings = { zh: { "title": "选择通道" }, en: { "title": "Choose a channel" } };
const t = words(strings);

/** Resolves with {device, channel, name}, or null. */
export function pickChannel() {
  return openDialog({
    title: () => t("title"), wide: true,
    render: (close) => h("div", { class: "dialog-body picker-body" }, h("gb-channel-picker", { onpick: (event) => close(event.detail) })),
  });
}

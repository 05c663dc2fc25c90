// How devices and channels look in lists and trees, the same everywhere.

import { h } from "../lib/element.js";
import { codes } from "../lib/codes.js";
import { number, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { link } from "../lib/route.js";
import { may } from "../lib/session.js";
import { presence, status } from "../lib/ui.js";

const ICONS = {
  civil: "region", region: "region", registered: "device", device: "device", platform: "platforms", camera: "camera", audio: "audio",
  alarm: "bell", group: "folder", organisation: "organisation",
};

/** The icon of a kind of channel or tree node. */
export const kindIcon = (kind, options) => icon(ICONS[kind] || "info", options);

/** Whether something of a kind can be online at all: regions and groups are not. */
export const hasPresence = (kind) => !["civil", "region", "group", "organisation"].includes(kind);

/** What can be watched. */
export const isVideo = (channel) => channel.kind === "camera";

/** The address of the live page with a channel. */
export const watchHref = (channel) => link("live", { c: `${channel.device_id}/${channel.channel_id}` });

/** A button that leads to the picture; null for who may not watch and for what has none. */
export function watchLink(channel, { small = true, labelled = false } = {}) {
  if (!isVideo(channel) || !may("live")) return null;
  const name = channel.name || channel.channel_id;
  return labelled
    ? h("a", { class: "button button-primary", href: watchHref(channel) }, icon("play", { size: 18 }), h("span", null, t("watch")))
    : h("a", {
      class: ["icon-button", small && "icon-button-small"], href: watchHref(channel), title: t("watch"), "aria-label": `${t("watch")}${t("colon")}${name}`,
    }, icon("play", { size: small ? 18 : 20 }));
}

/** A channel as a row of a list. */
export function channelRow(channel) {
  const parts = [channel.channel_id, channel.address].filter(Boolean);
  return [
    kindIcon(channel.kind, { label: codes.code("kind", channel.kind), size: 18, class: "row-icon" }),
    h("span", { class: "cell-main grow" },
      h("span", { class: "row-name truncate" }, channel.name || channel.channel_id),
      h("span", { class: "row-note truncate" }, parts.join(" · "))),
    hasPresence(channel.kind) && status(channel.online ? t("online") : t("offline"), channel.online ? "good" : "bad"),
    watchLink(channel) || h("span", { class: "row-gap" }),
  ];
}

/** A node of the tree. */
export function treeRow(node) {
  const name = node.name || node.code;
  const offline = node.online === false && hasPresence(node.kind);
  return [
    kindIcon(node.kind, { size: 18 }),
    h("span", { class: "tree-name", title: `${name}\n${node.code}` }, name),
    offline ? h("span", { class: "tree-off" }, t("offline")) : null,
    treeCount(node),
  ];
}

function treeCount(node) {
  if (node.devices !== null) return h("span", { class: "tree-count" }, `${number(node.devices_online)}/${number(node.devices)}`);
  return node.branch ? h("span", { class: "tree-count" }, number(node.channels)) : null;
}

/** Cells of a device in a table. */
export function deviceTitle(device) {
  return h("div", { class: "cell-main" }, h("a", { class: "cell-title", href: link("devices", device.device_id) }, device.name || device.device_id),
    h("span", { class: "cell-note mono" }, device.device_id));
}

export const devicePresence = (device) => presence(device.online, device.online ? null : device.offline_reason);

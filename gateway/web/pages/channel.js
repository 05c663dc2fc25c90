// One channel: what it is, where it stands, its picture, its sessions.

import { View, define, h } from "../lib/element.js";
import { api, isAbort } from "../lib/api.js";
import { codes } from "../lib/codes.js";
import { words } from "../lib/i18n.js";
import { link } from "../lib/route.js";
import { isLocal } from "../lib/session.js";
import { badge, button, card, errorState, facts, notice, pageHead, skeleton, status } from "../lib/ui.js";
import { hasPresence, kindIcon, watchLink } from "../components/device-row.js";
import { toast } from "../components/toast.js";
import "../components/sessions.js";

export const strings = {
  zh: {
    "crumb": "设备", "facts": "通道信息", "id": "通道编码", "device": "所属设备", "kind": "类型", "state": "状态（设备自报）", "maker": "厂商", "model": "型号",
    "civil": "行政区划", "address": "安装地址", "place": "经纬度", "ptz": "摄像机类型", "secrecy": "涉密", "parents": "上级节点", "group": "业务分组",
    "extra": "其他字段", "sessions": "会话", "copy": "复制编码", "claimed": "设备报告此通道离线，仍可尝试观看。", "secret.yes": "涉密，不对外共享",
  },
  en: {
    "crumb": "Devices", "facts": "Facts", "id": "Code", "device": "Device", "kind": "Kind", "state": "State, as the device claims", "maker": "Maker",
    "model": "Model", "civil": "Civil code", "address": "Address", "place": "Position", "ptz": "Kind of camera", "secrecy": "Secret", "parents": "Parents",
    "group": "Business group", "extra": "Other fields", "sessions": "Sessions", "copy": "Copy the code",
    "claimed": "The device says this channel is offline; it may be watched all the same.", "secret.yes": "Secret: never shared",
  },
};
const t = words(strings);

export default define("page-channel", class extends View {
  #channel = null;
  #device = null;
  #error = null;

  start() {
    this.#load();
  }

  routed() {
    this.#channel = null;
    this.#device = null;
    this.#load();
  }

  async #load() {
    const { device, channel } = this.route.params;
    const [id, code] = [encodeURIComponent(device), encodeURIComponent(channel)];
    this.#error = null;
    this.update();
    try {
      [this.#channel, this.#device] = await Promise.all([
        api.get(`channels/${id}/${code}`, { signal: this.signal }),
        // Its name is nice to have; people of departments may not see every device.
        api.get(`devices/${id}`, { signal: this.signal }).catch(() => null),
      ]);
    } catch (error) {
      if (isAbort(error)) return;
      this.#error = error;
    }
    this.update();
  }

  render() {
    const { device: deviceId, channel: code } = this.route.params;
    const channel = this.#channel;
    const crumbs = [[t("crumb"), link("devices")], [this.#device?.name || deviceId, link("devices", deviceId)]];
    if (!channel) {
      return h("div", { class: "page" }, pageHead({ crumbs, title: code }),
        this.#error ? errorState(this.#error, { retry: () => this.#load() }) : skeleton(8));
    }
    const presence = hasPresence(channel.kind);
    return h("div", { class: "page" },
      pageHead({
        crumbs, title: channel.name || channel.channel_id,
        note: [presence && status(channel.online ? t("online") : t("offline"), channel.online ? "good" : "bad"),
          h("span", { class: "mono" }, channel.channel_id), channel.secrecy ? badge(t("secret.yes"), "bad", { icon: "lock" }) : null],
        aside: watchLink(channel, { labelled: true }),
      }),
      presence && !channel.online && notice(t("claimed"), "warn"),
      h("div", { class: "columns" }, this.#facts(channel), this.#extra(channel)),
      channel.kind === "camera" && card({ title: t("sessions") },
        h("gb-sessions", { ".query": { device_id: channel.device_id, channel_id: channel.channel_id }, ".withChannel": false })));
  }

  #facts(channel) {
    const place = channel.longitude !== null && channel.latitude !== null ? `${channel.longitude.toFixed(6)}, ${channel.latitude.toFixed(6)}` : null;
    return card({
      title: t("facts"),
      actions: button(t("copy"), { small: true, kind: "ghost", icon: "copy", onclick: () =>
        navigator.clipboard?.writeText(channel.channel_id).then(() => toast(t("copied")), () => {}) }),
    }, facts([
      [t("id"), h("span", { class: "mono" }, channel.channel_id)],
      [t("device"), h("a", { href: link("devices", channel.device_id) }, this.#device?.name || channel.device_id)],
      [t("kind"), h("span", { class: "row" }, kindIcon(channel.kind, { size: 16 }), codes.code("kind", channel.kind))],
      channel.ptz_type !== null && [t("ptz"), codes.code("ptz", String(channel.ptz_type))],
      hasPresence(channel.kind) && [t("state"), channel.status_text || (channel.online ? "ON" : "OFF")],
      [t("maker"), channel.manufacturer], [t("model"), channel.model],
      [t("address"), channel.address], [t("civil"), channel.civil_code && h("span", { class: "mono" }, channel.civil_code)],
      place && [t("place"), h("span", { class: "mono" }, place)],
    ]));
  }

  #extra(channel) {
    const fields = Object.entries(channel.extra || {});
    const pairs = [
      channel.parent_ids.length ? [t("parents"), h("span", { class: "mono" }, channel.parent_ids.join(" / "))] : null,
      channel.business_group_id ? [t("group"), h("span", { class: "mono" }, channel.business_group_id)] : null,
      ...fields.map(([name, value]) => [name, value]),
    ].filter(Boolean);
    return pairs.length && isLocal() ? card({ title: t("extra") }, facts(pairs)) : null;
  }
});

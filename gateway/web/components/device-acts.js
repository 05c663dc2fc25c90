// What can be done with a device: settings, password, status, deletion.

import { h } from "../lib/element.js";
import { api } from "../lib/api.js";
import { codes } from "../lib/codes.js";
import { words } from "../lib/i18n.js";
import { go, link } from "../lib/route.js";
import { errorState, facts, skeleton } from "../lib/ui.js";
import { confirm, formDialog, openDialog } from "./dialog.js";
import { toast } from "./toast.js";

export const strings = {
  zh: {
    "settings": "设备设置", "media": "媒体传输", "media.hint": "收不到画面时可换一种再试。", "charset": "发送所用字符集",
    "interval": "心跳间隔（秒）", "interval.hint": "5–3600；留空用网关默认值。", "misses": "允许连续缺失的心跳次数", "misses.hint": "1–100；留空用网关默认值。",
    "follow": "允许从新的 IP 地址发来消息时视为设备移动", "follow.hint": "仅在可信网络中开启：否则知道编码的人可以冒充此设备。",
    "saved": "设置已保存", "secret": "设备专用密码", "secret.intro": "设置后此设备只能用这个密码注册，同样的密码要填到设备里。", "secret.label": "密码",
    "secret.hint": "8–128 个英文字母、数字或符号；保存后不再显示。", "secret.saved": "专用密码已保存", "secret.remove": "取消专用密码？",
    "secret.remove.text": "此设备将改用公共密码注册。", "secret.removed": "已改用公共密码", "forget": "删除设备？",
    "forget.text": "将删除 {name} 的全部通道、专用密码和时间线。设备再次注册时会重新出现。", "forget.yes": "删除", "forgotten": "设备已删除",
    "status": "设备状态", "status.none": "设备没有给出内容",
    "field.Result": "结果", "field.Online": "在线", "field.Status": "工作状态", "field.Encode": "编码", "field.Record": "录像",
    "field.DeviceTime": "设备时间", "field.Reason": "原因", "field.DeviceID": "编码",
  },
  en: {
    "settings": "Device settings", "media": "Media transport", "media.hint": "Try another one when no picture comes.", "charset": "Charset to send in",
    "interval": "Keepalive interval (seconds)", "interval.hint": "5–3600; empty: the gateway's default.",
    "misses": "Keepalives it may miss in a row", "misses.hint": "1–100; empty: the gateway's default.",
    "follow": "Take a message from a new IP address as a move of the device",
    "follow.hint": "In trusted networks only: whoever knows its code could pretend to be this device.",
    "saved": "Settings saved", "secret": "The device's own password",
    "secret.intro": "The device can then register with this password only; enter the same one in it.", "secret.label": "Password",
    "secret.hint": "8–128 letters, digits or signs; it is not shown again.", "secret.saved": "Password saved",
    "secret.remove": "Remove its password?", "secret.remove.text": "The device registers with the common password again.",
    "secret.removed": "It uses the common password now", "forget": "Delete the device?",
    "forget.text": "All channels, the password and the timeline of {name} are deleted. It is back when it registers again.",
    "forget.yes": "Delete", "forgotten": "Device deleted", "status": "Status of the device", "status.none": "The device told nothing",
    "field.Result": "Result", "field.Online": "Online", "field.Status": "Working", "field.Encode": "Encoding", "field.Record": "Recording",
    "field.DeviceTime": "Its clock", "field.Reason": "Reason", "field.DeviceID": "Code",
  },
};
const t = words(strings);

const path = (device, rest = "") => `devices/${encodeURIComponent(device.device_id)}${rest}`;
const nameOf = (device) => device.name || device.device_id;

export async function editSettings(device, done) {
  const now = device.settings;
  const usual = ["", t("default")];
  const saved = await formDialog({
    title: () => t("settings"),
    fields: () => [
      { name: "media_transport", label: t("media"), type: "select", value: now.media_transport || "", hint: t("media.hint"),
        options: [usual, ...["udp", "tcp_passive", "tcp_active"].map((id) => [id, codes.code("transport", id)])] },
      { name: "charset", label: t("charset"), type: "select", value: now.charset || "", options: [usual, ...["GB2312", "GB18030", "UTF-8"].map((id) => [id, id])] },
      { name: "keepalive_interval", label: t("interval"), type: "number", min: 5, max: 3600, step: "any", value: now.keepalive_interval ?? "", hint: t("interval.hint") },
      { name: "keepalive_misses", label: t("misses"), type: "number", min: 1, max: 100, value: now.keepalive_misses ?? "", hint: t("misses.hint") },
      { name: "follow_address", label: t("follow"), type: "checkbox", value: now.follow_address, hint: t("follow.hint") },
    ],
    save: async (values) => api.patch(path(device), {
      ...values, media_transport: values.media_transport || null, charset: values.charset || null,
    }),
  });
  if (saved) {
    toast(t("saved"));
    done();
  }
}

export async function setSecret(device, done) {
  const saved = await formDialog({
    title: () => t("secret"), intro: () => t("secret.intro"),
    fields: () => [
      { name: "password", label: t("secret.label"), required: true, minlength: 8, maxlength: 128, pattern: "[\\x20-\\x7e]+", class: "mono",
        autocomplete: "off", spellcheck: "false", autocapitalize: "none", hint: t("secret.hint") },
    ],
    save: async (values) => {
      await api.put(path(device, "/secret"), values);
      return true;
    },
  });
  if (saved) {
    toast(t("secret.saved"));
    done();
  }
}

export async function removeSecret(device, done) {
  const yes = await confirm({
    title: t("secret.remove"), text: t("secret.remove.text"), act: () => api.delete(path(device, "/secret")),
  });
  if (yes) {
    toast(t("secret.removed"));
    done();
  }
}

export async function forget(device) {
  const yes = await confirm({
    title: t("forget"), text: t("forget.text", { name: nameOf(device) }), yes: t("forget.yes"), danger: true, word: device.device_id.slice(-6),
    act: () => api.delete(path(device)),
  });
  if (yes) {
    toast(t("forgotten"));
    go(link("devices", { view: "devices" }));
  }
}

/** Ask the device itself, and show what it says. */
export function askStatus(device) {
  const state = { fields: null, error: null };
  return openDialog({
    title: () => t("status"),
    render: (close, update) => {
      if (!state.asked) {
        state.asked = api.post(path(device, "/status")).then((answer) => { state.fields = answer.fields; }, (error) => { state.error = error; })
          .finally(update);
      }
      return h("div", { class: "dialog-body" }, state.error ? errorState(state.error, { compact: true })
        : state.fields === null ? skeleton(5)
          : Object.keys(state.fields).length ? facts(Object.entries(state.fields).map(([name, value]) =>
            [t.has(`field.${name}`) ? t(`field.${name}`) : name, value])) : t("status.none"));
    },
  });
}

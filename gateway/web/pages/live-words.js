// Words of the wall, and how channels are dragged.

import { words } from "../lib/i18n.js";

export const strings = {
  zh: {
    title: "实时预览", wall: "画面墙", layout: "布局", "layout.1": "1 画面", "layout.4": "4 画面", "layout.9": "9 画面", "layout.16": "16 画面",
    empty: "拖入或选择通道", bigger: "放大此画面", smaller: "恢复布局", remove: "移除 {name}", ptz: "云台控制", since: "自 {time}",
    "phase.idle": "未播放", "phase.asking": "请求中", "phase.connecting": "连接中", "phase.playing": "实时", "phase.lost": "中断",
    "phase.failed": "无画面", "phase.stopped": "已停止",
    way: "播放方式", "way.auto": "自动选择", "way.whep": "WebRTC", "way.ws": "WS-fMP4", "way.hls": "HLS",
    patrol: "轮巡", "patrol.off": "不轮巡", "patrol.n": "每 {n} 秒", "patrol.none": "通道不足一页，无需轮巡", page: "第 {n}/{of} 页",
    previous: "上一页", next: "下一页", clear: "清空画面墙", "clear.title": "清空画面墙？", "clear.text": "移除全部 {n} 个通道；录像不受影响。",
    mute_all: "全部静音", fullscreen: "画面墙全屏", picker: "通道列表", hide: "隐藏通道列表", keys: "快捷键",
    full: "画面墙已满（{n} 个位置）", ptz_panel: "云台", place: "第 {n} 格：{name}",
    "key.arrows": "方向键", "key.arrows.do": "移动焦点", "key.enter": "Enter / 双击", "key.enter.do": "放大 / 恢复", "key.m": "M", "key.m.do": "声音开关",
    "key.s": "S", "key.s.do": "抓拍", "key.f": "F", "key.f.do": "单画面全屏", "key.p": "P", "key.p.do": "云台键盘：方向键转动，+ − 变倍，松开即停",
    "key.i": "I", "key.i.do": "统计信息", "key.delete": "Delete", "key.delete.do": "移除通道", "key.esc": "Esc", "key.esc.do": "退出云台键盘 / 恢复布局",
    "key.digits": "1 4 9", "key.digits.do": "布局（0 为 16 画面）",
  },
  en: {
    title: "Live", wall: "Wall", layout: "Layout", "layout.1": "1 picture", "layout.4": "4 pictures", "layout.9": "9 pictures",
    "layout.16": "16 pictures",
    empty: "Drop or choose a channel", bigger: "Enlarge this picture", smaller: "Back to the layout", remove: "Remove {name}",
    ptz: "Pan, tilt, zoom", since: "since {time}",
    "phase.idle": "Not playing", "phase.asking": "Asking", "phase.connecting": "Connecting", "phase.playing": "Live", "phase.lost": "Lost",
    "phase.failed": "No picture", "phase.stopped": "Stopped",
    way: "Way of playing", "way.auto": "Automatic", "way.whep": "WebRTC", "way.ws": "WS-fMP4", "way.hls": "HLS",
    patrol: "Patrol", "patrol.off": "No patrol", "patrol.n": "Every {n} s", "patrol.none": "All channels are in sight: nothing to patrol",
    page: "Page {n} of {of}",
    previous: "Previous page", next: "Next page", clear: "Clear the wall", "clear.title": "Clear the wall?",
    "clear.text": "Removes all {n} channels from it; recordings stay.",
    mute_all: "Mute all", fullscreen: "Wall in full screen", picker: "Channels", hide: "Hide the channels", keys: "Keys",
    full: "The wall is full ({n} places)", ptz_panel: "PTZ", place: "Place {n}: {name}",
    "key.arrows": "Arrows", "key.arrows.do": "Move the focus", "key.enter": "Enter / double click", "key.enter.do": "Enlarge, or back",
    "key.m": "M", "key.m.do": "Sound on or off", "key.s": "S", "key.s.do": "Snapshot", "key.f": "F", "key.f.do": "One picture in full screen",
    "key.p": "P", "key.p.do": "PTZ keyboard: arrows move, + − zoom, until released",
    "key.i": "I", "key.i.do": "Statistics", "key.delete": "Delete", "key.delete.do": "Remove the channel", "key.esc": "Esc",
    "key.esc.do": "Leave the PTZ keyboard, or back to the layout", "key.digits": "1 4 9", "key.digits.do": "Layout (0 is 16 pictures)",
  },
};
export const t = words(strings);

/** Type of what is dragged: {device, channel, name, ptzType, from?} as JSON. */
export const DRAG = "application/x-gb-channel";

/** What was dropped, or null. */
export function dragged(event) {
  try {
    const { device, channel, name, ptzType, from } = JSON.parse(event.dataTransfer.getData(DRAG));
    if (typeof device !== "string" || typeof channel !== "string") return null;
    return { cell: { device, channel, name: String(name || ""), ptzType: ptzType ?? null }, from: Number.isInteger(from) ? from : null };
  } catch {
    return null;
  }
}

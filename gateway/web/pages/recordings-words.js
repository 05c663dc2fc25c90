// Words of the recordings page.

import { words } from "../lib/i18n.js";

export const strings = {
  zh: {
    title: "录像回放", channels: "通道", choose: "请选择一个通道", choose_hint: "从左侧选择通道，时间轴显示当天录像。",
    day: "日期", day_before: "前一天", day_after: "后一天", today: "今天", month_before: "上个月", month_after: "下个月",
    "weekday.0": "一", "weekday.1": "二", "weekday.2": "三", "weekday.3": "四", "weekday.4": "五", "weekday.5": "六", "weekday.6": "日",
    day_has: "{day}：有录像 {time}", day_empty: "{day}：无录像",
    play: "播放", pause: "暂停", back: "后退 10 秒", forward: "前进 10 秒", frame_back: "上一帧", frame_on: "下一帧", rate: "倍速",
    mute: "静音", unmute: "打开声音", snapshot: "抓拍", fullscreen: "全屏", saved: "已保存 {name}", no_picture: "没有可抓拍的画面",
    zoom_in: "放大时间轴", zoom_out: "缩小时间轴", zoom_all: "整天", recorded: "当天共 {time}", nothing: "当天没有录像",
    select: "选择时间段", from: "开始", to: "结束", export: "导出", lock: "锁定", unlock: "解锁", clear: "取消选择",
    select_hint: "在时间轴上拖动选择，或输入起止时间", wrong_range: "结束时间须晚于开始时间", selected: "已选 {time}",
    locked_n: "已锁定 {n} 个文件，不会被自动清理", unlocked_n: "已解锁 {n} 个文件", lock_none: "该时间段没有录像",
    unlock_title: "解锁该时间段的录像？", unlock_text: "解锁后，到期或磁盘空间不足时会被自动清理。",
    exporting: "正在导出 {done} / {total}", export_done: "已导出 {name}", export_cancel: "取消导出",
    export_large: "文件较大（{size}），由浏览器直接下载", export_next: "录像在 {time} 处换了编码，导出到此为止；请从该时刻再次导出",
    now: "现在录像", stop_now: "停止录像", now_title: "现在录像", seconds: "时长（秒）", begin_now: "开始录像", plan: "录像计划",
    "phase.off": "未录像", "phase.waiting": "等待计划时段", "phase.armed": "等待报警", "phase.starting": "正在启动", "phase.recording": "正在录像",
    "phase.retrying": "没有码流，重试中", "phase.offline": "设备离线", "phase.disk_full": "磁盘已满", "phase.disk_failed": "磁盘故障",
    until: "至 {time}", since: "自 {time}", next: "从 {time} 继续", speed: "{n} 倍", picker: "选择通道",
  },
  en: {
    title: "Recordings", channels: "Channels", choose: "Choose a channel", choose_hint: "Its recordings of the day appear on the bar.",
    day: "Day", day_before: "Day before", day_after: "Day after", today: "Today", month_before: "Month before", month_after: "Month after",
    "weekday.0": "Mo", "weekday.1": "Tu", "weekday.2": "We", "weekday.3": "Th", "weekday.4": "Fr", "weekday.5": "Sa", "weekday.6": "Su",
    day_has: "{day}: {time} recorded", day_empty: "{day}: nothing recorded",
    play: "Play", pause: "Pause", back: "Back 10 s", forward: "On 10 s", frame_back: "Picture before", frame_on: "Next picture",
    rate: "Speed",
    mute: "Mute", unmute: "Sound on", snapshot: "Snapshot", fullscreen: "Full screen", saved: "Saved {name}",
    no_picture: "There is no picture to keep",
    zoom_in: "Zoom in", zoom_out: "Zoom out", zoom_all: "Whole day", recorded: "{time} on this day", nothing: "Nothing on this day",
    select: "Choose a time", from: "From", to: "To", export: "Export", lock: "Lock", unlock: "Unlock", clear: "Drop the choice",
    select_hint: "Drag on the bar, or type begin and end", wrong_range: "The end must be later than the begin", selected: "{time} chosen",
    locked_n: "{n} files locked: retention leaves them", unlocked_n: "{n} files unlocked", lock_none: "Nothing was recorded in that time",
    unlock_title: "Unlock the recordings of that time?", unlock_text: "They are deleted when they are old, or when space is needed.",
    exporting: "Exporting {done} of {total}", export_done: "Exported {name}", export_cancel: "Cancel the export",
    export_large: "The file is large ({size}): the browser downloads it by itself",
    export_next: "The codec changes at {time}: the export ends there; export again from then on",
    now: "Record now", stop_now: "Stop recording", now_title: "Record now", seconds: "How long, in seconds", begin_now: "Record", plan: "Plan",
    "phase.off": "Not recording", "phase.waiting": "Waiting for its hours", "phase.armed": "Waiting for an alarm", "phase.starting": "Starting",
    "phase.recording": "Recording", "phase.retrying": "No stream; trying again", "phase.offline": "Device offline",
    "phase.disk_full": "Disk full", "phase.disk_failed": "Disk fails",
    until: "until {time}", since: "since {time}", next: "Goes on at {time}", speed: "{n}×", picker: "Choose a channel",
  },
};
export const t = words(strings);

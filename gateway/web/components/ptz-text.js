// Words of the PTZ pad.

export const strings = {
  zh: {
    title: "云台控制", none: "请先选择一个画面", no_right: "您没有云台控制权限，请联系管理员", fixed: "目录显示这是固定枪机，没有云台",
    anyway: "仍要控制", keys: "方向键转动，+ / − 变倍，松开即停；Esc 退出云台键盘",
    up: "上", down: "下", left: "左", right: "右", up_left: "左上", up_right: "右上", down_left: "左下", down_right: "右下",
    halt: "停止", zoom: "变倍", zoom_in: "放大", zoom_out: "缩小", focus: "聚焦", focus_near: "聚焦近", focus_far: "聚焦远",
    iris: "光圈", iris_open: "光圈大", iris_close: "光圈小", speed: "速度", preset: "预置位", presets: "预置位快捷调用",
    call: "调用", set: "设置", remove: "删除", call_n: "调用预置位 {n}", called: "已调用预置位 {n}", stored: "已设置预置位 {n}",
    removed: "已删除预置位 {n}", set_title: "设置预置位 {n}？", set_text: "将用当前画面位置覆盖该预置位。",
    remove_title: "删除预置位 {n}？", remove_text: "摄像机将忘记该位置。",
    stop_failed: "停止命令未被确认；网关会在数秒内自动停止云台",
    why: "按共享策略，控制前须填写，并记入审计。", why_ok: "确定", purpose: "事由", ticket: "工单号",
  },
  en: {
    title: "Pan, tilt, zoom", none: "Choose a picture first", no_right: "You have no right to move cameras; ask an administrator",
    fixed: "The catalogue says that this camera is fixed", anyway: "Use it anyway",
    keys: "Arrows move, + and − zoom, until released; Esc leaves the PTZ keyboard",
    up: "Up", down: "Down", left: "Left", right: "Right", up_left: "Up and left", up_right: "Up and right",
    down_left: "Down and left", down_right: "Down and right",
    halt: "Stop", zoom: "Zoom", zoom_in: "Zoom in", zoom_out: "Zoom out", focus: "Focus", focus_near: "Focus nearer",
    focus_far: "Focus farther", iris: "Iris", iris_open: "Open the iris", iris_close: "Close the iris", speed: "Speed",
    preset: "Preset", presets: "Presets to call", call: "Call", set: "Set", remove: "Delete", call_n: "Call preset {n}",
    called: "Preset {n} called", stored: "Preset {n} set", removed: "Preset {n} deleted",
    set_title: "Set preset {n}?", set_text: "Where the camera looks now takes the place of that preset.",
    remove_title: "Delete preset {n}?", remove_text: "The camera forgets the position.",
    stop_failed: "The stop was not confirmed; the gateway stops the camera by itself within seconds",
    why: "The sharing policy asks for it before a camera is moved; it goes on record.", why_ok: "OK", purpose: "Purpose",
    ticket: "Ticket number",
  },
};

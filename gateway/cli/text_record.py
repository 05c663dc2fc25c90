"""What `gateway record` says, in Chinese and English."""

from collections.abc import Mapping

__all__ = ["RECORD_TEXT"]

RECORD_TEXT: Mapping[str, tuple[str, str]] = {
    "recordings": ("录像文件", "Recordings"),
    "recorded_channels": ("有录像的通道", "Channels with recordings"),
    "no_recordings": (
        "没有录像。用 gateway record plan 设备 通道 --mode always 设置录像计划, 或用 gateway record start 立即录像",
        "Nothing is recorded. Plan it with gateway record plan DEVICE CHANNEL --mode always, or gateway record start",
    ),
    "record_plans": ("录像计划", "Record plans"),
    "no_plans": (
        "没有录像计划。用 gateway record plan 设备 通道 --mode always 添加",
        "There is no plan. Add one with gateway record plan DEVICE CHANNEL --mode always",
    ),
    "record_status": ("录像状态", "Recording"),
    "record_begin": ("开始", "Begin"),
    "record_end": ("结束", "End"),
    "record_length": ("时长", "Length"),
    "record_size": ("大小", "Size"),
    "record_cause": ("原因", "Cause"),
    "record_files": ("文件数", "Files"),
    "record_locked": ("锁定", "Locked"),
    "record_file": ("文件", "File"),
    "record_mode": ("方式", "Mode"),
    "record_windows": ("时段", "Windows"),
    "record_keep": ("保留天数", "Days kept"),
    "record_as_configured": ("按配置", "as configured"),
    "record_phase_off": ("未录像", "off"),
    "record_phase_waiting": ("等待", "waiting"),
    "record_phase_armed": ("待命", "armed"),
    "record_phase_starting": ("启动中", "starting"),
    "record_phase_recording": ("录像中", "recording"),
    "record_phase_retrying": ("重试中", "retrying"),
    "record_phase_offline": ("设备离线", "offline"),
    "record_phase_disk_full": ("磁盘满", "disk full"),
    "record_phase_disk_failed": ("磁盘故障", "disk failed"),
    "record_mode_off": ("不录像", "off"),
    "record_mode_always": ("连续", "always"),
    "record_mode_weekly": ("按周计划", "weekly"),
    "record_mode_event": ("事件触发", "on event"),
    "record_disk": (
        "磁盘 {state}: 录像 {recorded}, 剩余 {free} / 共 {total}, 已清理 {removed} 个文件",
        "Disk {state}: {recorded} recorded, {free} free of {total}, {removed} files removed",
    ),
    "record_planned": ("录像计划已保存: {name}", "The plan of {name} is saved"),
    "record_unplanned": ("录像计划已删除: {name}", "The plan of {name} is deleted"),
    "record_started": ("正在录像: {name}, 到 {time}", "Recording {name} until {time}"),
    "record_stopped": ("事件录像已结束: {name}", "The event of {name} is ended"),
    "record_exported": (
        "已导出 {path}: {size}, {begin} 至 {end}",
        "Exported {path}: {size}, {begin} to {end}",
    ),
    "record_goes_on": (
        "之后的录像编码或画面不同, 请从 {time} 起另行导出",
        "What follows has another codec or picture size: export it from {time} on",
    ),
    "record_exists": ("文件已存在: {path}", "{path} exists already"),
    "record_cut": ("下载中断: {why}", "The download was cut: {why}"),
    "record_lock_done": ("已锁定 {count} 个文件", "{count} files locked"),
    "record_unlock_done": ("已解锁 {count} 个文件", "{count} files unlocked"),
    "record_need_time": (
        "请给出文件标识, 或设备, 通道和 --from/--to",
        "Give a file, or device, channel and --from/--to",
    ),
}

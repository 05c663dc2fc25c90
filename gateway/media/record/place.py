"""Where a recording lies below the directory: `DEVICE/CHANNEL/20261121/103734120-0-ID.mp4`, in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["FilePlace", "file_path", "parse_place"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_NAME = re.compile(r"([0-9]{9})-([01])-([0-9a-f]{8,64})\.mp4")
_DAY = re.compile(r"[0-9]{8}")


@dataclass(frozen=True, slots=True)
class FilePlace:
    """What a path tells."""

    device_id: str
    channel_id: str
    stream: int
    begin: datetime
    file_id: str


def file_path(device_id: str, channel_id: str, stream: int, begin: datetime, file_id: str) -> str:
    """Return the path of a new file."""
    at = begin.astimezone(UTC)
    name = f"{at:%H%M%S}{at.microsecond // 1000:03d}-{stream}-{file_id}.mp4"
    return f"{_safe(device_id)}/{_safe(channel_id)}/{at:%Y%m%d}/{name}"


def parse_place(path: str) -> FilePlace | None:
    """Read a path; None if it is none of ours."""
    parts = path.split("/")
    if len(parts) != 4 or not _DAY.fullmatch(parts[2]):
        return None
    name = _NAME.fullmatch(parts[3])
    if name is None:
        return None
    try:
        begin = datetime.strptime(f"{parts[2]}{name[1]}000", "%Y%m%d%H%M%S%f")  # noqa: DTZ007 - made aware below
    except ValueError:
        return None
    return FilePlace(parts[0], parts[1], int(name[2]), begin.replace(tzinfo=UTC), name[3])


def _safe(code: str) -> str:
    # What registers may be called `..`.
    return _UNSAFE.sub("_", code)[:64]

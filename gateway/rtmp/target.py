"""Which channel a publisher means, and its stream key: URLs and keys as people type them into encoders.

::

    rtmp://host/live/34020000001320900001?key=KEY          one field for all
    rtmp://host/live  +  34020000001320900001?key=KEY      server and stream key apart
    rtmp://host/live/34020000001320900001  +  KEY          the key as the stream's name
    rtmp://host/live?key=KEY  +  34020000001320900001
"""

import re
from urllib.parse import parse_qs, unquote

__all__ = ["MAX_NAME", "read_target"]

MAX_NAME = 1_024
"""Characters of an application or a stream name."""
MAX_FIELDS = 16
_CODE = re.compile(r"[0-9]{20}")


def read_target(app: str, name: str) -> tuple[str, str]:
    """Return channel code and key, empty where there is none.

    Args:
        app: Application of `connect`, perhaps with a query.
        name: Name of `publish`, perhaps with a query.
    """
    app_path, _, app_query = app[:MAX_NAME].partition("?")
    name_path, _, name_query = name[:MAX_NAME].partition("?")
    parts = [part for part in f"{app_path}/{name_path}".split("/") if part]
    place = next((at for at, part in enumerate(parts) if _CODE.fullmatch(part)), None)
    if place is None:
        return "", ""
    key = _key(name_query) or _key(app_query)
    if not key and place + 1 < len(parts):
        key = unquote(parts[place + 1])
    return parts[place], key


def _key(query: str) -> str:
    try:
        return parse_qs(query, max_num_fields=MAX_FIELDS).get("key", [""])[0]
    except ValueError:
        return ""

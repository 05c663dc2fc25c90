"""Live streams over HTTP and WebSocket: `/live/{device_id}/{channel_id}.flv` and its relatives."""

import structlog

__all__ = ["StreamApi"]

log = structlog.get_logger()

WS_HEARTBEAT = 30.0
"""Seconds between pings, so that a vanished page does not hold a camera open."""
CLOSE_PATIENCE = 3.0
"""Seconds a viewer gets to take its last bytes."""

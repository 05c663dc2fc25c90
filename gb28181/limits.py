"""Every cap on what a peer may make us hold or do, with its reason. Sizes are bytes, durations seconds."""

__all__ = ["MAX_UDP_MESSAGE"]

MAX_UDP_MESSAGE = 65_535
"""Devices send fragmented UDP catalogue MESSAGEs of many KB; this is all that UDP can carry."""

"""What ends a connection because of what the peer sent."""

__all__ = ["RtmpError"]


class RtmpError(ValueError):
    """The peer sent what RTMP does not allow, or more than is taken here; the connection is of no use any more."""

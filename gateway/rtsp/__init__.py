"""The RTSP server: one more face through which streams are watched (RFC 2326)."""

"""Embedded media plane: receives RTP, fans every stream out to its viewers."""

"""HTTP Live Streaming (RFC 8216 and its second edition): one segmenter for all viewers of a stream."""

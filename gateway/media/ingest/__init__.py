"""Foreign sources as streams: pulled by FFmpeg in a thread, or published to us as FLV tags."""

"""Streams re-published to RTMP, RTSP and SRT targets, each by a child process.

Opening a network target blocks inside FFmpeg, with Python's interpreter lock held, for as long as the target likes.
So it happens in a process of its own, which can be ended, and gets the stream's shared fragmented MP4 through a pipe.
"""

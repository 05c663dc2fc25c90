"""SDP offers as browsers write them, shortened to what matters."""

__all__ = ["CHROMIUM", "FINGERPRINT", "FIREFOX", "offer"]

FINGERPRINT = ":".join(f"{number:02X}" for number in range(32))

_TRANSPORT = f"""\
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 5a3c5ba8-4f5b-4a3c-8e0e-d3a0.local 53111 typ host generation 0
a=ice-ufrag:pGkA
a=ice-pwd:9pRzbLqWzE3bCFy0Lt2b1u4s
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
"""

CHROMIUM = f"""\
v=0
o=- 8254837403857283 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 103 107 109 115 127 45
{_TRANSPORT}a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:toffset
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 VP9/90000
a=fmtp:98 profile-id=0
a=rtpmap:103 H264/90000
a=rtcp-fb:103 goog-remb
a=rtcp-fb:103 nack pli
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:107 H264/90000
a=fmtp:107 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f
a=rtpmap:109 H264/90000
a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:115 H264/90000
a=fmtp:115 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f
a=rtpmap:127 H264/90000
a=fmtp:127 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f
a=rtpmap:45 AV1/90000
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110
{_TRANSPORT}a=mid:1
a=recvonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
""".replace("\n", "\r\n")

FIREFOX = f"""\
v=0
o=mozilla...THIS_IS_SDPARTA-99.0 5243473284623484 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {FINGERPRINT}
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
m=video 9 UDP/TLS/RTP/SAVPF 120 126 97
c=IN IP4 0.0.0.0
a=recvonly
a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1
a=fmtp:97 profile-level-id=42e01f;level-asymmetry-allowed=1
a=ice-pwd:d5e4c61f9f4f8a3c0b6a42f2c6e5b9aa
a=ice-ufrag:8f3a9c2b
a=mid:0
a=rtcp-mux
a=rtpmap:120 VP8/90000
a=rtpmap:126 H264/90000
a=rtpmap:97 H264/90000
a=setup:actpass
a=ssrc:2655508255 cname:{{735484ea}}
m=audio 0 UDP/TLS/RTP/SAVPF 109 8
c=IN IP4 0.0.0.0
a=bundle-only
a=recvonly
a=ice-pwd:d5e4c61f9f4f8a3c0b6a42f2c6e5b9aa
a=ice-ufrag:8f3a9c2b
a=mid:1
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:8 PCMA/8000/1
a=setup:actpass
""".replace("\n", "\r\n")


def offer(text: str = CHROMIUM, *changes: tuple[str, str]) -> bytes:
    """An offer with replacements, each of which must match."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text.encode()

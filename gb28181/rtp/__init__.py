"""RTP, RTCP, stream framing and the payload formats carried in them."""

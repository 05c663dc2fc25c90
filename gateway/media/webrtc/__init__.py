"""WebRTC out: our own sender on shared RTP payloads, with DTLS and SRTP from aiortc and its libraries."""

"""Elementary streams: H.264, H.265, AAC and G.711 byte formats."""

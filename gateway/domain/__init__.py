"""Model and ports of the gateway; no I/O and no framework."""

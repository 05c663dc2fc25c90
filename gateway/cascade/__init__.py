"""Upper platforms: registration, catalogue, bridged streams and controls."""

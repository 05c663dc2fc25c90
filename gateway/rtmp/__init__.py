"""RTMP server that only takes publishers: drones, encoders, other gateways."""

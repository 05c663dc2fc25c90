"""SIP as the gateway's inbound and outbound face: requests of devices in, queries and INVITEs out."""

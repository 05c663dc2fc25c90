"""The HTTP face: API, streams, health and the test player."""

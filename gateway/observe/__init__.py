"""Logs and metrics; nothing here knows what the gateway does."""

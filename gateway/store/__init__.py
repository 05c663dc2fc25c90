"""Keeps what must survive a restart: SQLite or PostgreSQL behind the store port."""

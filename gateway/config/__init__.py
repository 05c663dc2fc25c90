"""Configuration: TOML file and environment to checked settings."""

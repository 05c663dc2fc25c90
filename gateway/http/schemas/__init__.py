"""JSON bodies of the API: the only pydantic models besides the settings."""

"""Values written as in a policy file, for people to compare."""

from typing import Any

__all__ = ["value_text"]


def value_text(value: Any) -> str:  # noqa: ANN401 - anything a policy file holds
    """Return a value as TOML in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {value_text(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_text(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)

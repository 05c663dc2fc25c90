"""How long tests wait for what must happen."""

__all__ = ["PATIENCE"]

PATIENCE = 20.0
"""Seconds that whatever must happen may take on a loaded machine; an idle one needs a few at most."""

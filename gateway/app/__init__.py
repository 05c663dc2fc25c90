"""The composition root: the only place that names concrete adapters."""

from gateway.app.gateway import Gateway
from gateway.app.run import raise_file_limit, serve

__all__ = ["Gateway", "raise_file_limit", "serve"]

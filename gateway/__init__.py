"""GB/T 28181 gateway: registers devices, pulls their media, re-publishes and shares it."""

__version__ = "0.1.0"

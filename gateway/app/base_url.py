"""Under which URLs a server is found from outside."""

from collections.abc import Callable

__all__ = ["base_url"]


def base_url(scheme: str, public_host: str, port: Callable[[], int]) -> Callable[[str], str]:
    """Return what makes the beginning of a server's URLs from the host of a request.

    Args:
        scheme: Of the URLs.
        public_host: Host, and port if need be, to be told instead; empty: where the request came in.
        port: Returns the port as bound.
    """

    def base(host: str) -> str:
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{public_host or f'{shown}:{port()}'}"

    return base

"""What FFmpeg is told about TLS to others: by itself it takes any certificate."""

import ssl
from pathlib import Path

__all__ = ["tls_options"]

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities they trust; the FFmpeg in PyAV looks at the second place's neighbour only."""


def tls_options(*, verify: bool) -> dict[str, str]:
    """Return options for `av.open` of an `rtmps://` or `rtsps://` URL.

    The authorities are the system's, or those of the file in the environment's SSL_CERT_FILE.

    Args:
        verify: Whether the certificate must be of an authority that is trusted here, and of the host in the URL.
    """
    if not verify:
        return {"tls_verify": "0"}
    known = ssl.get_default_verify_paths().cafile
    found = [path for path in (known, *BUNDLES) if path and Path(path).is_file()]
    return {"tls_verify": "1", **({"ca_file": found[0]} if found else {})}

"""What is wrong with the catalogues of real sites, seeded into a simulated one."""

import enum

__all__ = ["Defect"]


class Defect(enum.StrEnum):
    """One kind of wrong data; each sits on a fixed channel, so that tests and demos find it."""

    DUPLICATE_CODE = "duplicate_code"
    """The last channel carries the code of another: of the device before, or of its own first channel when
    there is one device only."""
    ZERO_COORDINATES = "zero_coordinates"
    """The second channel stands at (0, 0)."""
    SECRET_CHANNEL = "secret_channel"  # noqa: S105 - a name
    """The third channel has Secrecy 1."""
    OFFLINE_CLAIMS_ON = "offline_claims_on"
    """The fourth channel says ON and cannot be watched (480)."""

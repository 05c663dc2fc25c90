"""Payload types of GB/T 28181 (Annex C.1; protocol table of rtpmap names)."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from gb28181.sdp.session import SdpMedia

__all__ = ["ENCODINGS", "encoding_names", "offered_payloads", "rtpmap_attributes"]

ENCODINGS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "PCMU/8000",
        4: "G723/8000",
        8: "PCMA/8000",
        9: "G722/8000",
        18: "G729/8000",
        20: "SVACA/8000",
        96: "PS/90000",
        97: "MPEG4/90000",
        98: "H264/90000",
        # Annex C gives 99 to SVAC. It is offered, and therefore answered, as H.265 by most
        # platforms before the 2022 edition.
        99: "H265/90000",
        100: "H265/90000",
        102: "AAC/8000/1",
    }
)
"""Encoding assumed for a payload type that no rtpmap names, and sent for one we offer."""


def offered_payloads(gb_version: str = "") -> tuple[int, ...]:
    """Return the payload types to offer to a peer of an edition (`X-GB-Ver`), PS first."""
    h265 = 100 if gb_version.strip().startswith("3") else 99
    return (96, 98, 97, h265)


def rtpmap_attributes(
    payloads: Iterable[int], names: Mapping[int, str] = MappingProxyType({})
) -> list[tuple[str, str | None]]:
    """Return one rtpmap attribute for each payload type that has a known encoding.

    Args:
        payloads: The payload types.
        names: Encoding names that differ from the usual of their number, e.g. ``{97: "PS"}``.
    """
    found: list[tuple[str, str | None]] = []
    for number in payloads:
        usual = ENCODINGS.get(number, "")
        name = names.get(number, "").upper()
        if name and name != usual.partition("/")[0]:
            usual = _BY_NAME.get(name, "")
        if usual:
            found.append(("rtpmap", f"{number} {usual}"))
    return found


_BY_NAME: Final[Mapping[str, str]] = MappingProxyType(
    {encoding.partition("/")[0]: encoding for encoding in ENCODINGS.values()}
)


def encoding_names(media: SdpMedia) -> dict[int, str]:
    """Return upper-case encoding names by payload type, e.g. ``{96: "PS", 8: "PCMA"}``.

    The rtpmap is trusted over the number. Dahua writes ``PCMA/8000/1`` where others write
    ``PCMA/8000``: only the name is kept.
    """
    mapped = media.rtpmap
    names = {}
    for number in (*media.payloads, *(n for n in mapped if n not in media.payloads)):
        encoding = mapped.get(number) or ENCODINGS.get(number)
        if encoding:
            names[number] = encoding.partition("/")[0].strip().upper()
    return names

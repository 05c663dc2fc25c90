"""Which grammar each known header follows; what `Message.check` runs."""

from collections.abc import Callable

from gb28181.errors import SipParseError
from gb28181.sip.grammar import clip, parse_digits
from gb28181.sip.header.address import parse_name_addr, parse_name_addr_list
from gb28181.sip.header.cseq import parse_cseq
from gb28181.sip.header.via import parse_via_line

__all__ = ["check_header"]


def check_header(key: str, value: str) -> None:
    """Parse the value of a known header; unknown ones pass.

    Raises:
        SipParseError: It is malformed.
    """
    check = _CHECKS.get(key)
    if check is not None:
        check(value)


def _check_contact(value: str) -> None:
    if value != "*":
        parse_name_addr_list(value, field="Contact")


_CHECKS: dict[str, Callable[[str], object]] = {
    "via": parse_via_line,
    "from": lambda value: parse_name_addr(value, field="From"),
    "to": lambda value: parse_name_addr(value, field="To"),
    "cseq": parse_cseq,
    "contact": _check_contact,
}

"""The leaves of an element by name, whatever way a device wrote them (quirks 42, 48)."""

from collections.abc import Iterator
from typing import Final

from lxml import etree

from gb28181.limits import MAX_XML_FIELD
from gb28181.manscdp import fields
from gb28181.manscdp.xmlcodec import local_name

__all__ = ["children", "flatten", "leaf_text"]

_CONTAINERS: Final = frozenset({"info", "extrainfo"})


def flatten(element: etree._Element) -> dict[str, str]:
    """Return the present leaf texts below an element, by name, `Info.NAME` inside Info."""
    found: dict[str, str] = {}
    for child in element:
        name = local_name(child)
        if _is_leaf(child):
            _keep(found, name, leaf_text(child))
        for leaf in () if _is_leaf(child) else child:
            if _is_leaf(leaf):
                _keep(found, f"{name}.{local_name(leaf)}", leaf_text(leaf))
        if name.lower() in _CONTAINERS:
            _keep_attributes(found, f"{name}.", child)
    _keep_attributes(found, "", element)
    return found


def children(element: etree._Element, names: tuple[str, ...]) -> Iterator[etree._Element]:
    """Yield the children of any of these names, in any case."""
    wanted = {name.lower() for name in names}
    for child in element:
        if local_name(child).lower() in wanted:
            yield child


def leaf_text(element: etree._Element) -> str:
    """Return the text of a leaf; of unexpected elements inside it, too (a raw `<` in a name)."""
    if not len(element):
        return element.text or element.get("value") or element.get("Value") or ""
    return "".join(str(part) for part in element.itertext())[: MAX_XML_FIELD * 2]


def _is_leaf(element: etree._Element) -> bool:
    """Whether an element is a value: no children, or text besides them (a raw `<` in a name)."""
    return not len(element) or bool(element.text and element.text.strip())


def _keep_attributes(found: dict[str, str], prefix: str, element: etree._Element) -> None:
    for name, value in element.attrib.items():
        _keep(found, prefix + str(name).rpartition("}")[2], str(value))


def _keep(found: dict[str, str], name: str, text: str) -> None:
    value = fields.parse_text(text)
    if value is not None:
        found.setdefault(name, value)

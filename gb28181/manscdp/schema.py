"""Messages as dataclasses: how a field is found in XML and written to it.

A command is one dataclass. Each field's annotation carries where it stands:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Keepalive:
        status: Annotated[str, Leaf("Status", required=True)] = ""
        faults: Annotated[tuple[str, ...], Leaf("DeviceID", within="Info")] = ()

The Python type decides the lexical form (str, int, float, datetime, a nested dataclass, or a tuple
of one of these), the default stands for "absent", and the order of fields is the order on the wire.
Reading is lenient: names in any case, values as attributes (quirk 48), Info fields at the top and the
reverse where the standard moved them (quirk 53). Writing is strict.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from lxml import etree

from gb28181.errors import LocalProtocolError
from gb28181.limits import MAX_XML_FIELD
from gb28181.manscdp import fields
from gb28181.manscdp.xmlcodec import clean_text, local_name

__all__ = ["Leaf", "ListOf", "Plan", "Raw", "flatten"]

_CONTAINERS: Final = frozenset({"info", "extrainfo"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
_ENVELOPE: Final = frozenset({"cmdtype"})


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """A value in an element of its own.

    Args:
        name: Element name as the standard spells it.
        within: Container element (`Info`); when reading, a value at the top will do.
        also_in: Container in which other editions have it, read but not written.
        aliases: Other spellings to read.
        required: Whether it may not be absent when sending.
    """

    name: str
    within: str = ""
    also_in: str = ""
    aliases: tuple[str, ...] = ()
    required: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ListOf:
    """Items in a list element with a count attribute; written only if there are items.

    Args:
        name: Element name of the list.
        item: Element name of an item.
        count: Attribute holding the number of items; "" for none.
        aliases: Other spellings of the list's name to read.
        limit: Most items to read from one message.
    """

    name: str
    item: str = "Item"
    count: str = "Num"
    aliases: tuple[str, ...] = ()
    limit: int = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Raw:
    """All leaf texts as sent, by name (`Info.NAME` inside Info); unknown ones are passed on.

    Args:
        without: Lower-case names never kept.
    """

    without: tuple[str, ...] = ()


Spec = Leaf | ListOf | Raw


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """One field of a dataclass, ready to be read and written."""

    attribute: str
    spec: Spec
    default: Any
    many: bool
    nested: "Plan | None"
    parse: Callable[[str], Any]
    format: Callable[[Any], str]
    keys: tuple[str, ...]
    """Lower-case paths to look at, in order."""


class Plan:
    """How one dataclass maps to XML; compiled once from its annotations.

    Raises:
        LocalProtocolError: A field has no spec or a type that has no lexical form.
    """

    def __init__(self, cls: type) -> None:
        self.cls = cls
        hints = typing.get_type_hints(cls, include_extras=True)
        self._fields = [_bind(field, hints[field.name]) for field in dataclasses.fields(cls)]
        self._by_key = {
            key: (rank, bound)
            for bound in self._fields
            if not bound.many
            for rank, key in enumerate(bound.keys)
        }
        self._gathered = [b for b in self._fields if b.many or not isinstance(b.spec, Leaf)]
        self._known = {key for bound in self._fields for key in bound.keys}

    def read(self, element: etree._Element) -> Any:  # noqa: ANN401 -- an instance of `cls`
        """Make the dataclass from an element; what is absent keeps its default."""
        raw = flatten(element)
        values: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        for key, text in raw.items():
            rank, bound = self._by_key.get(key.lower(), (0, None))
            if bound is None or ranks.get(bound.attribute, rank + 1) <= rank:
                continue
            ranks[bound.attribute] = rank
            value = bound.parse(text)
            values[bound.attribute] = bound.default if value is None else value
        for bound in self._gathered:
            values[bound.attribute] = _gather(bound, element, raw)
        return self.cls(**values)

    def write(self, value: object, parent: etree._Element) -> None:
        """Append the fields of a dataclass to an element.

        Raises:
            LocalProtocolError: A required field is absent.
        """
        for bound in self._fields:
            current = getattr(value, bound.attribute)
            match bound.spec:
                case Leaf():
                    self._write_leaf(bound, bound.spec, current, parent)
                case ListOf():
                    _write_list(bound, bound.spec, current, parent)
                case Raw():
                    self._write_unknown(current, parent)

    def missing(self, value: object) -> tuple[str, ...]:
        """Return the standard names of required fields that are absent."""
        return tuple(
            bound.spec.name
            for bound in self._fields
            if isinstance(bound.spec, Leaf)
            and bound.spec.required
            and getattr(value, bound.attribute) == bound.default
        )

    def _write_leaf(
        self,
        bound: _Bound,
        spec: Leaf,
        current: Any,  # noqa: ANN401 -- the field's own type
        parent: etree._Element,
    ) -> None:
        if current == bound.default:
            if spec.required:
                raise LocalProtocolError(f"{self.cls.__name__}.{bound.attribute} is required")
            return
        target = _container(parent, spec.within) if spec.within else parent
        for item in current if bound.many else (current,):
            etree.SubElement(target, spec.name).text = clean_text(bound.format(item))

    def _write_unknown(self, raw: Mapping[str, str], parent: etree._Element) -> None:
        for path, text in raw.items():
            if path.lower() in self._known or path.lower() in _ENVELOPE:
                continue
            container, _, name = path.partition(".")
            if not name:
                container, name = "", container
            if not all(_NAME.fullmatch(part) for part in (container or name, name)):
                continue
            target = _container(parent, container) if container else parent
            etree.SubElement(target, name).text = clean_text(text)


def flatten(element: etree._Element) -> dict[str, str]:
    """Return the present leaf texts below an element, by name, `Info.NAME` inside Info."""
    found: dict[str, str] = {}
    for child in element:
        name = local_name(child)
        if _is_leaf(child):
            _keep(found, name, _leaf_text(child))
        for leaf in () if _is_leaf(child) else child:
            if _is_leaf(leaf):
                _keep(found, f"{name}.{local_name(leaf)}", _leaf_text(leaf))
        if name.lower() in _CONTAINERS:
            _keep_attributes(found, f"{name}.", child)
    _keep_attributes(found, "", element)
    return found


def _bind(field: "dataclasses.Field[Any]", hint: Any) -> _Bound:  # noqa: ANN401 -- an annotation
    metadata = getattr(hint, "__metadata__", ())
    spec = next((item for item in metadata if isinstance(item, (Leaf, ListOf, Raw))), None)
    if spec is None:
        raise LocalProtocolError(f"field {field.name} says nowhere in XML it stands")
    kind, many = _value_type(typing.get_args(hint)[0])
    default = field.default
    if default is dataclasses.MISSING:
        factory = field.default_factory
        default = factory() if factory is not dataclasses.MISSING else None
    nested = None
    parse: Callable[[str], Any] = str
    form: Callable[[Any], str] = str
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        nested = Plan(kind)
    elif not isinstance(spec, Raw):
        if kind not in _LEXICAL:
            raise LocalProtocolError(f"field {field.name} has no lexical form for {kind}")
        parse, form = _LEXICAL[kind]
    return _Bound(
        attribute=field.name,
        spec=spec,
        default=default,
        many=many,
        nested=nested,
        parse=parse,
        format=form,
        keys=_keys(spec),
    )


_LEXICAL: Final[Mapping[object, tuple[Callable[[str], Any], Callable[[Any], str]]]] = (
    types.MappingProxyType(
        {
            str: (str, str),
            int: (fields.parse_int, str),
            float: (fields.parse_float, fields.format_float),
            datetime: (fields.parse_time, fields.format_time),
        }
    )
)


def _value_type(hint: Any) -> tuple[Any, bool]:  # noqa: ANN401 -- an annotation
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    if isinstance(hint, types.UnionType):
        return next(arg for arg in typing.get_args(hint) if arg is not type(None)), False
    return hint, False


def _keys(spec: Spec) -> tuple[str, ...]:
    if not isinstance(spec, Leaf):
        return ()
    names = [name.lower() for name in (spec.name, *spec.aliases)]
    places = [f"{place.lower()}." if place else "" for place in (spec.within, spec.also_in, "")]
    if not spec.within:
        places = ["", f"{spec.also_in.lower()}."] if spec.also_in else [""]
    return tuple(dict.fromkeys(place + name for place in places for name in names))


def _children(element: etree._Element, names: tuple[str, ...]) -> Iterator[etree._Element]:
    wanted = {name.lower() for name in names}
    for child in element:
        if local_name(child).lower() in wanted:
            yield child


def _gather(bound: _Bound, element: etree._Element, raw: dict[str, str]) -> object:
    match bound.spec:
        case Raw(without):
            return {key: text for key, text in raw.items() if key.lower() not in without}
        case ListOf():
            return tuple(_read_list(bound, bound.spec, element))
        case Leaf():
            return tuple(_read_repeated(bound, bound.spec, element))


def _read_list(bound: _Bound, spec: ListOf, element: etree._Element) -> Iterator[Any]:
    count = 0
    for parent in _children(element, (spec.name, *spec.aliases)):
        for item in _children(parent, (spec.item,)):
            if count >= spec.limit:
                return
            count += 1
            if bound.nested is not None:
                yield bound.nested.read(item)
                continue
            text = fields.parse_text(_leaf_text(item))
            value = bound.parse(text) if text is not None else None
            if value is not None:
                yield value


def _read_repeated(bound: _Bound, spec: Leaf, element: etree._Element) -> Iterator[Any]:
    parents = _children(element, (spec.within,)) if spec.within else iter((element,))
    for parent in parents:
        for leaf in _children(parent, (spec.name, *spec.aliases)):
            text = fields.parse_text(_leaf_text(leaf))
            value = bound.parse(text) if text is not None else None
            if value is not None:
                yield value


def _write_list(
    bound: _Bound, spec: ListOf, items: tuple[Any, ...], parent: etree._Element
) -> None:
    if not items:
        return
    target = etree.SubElement(parent, spec.name)
    if spec.count:
        target.set(spec.count, str(len(items)))
    for item in items:
        element = etree.SubElement(target, spec.item)
        if bound.nested is not None:
            bound.nested.write(item, element)
        else:
            element.text = clean_text(bound.format(item))


def _container(parent: etree._Element, name: str) -> etree._Element:
    found = next(_children(parent, (name,)), None)
    return etree.SubElement(parent, name) if found is None else found


def _is_leaf(element: etree._Element) -> bool:
    """Whether an element is a value: no children, or text besides them (a raw `<` in a name)."""
    return not len(element) or bool(element.text and element.text.strip())


def _leaf_text(element: etree._Element) -> str:
    """Return the text of a leaf; of unexpected elements inside it, too (a raw `<` in a name)."""
    if not len(element):
        return element.text or element.get("value") or element.get("Value") or ""
    return "".join(str(part) for part in element.itertext())[: MAX_XML_FIELD * 2]


def _keep_attributes(found: dict[str, str], prefix: str, element: etree._Element) -> None:
    for name, value in element.attrib.items():
        _keep(found, prefix + str(name).rpartition("}")[2], str(value))


def _keep(found: dict[str, str], name: str, text: str) -> None:
    value = fields.parse_text(text)
    if value is not None:
        found.setdefault(name, value)

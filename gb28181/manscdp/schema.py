"""Messages as dataclasses: how a field is found in XML and written to it.

A command is one dataclass. Each field's annotation carries where it stands:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Keepalive:
        status: Annotated[str, Leaf("Status", required=True)] = ""
        faults: Annotated[tuple[str, ...], Leaf("DeviceID", within="Info")] = ()

The Python type decides the lexical form (str, int, float, datetime, a nested dataclass, or a tuple
of one of these), the default stands for "absent", and the order of fields is the order on the wire.
Reading is lenient: names in any case, values as attributes (quirk 48), Info fields at the top and the
reverse where the standard moved them (quirk 53). Writing is strict, and for one edition: fields it
does not have are left out, and those it spells or places otherwise follow it.
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
from gb28181.manscdp import fields
from gb28181.manscdp.flatten import children, flatten, leaf_text
from gb28181.manscdp.spec import Element, Leaf, ListOf, Raw, Spec, View
from gb28181.manscdp.tree import Branch, leaf_line

__all__ = ["Element", "Leaf", "ListOf", "Plan", "Raw", "View", "flatten"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
_ENVELOPE: Final = frozenset({"cmdtype"})
_ALL: Final = View()
_LAST_OLD: Final = 2016
"""Last edition with the old names and places."""


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
        self._known = set(_known_keys(self._fields))
        self._written: dict[tuple[int | None, View], list[_Bound]] = {}

    def read(self, element: etree._Element) -> Any:  # noqa: ANN401 -- an instance of `cls`
        """Make the dataclass from an element; what is absent keeps its default."""
        raw = flatten(element)
        values = self._read_leaves(raw)
        for bound in self._gathered:
            values[bound.attribute] = _gather(bound, element, raw)
        return self.cls(**values)

    def read_texts(self, texts: Mapping[str, str]) -> Any:  # noqa: ANN401 -- an instance of `cls`
        """Make the dataclass from leaf texts by name (`Info.NAME` inside Info), as `Raw` keeps them."""
        present = {key: fields.parse_text(text) for key, text in texts.items()}
        return self.cls(
            **self._read_leaves({key: text for key, text in present.items() if text is not None})
        )

    def write(
        self,
        value: object,
        target: Branch,
        *,
        edition: int | None = None,
        view: View = _ALL,
    ) -> None:
        """Append the fields of a dataclass to an element.

        Args:
            value: An instance of the dataclass.
            target: The element to append to.
            edition: Year of the edition to write for; None writes every field there is.
            view: What of it to write.

        Raises:
            LocalProtocolError: A required field is absent.
        """
        for bound in self._selected(edition, view):
            current = getattr(value, bound.attribute)
            spec = bound.spec
            if isinstance(spec, Leaf):
                if current != bound.default:
                    parent = target.at(spec.within)
                    for item in current if bound.many else (current,):
                        parent.add(leaf_line(spec.name, bound.format(item)))
                elif spec.required:
                    raise LocalProtocolError(f"{self.cls.__name__}.{bound.attribute} is required")
            elif isinstance(spec, ListOf):
                _write_list(bound, spec, current, target, edition)
            elif isinstance(spec, Element):
                _write_element(bound, spec, current, target, edition)
            else:
                self._write_unknown(current, target)

    def names(self, edition: int) -> frozenset[str]:
        """Return the attributes written for an edition (a year)."""
        return frozenset(bound.attribute for bound in self._selected(edition, _ALL))

    def missing(self, value: object) -> tuple[str, ...]:
        """Return the standard names of required fields that are absent."""
        return tuple(
            bound.spec.name
            for bound in self._fields
            if isinstance(bound.spec, Leaf)
            and bound.spec.required
            and getattr(value, bound.attribute) == bound.default
        )

    def _read_leaves(self, raw: Mapping[str, str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        ranks: dict[str, int] = {}
        for key, text in raw.items():
            rank, bound = self._by_key.get(key.lower(), (0, None))
            if bound is None or ranks.get(bound.attribute, rank + 1) <= rank:
                continue
            ranks[bound.attribute] = rank
            value = bound.parse(text)
            values[bound.attribute] = bound.default if value is None else value
        return values

    def _selected(self, edition: int | None, view: View) -> list[_Bound]:
        # Few editions times few shared views: nothing a peer sends can make this grow.
        found = self._written.get((edition, view))
        if found is None:
            found = [
                bound
                for field in self._fields
                if (view.names is None or field.attribute in view.names)
                and (bound := _for_edition(field, edition, field.attribute in view.plain))
            ]
            self._written[edition, view] = found
        return found

    def _write_unknown(self, raw: Mapping[str, str], target: Branch) -> None:
        for path, text in raw.items():
            if path.lower() in self._known or path.lower() in _ENVELOPE:
                continue
            container, _, name = path.partition(".")
            if not name:
                container, name = "", container
            if not all(_NAME.fullmatch(part) for part in (container or name, name)):
                continue
            target.at(container).add(leaf_line(name, text))


def _bind(field: "dataclasses.Field[Any]", hint: Any) -> _Bound:  # noqa: ANN401 -- an annotation
    metadata = getattr(hint, "__metadata__", ())
    spec = next((item for item in metadata if isinstance(item, (Leaf, ListOf, Element, Raw))), None)
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
    names = [name.lower() for name in (spec.name, spec.old_name, *spec.aliases) if name]
    containers = [name for name in (spec.within, spec.also_in, spec.old_within) if name]
    places = [f"{place.lower()}." for place in containers]
    places = [*places, ""] if spec.within else ["", *places]
    return tuple(dict.fromkeys(place + name for place in places for name in names))


def _known_keys(bounds: list[_Bound]) -> Iterator[str]:
    for bound in bounds:
        yield from bound.keys
        if isinstance(bound.spec, Element) and bound.nested is not None:
            name = bound.spec.name.lower()
            yield name
            yield from (f"{name}.{key}" for key in bound.nested._known)  # noqa: SLF001 -- of the same class


def _for_edition(bound: _Bound, edition: int | None, plain: bool) -> _Bound | None:  # noqa: FBT001 -- one caller
    """Return the field as an edition has it; None if it does not."""
    spec = bound.spec
    if isinstance(spec, Leaf):
        if not spec.sent or (edition is not None and not spec.since <= edition <= spec.until):
            return None
        old = edition is not None and edition <= _LAST_OLD
        within = spec.old_within if old and spec.old_within else spec.within
        changed = dataclasses.replace(
            spec,
            name=spec.old_name if old and spec.old_name else spec.name,
            within="" if plain else within,
        )
        return dataclasses.replace(bound, spec=changed)
    if isinstance(spec, Element) and edition is not None:
        return bound if spec.since <= edition <= spec.until else None
    return None if isinstance(spec, Raw) and not spec.sent else bound


def _gather(bound: _Bound, element: etree._Element, raw: dict[str, str]) -> object:
    match bound.spec:
        case Raw(without):
            return {key: text for key, text in raw.items() if key.lower() not in without}
        case ListOf():
            return tuple(_read_list(bound, bound.spec, element))
        case Element():
            return _read_element(bound, bound.spec, element)
        case Leaf():
            return tuple(_read_repeated(bound, bound.spec, element))


def _read_list(bound: _Bound, spec: ListOf, element: etree._Element) -> Iterator[Any]:
    count = 0
    for parent in children(element, (spec.name, *spec.aliases)):
        for item in children(parent, (spec.item,)):
            if count >= spec.limit:
                return
            count += 1
            if bound.nested is not None:
                yield bound.nested.read(item)
                continue
            text = fields.parse_text(leaf_text(item))
            value = bound.parse(text) if text is not None else None
            if value is not None:
                yield value


def _read_element(bound: _Bound, spec: Element, element: etree._Element) -> object:
    if bound.nested is None:
        return bound.default
    parents = [*children(element, (spec.within,))] if spec.within else [element]
    found = next((child for parent in parents for child in children(parent, (spec.name,))), None)
    # An empty element is an absent one (quirk 45), whatever it might have held.
    if found is None or not (len(found) or found.attrib):
        return bound.default
    return bound.nested.read(found)


def _read_repeated(bound: _Bound, spec: Leaf, element: etree._Element) -> Iterator[Any]:
    parents = children(element, (spec.within,)) if spec.within else iter((element,))
    for parent in parents:
        for leaf in children(parent, (spec.name, *spec.aliases)):
            text = fields.parse_text(leaf_text(leaf))
            value = bound.parse(text) if text is not None else None
            if value is not None:
                yield value


def _write_list(
    bound: _Bound,
    spec: ListOf,
    items: tuple[Any, ...],
    target: Branch,
    edition: int | None,
) -> None:
    if not items:
        return
    branch = Branch(spec.name, f' {spec.count}="{len(items)}"' if spec.count else "")
    target.add(branch)
    for item in items:
        if bound.nested is None:
            branch.add(leaf_line(spec.item, bound.format(item)))
            continue
        view = spec.view(item, edition) if spec.view and edition is not None else _ALL
        element = Branch(spec.item)
        bound.nested.write(item, element, edition=edition, view=view)
        branch.add(element)


def _write_element(
    bound: _Bound,
    spec: Element,
    current: object,
    target: Branch,
    edition: int | None,
) -> None:
    if current is None or bound.nested is None:
        return
    element = Branch(spec.name)
    bound.nested.write(current, element, edition=edition)
    target.at(spec.within).add(element)

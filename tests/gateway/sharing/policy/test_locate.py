"""Lines and columns of everything in a TOML document."""

import tomllib
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sharing.policy.locate import Path, locate

TEXT = '''\
# comment [not] = "a table"
version = 1
"quoted \\u006b\\t" = 'x # no comment'
a . b.c = 1979-05-27 07:32:00

[[rule]]
id = """
multi " "" line \\""" ]
""" # [[rule]]
list = [ "a,]", # ]
  'b',
  { x = 1, "y z" = [2, 3] },
]
  [rule.context]
  windows = [
    "Mon",
    "Tue"]

[[rule]]
subjects = [{ any = true }, { keys = ["k"] }]
context.zones = []
[[rule.more]]
n = 1
[[rule.more]]
n = 2
[plain.table]
x = {}
'''


def _paths(value: Any, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    items: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        found |= _paths(item, (*path, key))
    return found


def test_everything_in_a_document_has_a_place() -> None:
    assert _paths(tomllib.loads(TEXT)) == set(locate(TEXT))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("version",), (2, 1)),
        (("quoted k\t",), (3, 1)),
        (("a", "b", "c"), (4, 7)),
        (("rule", 0), (6, 1)),
        (("rule", 0, "id"), (7, 1)),
        (("rule", 0, "list", 0), (10, 10)),
        (("rule", 0, "list", 1), (11, 3)),
        (("rule", 0, "list", 2, "y z", 1), (12, 24)),
        (("rule", 0, "context"), (14, 3)),
        (("rule", 0, "context", "windows", 1), (17, 5)),
        (("rule", 1), (19, 1)),
        (("rule", 1, "subjects", 1, "keys", 0), (20, 39)),
        (("rule", 1, "more", 1, "n"), (25, 1)),
        (("plain", "table", "x"), (27, 1)),
    ],
)
def test_places_are_exact(path: Path, place: tuple[int, int]) -> None:
    assert locate(TEXT)[path] == place


_KEYS = st.text("ab-_1", min_size=1, max_size=4)
_SCALARS = st.one_of(
    st.integers(-9, 9).map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.text("ab,]}#'= ", max_size=6).map(lambda text: f'"{text}"'),
    st.text('ab,]}#"= ', max_size=6).map(lambda text: f"'{text}'"),
    st.text('ab\n]}#"= ', max_size=6).map(lambda text: f"'''{text}'''"),
    st.just("2026-11-21 08:00:00"),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: "[ " + " ,\n ".join(values) + " ]"),
        st.dictionaries(_KEYS, inner.filter(lambda value: "\n" not in value), max_size=3).map(
            lambda table: (
                "{ " + ", ".join(f"{key} = {value}" for key, value in table.items()) + " }"
            )
        ),
    ),
    max_leaves=6,
)
_TABLES = st.dictionaries(_KEYS, _VALUES, max_size=4).map(
    lambda table: "\n".join(f"{key} = {value}  # end" for key, value in table.items())
)


@given(_TABLES, st.lists(st.tuples(_KEYS, _TABLES), max_size=3))
def test_any_document_that_toml_accepts_is_located_whole(
    top: str, tables: list[tuple[str, str]]
) -> None:
    text = top + "\n" + "".join(f"[[list-{name}]]\n{body}\n" for name, body in tables)
    assert _paths(tomllib.loads(text)) == set(locate(text))

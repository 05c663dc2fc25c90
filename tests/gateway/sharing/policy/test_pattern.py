"""Names and wildcards."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from gateway.sharing.policy.pattern import Patterns, glob_matches


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=10))
def test_wildcards_match_as_the_regular_expression_they_stand_for(glob: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob)
    assert glob_matches(glob, text) == (re.fullmatch(expression, text) is not None)


def test_a_hostile_identity_takes_no_time() -> None:
    started = time.perf_counter()
    assert not glob_matches("*a" * 60 + "b", "a" * 256)
    assert time.perf_counter() - started < 0.2


def test_an_empty_text_is_never_named_not_even_by_a_star() -> None:
    assert not Patterns.of(["*", "x"]).match("")
    assert Patterns.of(["*"]).match("x")


def test_brackets_are_plain_characters() -> None:
    assert Patterns.of(["a[b]*"]).match("a[b]c")
    assert not Patterns.of(["a[b]*"]).match("abc")

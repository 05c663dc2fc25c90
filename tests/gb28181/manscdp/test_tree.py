"""XML as it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gb28181.manscdp.tree import Branch, leaf_line


def test_elements_are_written_in_order_and_containers_where_they_were_first_needed() -> None:
    root = Branch("Notify")
    root.add(leaf_line("SN", "1"))
    root.at("Info").add(leaf_line("A", "a"))
    root.add(leaf_line("Time", "t"))
    root.at("info").add(leaf_line("B", "b"))
    assert root.at("") is root
    assert root.lines() == [
        "<Notify>",
        "  <SN>1</SN>",
        "  <Info>",
        "    <A>a</A>",
        "    <B>b</B>",
        "  </Info>",
        "  <Time>t</Time>",
        "</Notify>",
    ]


def test_an_empty_element_is_closed_at_once() -> None:
    assert Branch("List", ' Num="0"').lines() == ['<List Num="0"/>']


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a<b>&c", "<N>a&lt;b&gt;&amp;c</N>"),
        ("a\x00\x0b\ufffe\ud800b", "<N>ab</N>"),
        ("a\r\nb", "<N>a\nb</N>"),
        ("北门", "<N>北门</N>"),
        ("]]>", "<N>]]&gt;</N>"),
    ],
)
def test_texts_are_escaped_and_cleaned(text: str, line: str) -> None:
    assert leaf_line("N", text) == line


@given(st.text())
def test_any_text_makes_sound_xml_that_says_the_same(text: str) -> None:
    root = Branch("R")
    root.add(leaf_line("N", text))
    found = etree.fromstring("\n".join(root.lines()).encode())[0].text or ""
    kept = "".join(c for c in text if c in found or c.isprintable())
    assert "".join(c for c in found if c.isprintable()) == "".join(
        c for c in kept if c.isprintable()
    )

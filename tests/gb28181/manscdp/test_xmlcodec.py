"""Charset, recovery and caps of XML bodies."""

import contextlib
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gb28181.errors import LocalProtocolError, XmlError
from gb28181.limits import MAX_XML_BYTES, MAX_XML_DEPTH, MAX_XML_ELEMENTS
from gb28181.manscdp.repair import repair
from gb28181.manscdp.xmlcodec import clean_text, decode, encode, local_name

NAME = "北门枪机"


def body(text: str, declared: str = "GB2312") -> str:
    return f'<?xml version="1.0" encoding="{declared}"?>\r\n<Query><Name>{text}</Name></Query>'


def name_of(data: bytes) -> str | None:
    return decode(data).root.findtext("Name")


@pytest.mark.parametrize(
    "declared", ["GB2312", "gbk", "GB18030", "UTF-8", "utf8", "ISO-8859-1", "x"]
)
@pytest.mark.parametrize(
    ("encoding", "charset"),
    [("gb2312", "GB18030"), ("gb18030", "GB18030"), ("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8")],
)
def test_the_bytes_decide_on_the_charset_whatever_is_declared(
    declared: str, encoding: str, charset: str
) -> None:
    decoded = decode(body(NAME, declared).encode(encoding))
    assert decoded.root.findtext("Name") == NAME
    assert decoded.charset == charset
    assert decoded.declared == declared.upper()
    assert decoded.recovered == 0


def test_a_body_without_declaration_or_without_chinese_is_read() -> None:
    decoded = decode(b"<Query><Name>a</Name></Query>")
    assert (decoded.charset, decoded.declared) == ("ASCII", "")


def test_a_declaration_without_its_end_is_dropped_all_the_same() -> None:
    assert (
        name_of(b'\r\n <?xml version="1.0" encoding="GB2312"><Query><Name>a</Name></Query>') == "a"
    )


@pytest.mark.parametrize("name", ["枪", "呛枪", "路"])
def test_gb2312_that_is_valid_utf8_by_chance_is_still_gb2312(name: str) -> None:
    assert name_of(body(name).encode("gb2312")) == name


def test_two_byte_characters_of_a_body_declared_utf8_are_utf8() -> None:
    assert name_of(body("ǹé", "UTF-8").encode()) == "ǹé"
    assert name_of(body("°C 北门").encode()) == "°C 北门"


def test_broken_bytes_cost_a_character_and_not_the_body() -> None:
    assert (
        name_of(body("北").encode("gb18030").replace("北".encode("gb18030"), b"\xb1")) == "\ufffd"
    )


def test_utf8_with_a_name_cut_inside_a_character_stays_utf8() -> None:
    cut = (
        body("北门枪机综治中心录像机" * 3, "UTF-8").encode().replace(b"</Name>", b"\xe5\x8c</Name>")
    )
    decoded = decode(cut)
    assert decoded.charset == "UTF-8"
    assert (decoded.root.findtext("Name") or "").startswith("北门枪机")


@pytest.mark.parametrize(
    "data",
    [
        body(NAME, "UTF-16").encode("utf-16"),
        body(NAME, "UTF-16").encode("utf-16-le"),
        body(NAME, "UTF-16").encode("utf-16-be"),
        body(NAME, "UTF-32").encode("utf-32"),
        body("a", "UTF-16").encode(),
        body("a", "utf-7").encode(),
        body("a", "ISO-2022-CN").encode(),
    ],
)
def test_other_wide_or_shifted_charsets_are_refused(data: bytes) -> None:
    with pytest.raises(XmlError, match="expected GB 2312, GB 18030 or UTF-8"):
        decode(data)


@pytest.mark.parametrize(
    "head",
    [
        "<!DOCTYPE Query>",
        "<!doctype Query SYSTEM 'http://10.0.0.1/x.dtd'>",
        "<!DOCTYPE Query [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>",
        "<!ENTITY a 'b'>",
        "<! ENTITY a 'b'>",
    ],
)
def test_document_types_and_entities_are_refused(head: str) -> None:
    with pytest.raises(XmlError, match="is not accepted"):
        decode(f'<?xml version="1.0"?>{head}<Query><Name>&a;</Name></Query>'.encode())


def test_a_document_type_hidden_by_nul_bytes_is_refused() -> None:
    with pytest.raises(XmlError, match="is not accepted"):
        decode(b"<!DOC\x00TYPE Query [<!EN\x00TITY a 'b'>]><Query>&a;</Query>")


@pytest.mark.parametrize(
    "data", [b"", b" \r\n", b"\x00\x00", b"hello", b"<?xml version='1.0'?>", b"</a>"]
)
def test_what_holds_no_element_is_refused(data: bytes) -> None:
    with pytest.raises(XmlError):
        decode(data)


def test_size_depth_and_number_of_elements_are_capped() -> None:
    with pytest.raises(XmlError, match="exceeds") as caught:
        decode(b"<a>" + b" " * MAX_XML_BYTES + b"</a>")
    assert caught.value.status == 413
    with pytest.raises(XmlError, match="elements"):
        decode(b"<a>" + b"<b/>" * (MAX_XML_ELEMENTS + 1) + b"</a>")
    for depth in (MAX_XML_DEPTH + 1, 300, 50_000):
        with pytest.raises(XmlError, match="deeper"):
            decode(b"<a>" * depth + b"</a>" * depth)
    deepest = decode(b"<a>" * MAX_XML_DEPTH + b"</a>" * MAX_XML_DEPTH)
    assert local_name(deepest.root) == "a"


def test_a_broken_body_nested_too_deep_is_refused_as_well() -> None:
    with pytest.raises(XmlError, match="deeper"):
        decode(b"<Item>" * 50 + b"&")


@pytest.mark.parametrize(
    ("broken", "mended", "repairs"),
    [
        ("<a><b>x&y</b></a>", "<a><b>x&amp;y</b></a>", 1),
        ("<a>&amp;&lt;&#20013;&#x4e2d;&quot;</a>", "<a>&amp;&lt;&#20013;&#x4e2d;&quot;</a>", 0),
        ("<a>&nbsp;&copy</a>", "<a>&amp;nbsp;&amp;copy</a>", 2),
        ("<a>&#0;&#x1;&#1114112;x</a>", "<a>x</a>", 0),
        ("<a><b>1<2</b></a>", "<a><b>1&lt;2</b></a>", 1),
        ("<a><b>x<y</b></a>", "<a><b>x&lt;y</b></a>", 1),
        ("<a><b>x<y>z</b></a>", "<a><b>x&lt;y&gt;z</b></a>", 1),
        ("<a><b>1</b></c></a>", "<a><b>1</b></a>", 1),
        ("<a><b><c>1</b><d/></a>", "<a><b>&lt;c&gt;1</b><d/></a>", 1),
        ("<a><c>0</c><b><c>1</b><d/></a>", "<a><c>0</c><b><c>1</c></b><d/></a>", 1),
        ("<a><B>1</b></A>", "<a><B>1</B></a>", 2),
        ("<Query><b>1</b><c>2</c><b>3", "<Query><b>1</b><c>2</c><b>3</b></Query>", 2),
        ("<Query><b>1</b><c", "<Query><b>1</b></Query>", 1),
        ("<a n=2 m = '3' k=\"4\" n=5></a>", '<a n="2" m="3" k="4"></a>', 2),
        ("<a n='1&2'/>", '<a n="1&amp;2"/>', 0),
        ("<a><b>1", "<a>&lt;b&gt;1</a>", 2),
        ("<x:a><y:b>1</y:b></x:a>", "<a><b>1</b></a>", 0),
        ("junk <a>1</a> junk <b/>", "<a>1</a>", 0),
        ("<a/><b/>", "<a/>", 0),
        ("<a><!-- <x> --><![CDATA[<&>]]><?pi x?></a>", "<a>&lt;&amp;&gt;</a>", 0),
    ],
)
def test_repairs_keep_what_is_meant(broken: str, mended: str, repairs: int) -> None:
    assert repair(broken) == (mended, repairs)


TROUBLE = [
    "<!--",
    "<![CDATA[",
    "<a",
    "<a b",
    "a",
    "b=",
    "b='",
    '<a b="',
    "&",
    "<",
    "</",
    "</a>",
    "<a>",
]
TROUBLE += ["<?", "<?xml", "<!", " ", "<a:", "x.", "<a  ", "</a  ", "&#", "<a />", ">", "]]>"]


@pytest.mark.parametrize("piece", TROUBLE)
@pytest.mark.parametrize("head", ["<a>&", "<a ", "<a><b "])
def test_a_long_body_of_nothing_but_trouble_costs_no_more_than_its_length(
    head: str, piece: str
) -> None:
    data = (head + piece * (200_000 // len(piece))).encode()
    started = process_time()
    with contextlib.suppress(XmlError):
        decode(data)
        decode(data + b"></a>")
    assert process_time() - started < 2.0


def test_repairs_are_counted_and_sound_bodies_need_none() -> None:
    assert decode(b"<a><b>x&y</b></a>").recovered == 1
    assert decode(b"<a><b>\x07x&y</b></a>").recovered == 2
    assert decode(b"<a><b>x&amp;y</b></a>").recovered == 0


def test_comments_and_processing_instructions_leave_no_trace() -> None:
    root = decode(b"<a><!-- c --><b>1</b><?pi x?></a>").root
    assert [local_name(child) for child in root] == ["b"]


def test_names_in_a_namespace_are_read_by_their_local_part() -> None:
    assert local_name(decode(b"<Query xmlns='urn:x'/>").root) == "Query"


@pytest.mark.parametrize(
    ("charset", "declared", "codec"),
    [
        ("GB2312", "GB2312", "gb2312"),
        ("gb18030", "GB18030", "gb18030"),
        ("GBK", "GBK", "gbk"),
        ("UTF-8", "UTF-8", "utf-8"),
        ("utf8", "UTF8", "utf-8"),
    ],
)
def test_bodies_are_written_in_the_charset_of_the_peer(
    charset: str, declared: str, codec: str
) -> None:
    root = etree.fromstring(f"<a><b>{NAME} &amp;&lt;</b></a>")
    data = encode(root, charset)
    assert data.decode(codec) == (
        f'<?xml version="1.0" encoding="{declared}"?>\r\n'
        f"<a>\r\n  <b>{NAME} &amp;&lt;</b>\r\n</a>\r\n"
    )


def test_characters_beyond_gb2312_go_out_in_gb18030_under_the_same_name() -> None:
    data = encode(etree.fromstring("<a>朱镕基㙍🎥</a>"), "GB2312")
    assert b'encoding="GB2312"' in data
    assert decode(data).root.text == "朱镕基㙍🎥"


def test_an_unknown_charset_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        encode(etree.fromstring("<a/>"), "latin-1")


def test_characters_that_xml_cannot_carry_are_dropped() -> None:
    assert clean_text("a\x00b\x0b\ud800\ufffe\r\nc\t") == "ab\nc\t"


@given(st.text())
def test_any_text_can_be_sent_and_comes_back_clean(text: str) -> None:
    root = etree.Element("a")
    etree.SubElement(root, "b").text = clean_text(text)
    decoded = decode(encode(root, "GB2312"))
    assert (decoded.root.findtext("b") or "") == clean_text(text)
    assert decoded.recovered == 0


PIECES = """
<a> </a> <Item> </Item> <b/> <c_n=1> </C> & &# &#65; < > <!-- --> <![CDATA[ ]]> <?xml?> <d_x=" '/> 北 \x00 </
""".replace("\n", " ")
FRAGMENTS = st.lists(
    st.one_of(
        st.sampled_from([piece.replace("_", " ") for piece in PIECES.split(" ")]),
        st.text(max_size=4),
    ),
    max_size=24,
).map("".join)


@given(
    st.one_of(st.binary(max_size=120), FRAGMENTS.map(lambda text: text.encode("utf-8", "replace")))
)
def test_any_bytes_are_a_tree_or_the_documented_error(data: bytes) -> None:
    try:
        decoded = decode(data)
    except XmlError:
        return
    again = decode(encode(decoded.root, "UTF-8"))
    assert local_name(again.root) == local_name(decoded.root)
    assert again.recovered == 0


@given(FRAGMENTS)
def test_what_repair_gives_needs_no_further_repair(text: str) -> None:
    try:
        mended, _ = repair(clean_text(text))
    except XmlError:
        return
    etree.fromstring(mended)

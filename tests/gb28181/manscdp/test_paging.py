"""Answers of many items."""

import time
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb28181.errors import LocalProtocolError
from gb28181.manscdp import (
    CatalogItem,
    CatalogNotify,
    CatalogResponse,
    parse_message,
    serialize_message,
)
from gb28181.manscdp.paging import TCP_PAGE_BYTES, UDP_PAGE_BYTES, pages

PLATFORM = "37132600002000000001"


def camera(number: int, name: str = "平邑县示例路口枪机", event: str = "") -> CatalogItem:
    return CatalogItem(
        device_id=f"3713260000132{number:07}",
        name=name,
        manufacturer="ExampleVision",
        model="EV-B2",
        civil_code="371326",
        address="平邑县示例路1号",
        parental=0,
        parent_id=PLATFORM,
        register_way=1,
        secrecy=0,
        status="ON",
        longitude=117.6402,
        latitude=35.5063,
        event=event,
    )


def cut(
    items: list[CatalogItem], *, charset: str = "GB2312", edition: str = "2016", **limits: int
) -> list[CatalogResponse]:
    def make(part: tuple[CatalogItem, ...]) -> CatalogResponse:
        return CatalogResponse(sn=7, device_id=PLATFORM, sum_num=len(items), items=part)

    found = list(pages(items, make=make, charset=charset, edition=edition, **limits))
    assert all(isinstance(page, CatalogResponse) for page in found)
    return [page for page in found if isinstance(page, CatalogResponse)]


def test_every_page_has_the_total_and_all_items_come_once_in_order() -> None:
    items = [camera(number) for number in range(100)]
    found = cut(items)
    assert len(found) > 30
    assert {page.sn for page in found} == {7}
    assert {page.sum_num for page in found} == {100}
    assert [item for page in found for item in page.items] == items


def test_the_count_of_a_page_is_its_own() -> None:
    data = serialize_message(cut([camera(n) for n in range(5)], max_items=2)[-1])
    assert b"<SumNum>5</SumNum>" in data
    assert b'<DeviceList Num="1">' in data


@given(
    st.lists(st.text(alphabet="北门a&<镕㙍", min_size=1, max_size=150), min_size=1, max_size=40),
    st.sampled_from(["GB2312", "GB18030", "UTF-8"]),
    st.sampled_from(["2011", "2016", "2022"]),
    st.integers(700, 5000),
)
def test_no_page_is_larger_than_allowed_unless_one_item_alone_is(
    names: list[str], charset: str, edition: str, limit: int
) -> None:
    items = [camera(number, name) for number, name in enumerate(names)]
    found = cut(items, charset=charset, edition=edition, max_bytes=limit)
    assert [item for page in found for item in page.items] == items
    sizes = [len(serialize_message(page, charset, edition=edition)) for page in found]
    assert all(
        size <= limit or len(page.items) == 1 for size, page in zip(sizes, found, strict=True)
    )


def test_pages_are_as_full_as_they_can_be() -> None:
    items = [camera(number) for number in range(1000)]
    found = cut(items, max_bytes=20_000)
    one = len(serialize_message(CatalogResponse(sn=7, device_id=PLATFORM, sum_num=1000, items=())))
    average = (sum(len(serialize_message(page)) for page in found) / len(found) - one) / (
        1000 / len(found)
    )
    assert all(len(serialize_message(page)) > 20_000 - average - 20 for page in found[:-1])


def test_an_item_that_is_too_large_goes_alone() -> None:
    items = [camera(1), camera(2, "长" * 900), camera(3)]
    assert [len(page.items) for page in cut(items, max_bytes=UDP_PAGE_BYTES)] == [1, 1, 1]


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (7, [3, 3, 1]), (6, [3, 3])])
def test_pages_are_cut_by_number_too(count: int, sizes: list[int]) -> None:
    found = cut([camera(n) for n in range(count)], max_items=3, max_bytes=TCP_PAGE_BYTES)
    assert [len(page.items) for page in found] == sizes


def test_a_page_may_not_be_empty() -> None:
    with pytest.raises(LocalProtocolError, match="at least 1"):
        cut([camera(1)], max_items=0)


def test_status_notifications_are_small_and_many_fit() -> None:
    items = [camera(number, event="OFF") for number in range(60)]

    def make(part: tuple[CatalogItem, ...]) -> CatalogNotify:
        return CatalogNotify(sn=1, device_id=PLATFORM, sum_num=60, items=part)

    found = list(pages(items, make=make, max_bytes=UDP_PAGE_BYTES))
    assert len(found) < 14
    assert all(len(serialize_message(page)) <= UDP_PAGE_BYTES for page in found)


def test_pages_are_made_one_by_one() -> None:
    taken = 0

    def endless() -> Iterator[CatalogItem]:
        nonlocal taken
        while True:
            taken += 1
            yield camera(taken)

    first = list(
        islice(
            pages(
                endless(),
                make=lambda part: CatalogResponse(
                    sn=1, device_id=PLATFORM, sum_num=10_000, items=part
                ),
                max_bytes=TCP_PAGE_BYTES,
            ),
            2,
        )
    )
    assert len(first) == 2
    assert taken < 400


def test_ten_thousand_items_take_well_under_a_second() -> None:
    items = [camera(number) for number in range(10_000)]
    started = time.perf_counter()
    found = cut(items, max_bytes=TCP_PAGE_BYTES)
    # 0.35 s on a busy host of 2 cores; the bound only catches a page costing all pages before it.
    assert time.perf_counter() - started < 5
    assert sum(len(page.items) for page in found) == 10_000
    # Within what the library itself takes in one message.
    assert all(
        parse_message(serialize_message(page)).content == page for page in (found[0], found[-1])
    )

"""Editions by name."""

import enum

import pytest

from gb28181.errors import LocalProtocolError
from gb28181.manscdp.spec import edition_year


class Named(enum.StrEnum):
    NEWEST = "2022"


@pytest.mark.parametrize(
    ("name", "year"),
    [
        ("2011", 2011),
        ("2014", 2014),
        ("2016", 2016),
        ("2022", 2022),
        ("1.0", 2011),
        ("1.1", 2014),
        ("2.0", 2016),
        ("3.0", 2022),
        (Named.NEWEST, 2022),
    ],
)
def test_an_edition_is_known_by_its_year_and_by_its_mark(name: str, year: int) -> None:
    assert edition_year(name) == year


@pytest.mark.parametrize("name", ["", "2013", "4.0", "GB/T 28181-2022"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="expected one of"):
        edition_year(name)

"""Callbacks into the user's code: what they raise is reported and stops nothing."""

import asyncio

import pytest

from gb28181.aio.callback import call_back
from tests.support.sip_drivers import peers


async def test_a_callback_gets_its_arguments_and_none_is_no_callback() -> None:
    got: list[tuple[int, str]] = []
    async with peers(1) as (peer,):
        call_back(peer.driver, "on_bye", lambda number, text: got.append((number, text)), 1, "a")
        call_back(peer.driver, "on_bye", None)
        assert peer.crashes == []
    assert got == [(1, "a")]


async def test_what_a_callback_raises_is_reported_under_its_name() -> None:
    error = ValueError("mine")

    def fail() -> None:
        raise error

    async with peers(1) as (peer,):
        call_back(peer.driver, "on_bye", fail)
        assert peer.crashes == [("on_bye", error)]


async def test_a_cancellation_is_not_swallowed() -> None:
    def fail() -> None:
        raise asyncio.CancelledError

    async with peers(1) as (peer,):
        with pytest.raises(asyncio.CancelledError):
            call_back(peer.driver, "on_bye", fail)
        assert peer.crashes == []

"""Whole gateways run on the loop that `gateway serve` uses, and simulated cameras leave nothing out."""

from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], uvloop.Loop]]:
    """uvloop, whose transports and sockets differ from asyncio's in places."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def cameras_catch_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a camera of this process that a loaded machine made late send every picture all the same.

    Otherwise it leaves pictures out as soon as it is a second behind, and what counts pictures takes that for a loss.
    """
    monkeypatch.setattr("gateway.simulator.encoder._MAX_LATE", 30.0)
    monkeypatch.setattr("gateway.simulator.encoder._MAX_PENDING", 750)

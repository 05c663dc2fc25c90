"""Whole gateways run on the loop that `gateway serve` uses."""

from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], uvloop.Loop]]:
    """uvloop, whose transports and sockets differ from asyncio's in places."""
    return {"uvloop": uvloop.new_event_loop}

"""Starting and stopping the whole: what is begun is ended, in the right order, also when a start fails."""

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.app import Gateway
from gateway.domain.errors import Unavailable
from gateway.simulator.simulator import Simulator
from gateway.store.sql import SqlStore
from tests.support.certificates import make_certificate
from tests.support.gateway import gateway_settings, running_gateway


async def test_tasks_that_deliver_webhooks_end_before_what_they_send_with(tmp_path: Path) -> None:
    open_at_the_end: list[bool] = []
    async with running_gateway(tmp_path) as it:
        poster = it.gateway.poster

        async def deliver() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                session = poster._session
                open_at_the_end.append(session is not None and not session.closed)

        it.gateway.scope.spawn(deliver(), name="webhook:test")
    assert open_at_the_end == [True]


async def test_a_camera_that_moves_stands_still_when_the_gateway_has_gone(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(running_gateway(tmp_path))
        async with Simulator(it.simulator_options()) as simulator:
            async with asyncio.timeout(20):
                await simulator.wait_registered()
            camera = simulator.devices[0]
            (channel,) = await it.channels(camera.device_id, 1)
            path = f"channels/{camera.device_id}/{channel}/ptz"
            status, answer = await it.api.call("POST", path, json={"command": "move", "pan": 40})
            assert status < 300, answer
            motor = camera.controller.motors[channel]
            assert motor.moving
            await stack.aclose()
            assert not motor.moving


async def test_a_gateway_started_before_the_other_has_ended_knows_what_that_learned_last(
    tmp_path: Path,
) -> None:
    device_id = "34020000001110000077"
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        first = await stack.enter_async_context(running_gateway(tmp_path))
        second = Gateway(gateway_settings(tmp_path))
        starting = tasks.create_task(second.__aenter__())
        while not hasattr(second, "registry"):
            await asyncio.sleep(0.01)
        # Time enough to read what is there, and far less than it waits for the other.
        await asyncio.sleep(0.3)
        await first.gateway.registry.add(device_id)
        assert not starting.done()
        await stack.aclose()
        await starting
        known = second.registry.get(device_id)
        await second.__aexit__(None, None, None)
    assert known is not None


async def test_a_start_that_fails_late_takes_everything_back_and_names_the_port(
    tmp_path: Path,
) -> None:
    cert, key = await asyncio.to_thread(make_certificate, tmp_path, "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = gateway_settings(
            tmp_path, sip={"tls_cert": str(cert), "tls_key": str(key), "tls_port": port}
        )
        gateway = Gateway(settings)
        with capture_logs() as logs, pytest.raises(Unavailable, match=rf"TLS .*:{port}.* tls_port"):
            await gateway.__aenter__()
    assert gateway.leftovers() == {}
    assert [line for line in logs if line["event"] == "task_crashed"] == []
    async with running_gateway(tmp_path) as again:
        assert (await again.api.get("devices"))["total"] == 0


class ForgetfulStore(SqlStore):
    """A store that cannot read one collection."""

    lost = ""

    async def load_documents(self, collection: str) -> dict[str, dict[str, Any]]:
        if collection == self.lost:
            raise Unavailable("store_unavailable", f"{collection} cannot be read")
        return await super().load_documents(collection)


@pytest.mark.parametrize("collection", ["users", "record_plans"])
async def test_a_part_that_cannot_be_read_leaves_no_task_of_those_begun_before_it(
    collection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ForgetfulStore, "lost", collection)
    monkeypatch.setattr("gateway.app.gateway.SqlStore", ForgetfulStore)
    with pytest.raises(Unavailable, match=f"{collection} cannot be read"):
        await Gateway(gateway_settings(tmp_path)).__aenter__()

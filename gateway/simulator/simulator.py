"""Many simulated devices in one process."""

import asyncio
import contextlib
import socket
import ssl
from types import TracebackType
from typing import Self

import structlog

from gateway.simulator.defect import Defect
from gateway.simulator.device import DeviceEvent, Reporter, SimulatedDevice
from gateway.simulator.encoder import EncoderPool
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.scene import SimulatedChannel
from gb28181.aio.tasks import TaskScope

__all__ = ["Simulator", "simulate"]

_STOP_MARGIN = 3.0
"""Seconds beyond the logout in which all devices must have stopped."""
_log = structlog.get_logger()


class Simulator:
    """Runs devices from entering the context to leaving it; leaving logs all of them out.

    Args:
        options: The platform, the devices and their behaviour.
        reporter: Told what happens to each device, on the event loop.
    """

    def __init__(self, options: SimulatorOptions, reporter: Reporter | None = None) -> None:
        self.options = options
        self.devices: list[SimulatedDevice] = []
        self._reporter = reporter
        self._progress = asyncio.Event()
        self._scope = TaskScope(self._crashed)
        self._pool = EncoderPool(self._crashed)
        self._exit = contextlib.AsyncExitStack()

    @property
    def registered_count(self) -> int:
        """Devices that hold a registration."""
        return sum(device.registered for device in self.devices)

    @property
    def session_count(self) -> int:
        """Sessions now running on all devices."""
        return sum(len(device.sessions) for device in self.devices)

    @property
    def encoders_running(self) -> int:
        """Encoders at work; devices with the same options share one."""
        return self._pool.running

    def find(self, defect: Defect) -> list[tuple[SimulatedDevice, SimulatedChannel]]:
        """Return the channels that have a defect, with their devices."""
        return [
            (device, channel)
            for device in self.devices
            for channel in device.channels
            if defect in channel.defects
        ]

    async def __aenter__(self) -> Self:
        options = self.options
        server = await _resolve(options.server_host, options.server_port)
        local_host = options.local_host or _local_host_towards(server)
        tls = _tls_context(options) if options.transport == "TLS" else None
        self.devices = [
            SimulatedDevice(
                options,
                index,
                server=server,
                local_host=local_host,
                pool=self._pool,
                scope=self._scope,
                report=self._report,
                tls=tls,
            )
            for index in range(options.devices)
        ]
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._pool.close)
            await stack.enter_async_context(self._scope)
            stack.push_async_callback(self._stop_devices)
            self._exit = stack.pop_all()
        for index, device in enumerate(self.devices):
            self._scope.spawn(
                self._run(device, index / options.register_rate),
                name=f"device:{device.device_id}",
            )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # An error of the block stays as it is: given to the scope it would come back in a group.
        await self._exit.__aexit__(None, None, None)

    async def wait_registered(self, count: int | None = None) -> None:
        """Wait until so many devices (all of them unless said) are registered; put a timeout around it."""
        wanted = len(self.devices) if count is None else count
        while self.registered_count < wanted:
            self._progress.clear()
            await self._progress.wait()

    async def _run(self, device: SimulatedDevice, delay: float) -> None:
        await asyncio.sleep(delay)
        await device.run()

    async def _stop_devices(self) -> None:
        limit = self.options.logout_timeout + _STOP_MARGIN
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit), asyncio.TaskGroup() as group:
                for device in self.devices:
                    group.create_task(device.stop(), name=f"stop:{device.device_id}")

    def _report(self, event: DeviceEvent) -> None:
        _log.debug(
            "simulated_device_changed",
            device_id=event.device_id,
            what=event.what,
            detail=event.detail,
        )
        self._progress.set()
        if self._reporter is not None:
            self._reporter(event)

    def _crashed(self, name: str, error: Exception) -> None:
        _log.error("simulator_task_crashed", task=name, error=repr(error))


async def simulate(options: SimulatorOptions, reporter: Reporter | None = None) -> None:
    """Run a simulator until cancelled; devices log out then.

    Args:
        options: The platform, the devices and their behaviour.
        reporter: Told what happens to each device.
    """
    async with Simulator(options, reporter):
        await asyncio.Event().wait()


async def _resolve(host: str, port: int) -> tuple[str, int]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    address = infos[0][4]
    return str(address[0]), int(address[1])


def _local_host_towards(server: tuple[str, int]) -> str:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0)
        probe.connect(server)  # sends nothing: asks the routing table
        return str(probe.getsockname()[0])


def _tls_context(options: SimulatorOptions) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not options.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

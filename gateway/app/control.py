"""Controls of cameras put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.config.model import Settings
from gateway.domain.signalling import Signaller
from gateway.registry.registry import DeviceRegistry
from gateway.sessions.control import DeviceControls
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope

__all__ = ["device_controls"]


@asynccontextmanager
async def device_controls(
    settings: Settings, *, registry: DeviceRegistry, signaller: Signaller, scope: TaskScope
) -> AsyncIterator[DeviceControls]:
    """Build the controls; whatever moves is stopped at the end of the context.

    Args:
        settings: `[cascade]`.
        registry: Knows the devices.
        signaller: Asks them.
        scope: Owner of the tasks.
    """
    controls = DeviceControls(
        devices=registry,
        signaller=signaller,
        scope=scope,
        now=monotonic,
        hold=settings.cascade.ptz_hold,
    )
    try:
        yield controls
    finally:
        await controls.close()

"""kill -9: what a device was told is registered is registered for the next process."""

import signal
import subprocess
import sys
from pathlib import Path

from gateway.domain.device import Identity, OfflineReason
from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from gateway.store.sql import SqlStore
from gb28181.aio.clock import monotonic
from tests.support.registry import address

COUNT = 1000


def run_and_kill(url: str) -> list[str]:
    command = [sys.executable, "-m", "tests.support.registering_process", url, str(COUNT)]
    child = subprocess.Popen(
        command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True
    )
    lines = []
    with child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line.strip())
            if lines[-1] == "done":
                break
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    return lines


async def test_after_kill_9_a_new_process_knows_every_device_that_was_answered(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    lines = run_and_kill(url)
    assert "registered 1000" in lines
    async with SqlStore(url, Metrics(process=False)) as store:
        registry = DeviceRegistry(store, RegistrySettings(realm="3402000000", password="x"))
        await registry.load()
        devices = registry.devices()
        assert len(devices) == COUNT
        assert registry.search_channels(device_id=f"{1:020d}")[1] == 1
        udp, tcp, out = (registry.get(f"{number:020d}") for number in (1, 0, 3))
        assert udp is not None
        assert tcp is not None
        assert out is not None
        assert udp.online
        assert udp.settings.has_secret
        assert registry.identify(udp.device_id, address("10.1.0.1"), monotonic()) is Identity.KNOWN
        assert tcp.offline_reason is OfflineReason.NOT_CONNECTED
        back = address("10.1.0.0", transport="TCP", connection=7)
        assert registry.identify(tcp.device_id, back, monotonic()) is Identity.RECONNECTED
        assert out.offline_reason is OfflineReason.LOGGED_OUT
        assert sum(device.online for device in devices) >= COUNT // 2

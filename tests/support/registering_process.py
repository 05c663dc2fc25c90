"""Registers devices through the registry and a SQLite store until it is killed; a process of its own.

Arguments: database URL, number of devices. Prints `registered N` for each hundred whose futures are done.
"""

import asyncio
import sys

from gateway.observe.metrics import Metrics
from gateway.registry.registry import DeviceRegistry, RegistrySettings
from gateway.store.sql import SqlStore
from gb28181.aio.clock import monotonic
from tests.support.registry import address, camera, registration


async def main(url: str, count: int) -> None:
    async with SqlStore(url, Metrics(process=False)) as store:
        registry = DeviceRegistry(store, RegistrySettings(realm="3402000000", password="x"))
        await registry.load()
        for start in range(0, count, 100):
            waiting = []
            for number in range(start, start + 100):
                transport = "UDP" if number % 2 else "TCP"
                connection = None if number % 2 else number
                place = address(
                    f"10.1.{number // 250}.{number % 250}",
                    transport=transport,
                    connection=connection,
                )
                waiting.append(
                    registry.registered(registration(f"{number:020d}", at=place), monotonic())
                )
            for future in waiting:
                assert future is not None
                await future
            sys.stdout.write(f"registered {start + 100}\n")
            sys.stdout.flush()
        await registry.set_secret(f"{1:020d}", "own")
        logout = registry.unregistered(f"{3:020d}")
        assert logout is not None
        await logout
        channel = camera(1, f"{1:020d}")

        await registry.replace_catalog(f"{1:020d}", [channel], complete=True)
        sys.stdout.write("done\n")
        sys.stdout.flush()
        # Keeps writing until the end comes.
        while True:
            for number in range(5, count):
                registry.registered(
                    registration(f"{number:020d}", at=address(port=monotonic_port())), monotonic()
                )
            await asyncio.sleep(0.01)


def monotonic_port() -> int:
    return int(monotonic() * 1000) % 50_000 + 1024


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

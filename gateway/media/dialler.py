"""Connecting to the other side in the background, until called off."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gb28181.aio.media_connection import TcpMediaConnection
from gb28181.aio.media_tcp import MediaConnectFailed, TcpMediaConnector

__all__ = ["Dialler"]


class Dialler:
    """Runs one connector at a time.

    Args:
        name: For the names of tasks.
        spawn: Starts a named task.
        connected: Gets the connection.
        failed: Gets the reason after the last try.
    """

    def __init__(
        self,
        name: str,
        *,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        connected: Callable[[TcpMediaConnection], None],
        failed: Callable[[str], None],
    ) -> None:
        self.connector: TcpMediaConnector | None = None
        self._name = name
        self._spawn = spawn
        self._connected = connected
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    def dial(self, connector: TcpMediaConnector) -> None:
        """Begin; what another connector made or tries is ended."""
        self.close()
        self.connector = connector
        self._spawn(self._run(connector), f"{self._name}:dial")

    def close(self) -> None:
        """Call it off or hang up, without a word to anybody; idempotent."""
        connector, self.connector = self.connector, None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if connector is not None:
            connector.close()

    async def _run(self, connector: TcpMediaConnector) -> None:
        async with asyncio.TaskGroup() as group:
            if connector is self.connector:
                self._task = group.create_task(
                    self._connect(connector), name=f"{self._name}:connect"
                )

    async def _connect(self, connector: TcpMediaConnector) -> None:
        try:
            connection = await connector.connect()
        except MediaConnectFailed as exc:
            self._task = None
            self._failed(str(exc))
        else:
            self._task = None
            self._connected(connection)

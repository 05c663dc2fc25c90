"""The store on SQLAlchemy."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from operator import itemgetter
from types import TracebackType
from typing import Any, Self

import structlog
from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.device import Channel, Device, TimelineEntry
from gateway.domain.document import SharedId
from gateway.domain.errors import Unavailable
from gateway.domain.store import DeviceSecret, StoreHealth
from gateway.observe.metrics import Metrics
from gateway.store.database import DATABASE_ERRORS, connect, place_of, reason_of, upgrade
from gateway.store.operation import Part
from gateway.store.recordings import SqlRecordings
from gateway.store.row import (
    channel_from,
    channel_row,
    device_from,
    device_row,
    document_from,
    document_row,
    entry_from,
    secret_rows,
    shared_id_from,
    shared_id_row,
)
from gateway.store.schema import (
    channels,
    device_secrets,
    devices,
    documents,
    shared_ids,
    timeline,
)
from gateway.store.writer import StoreWriter
from gb28181.aio.tasks import TaskScope

__all__ = ["SqlStore"]

_CLOSE_TIMEOUT = 15.0
_READ_ROWS = 2000

_log = structlog.get_logger()


class SqlStore:
    """Implements `DeviceStore`, `DocumentStore` and `SharedIdStore` in a SQLite file or a PostgreSQL database.

    Use it as `async with SqlStore(...) as store:`; entering upgrades the schema, leaving writes what waits.

    Args:
        url: `sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://...`.
        metrics: Counts commits.
        group_commit: Seconds for which durable writes are gathered.
        batch_interval: Seconds between batches of all others.
        on_crash: Told if the writer ends by a bug; None only logs it.
    """

    def __init__(
        self,
        url: str,
        metrics: Metrics,
        *,
        group_commit: float = 0.02,
        batch_interval: float = 5.0,
        on_crash: Callable[[str, Exception], None] | None = None,
    ) -> None:
        self._url = url
        self._metrics = metrics
        self._group_commit = group_commit
        self._batch_interval = batch_interval
        self._on_crash = on_crash or _log_crash
        self._stack = AsyncExitStack()
        self._finished = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._engine: AsyncEngine = await connect(self._url)
        try:
            await upgrade(self._engine)
        except BaseException:
            await self._engine.dispose()
            raise
        self._stack.push_async_callback(self._engine.dispose)
        self._writer = StoreWriter(
            self._engine,
            group_commit=self._group_commit,
            batch_interval=self._batch_interval,
            metrics=self._metrics,
        )
        self.recordings = SqlRecordings(self._writer, self._read)
        scope = await self._stack.enter_async_context(TaskScope(self._on_crash))
        scope.spawn(self._run(), name="store")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._finished.wait()
        except TimeoutError:
            _log.error("store_not_flushed", detail=place_of(self._url), duration_s=_CLOSE_TIMEOUT)
        finally:
            await self._stack.aclose()

    # Reading

    async def load_devices(self) -> list[Device]:
        """Return all devices, as they were last written; none is `online`."""
        query = select(devices).order_by(devices.c.registered_at, devices.c.device_id)
        return [device_from(row._mapping) async for part in self._read(query) for row in part]  # noqa: SLF001 - its public name

    async def load_secrets(self) -> dict[str, DeviceSecret]:
        """Return the devices' own secrets by device id."""
        found: dict[str, tuple[str, dict[str, str]]] = {}
        async for part in self._read(select(device_secrets)):
            for row in part:
                hashes = found.setdefault(row.device_id, (row.realm, {}))[1]
                hashes[row.algorithm] = row.ha1
        return {device_id: DeviceSecret(realm, ha1) for device_id, (realm, ha1) in found.items()}

    async def load_channels(self) -> AsyncIterator[list[Channel]]:
        """Yield all channels in parts, each device's in the order of its catalogue."""
        query = select(channels).order_by(channels.c.device_id, channels.c.position)
        async for part in self._read(query):
            yield [channel_from(row._mapping) for row in part]  # noqa: SLF001

    async def load_timelines(
        self, limit: int
    ) -> AsyncIterator[list[tuple[str, int, TimelineEntry]]]:
        """Yield (device id, sequence, entry) in parts, oldest first, at most `limit` newest per device."""
        newest = func.max(timeline.c.sequence).over(partition_by=timeline.c.device_id)
        ranked = select(timeline, newest.label("newest")).subquery()
        query = (
            select(ranked)
            .where(ranked.c.sequence > ranked.c.newest - limit)
            .order_by(ranked.c.device_id, ranked.c.sequence)
        )
        async for part in self._read(query):
            yield [(row.device_id, row.sequence, entry_from(row._mapping)) for row in part]  # noqa: SLF001

    async def timeline(self, device_id: str, limit: int) -> list[TimelineEntry]:
        """Return the newest entries of one device, newest first; without what is still batched."""
        query = (
            select(timeline)
            .where(timeline.c.device_id == device_id)
            .order_by(timeline.c.sequence.desc())
            .limit(limit)
        )
        return [entry_from(row._mapping) async for part in self._read(query) for row in part]  # noqa: SLF001

    async def load_documents(self, collection: str) -> dict[str, dict[str, Any]]:
        """Return all documents of a collection, by key, in the order of their keys."""
        query = select(documents).where(documents.c.collection == collection)
        found = [document_from(row._mapping) async for part in self._read(query) for row in part]  # noqa: SLF001
        # Sorted here: each database has an order of its own.
        return dict(sorted(found, key=itemgetter(0)))

    async def load_shared_ids(self, platform_id: str) -> AsyncIterator[Sequence[SharedId]]:
        """Yield all codes given to a platform, in parts."""
        query = select(shared_ids).where(shared_ids.c.platform_id == platform_id)
        async for part in self._read(query):
            yield [shared_id_from(row._mapping) for row in part]  # noqa: SLF001

    # Writing

    def save_device(self, device: Device) -> asyncio.Future[None]:
        """Write a device durably."""
        return self._writer.submit(device.device_id, self._device_parts(device))

    def touch_device(self, device: Device) -> None:
        """Write a device with the next batch."""
        self._writer.touch(device)

    def add_timeline(self, device_id: str, sequence: int, entry: TimelineEntry) -> None:
        """Write a timeline entry with the next batch; the same sequence again replaces it."""
        self._writer.add_timeline(device_id, sequence, entry)

    def save_channels(
        self, device: Device, saved: Sequence[tuple[int, Channel]], removed: Sequence[str]
    ) -> asyncio.Future[None]:
        """Write (position, channel) pairs, delete others, and write the device, durably."""

        def parts() -> Iterator[Part]:
            rows = (channel_row(position, channel) for position, channel in saved)
            yield from self._writer.statements.upsert(channels, rows)
            gone = (
                {"device_id": device.device_id, "channel_id": channel_id} for channel_id in removed
            )
            yield from self._writer.statements.delete(channels, gone, "device_id", "channel_id")
            yield from self._device_parts(device)

        return self._writer.submit(device.device_id, parts(), bulk=True)

    def replace_channels(self, device: Device, listed: Sequence[Channel]) -> asyncio.Future[None]:
        """Write all channels of a device anew, durably, as `save_channels` does."""

        def parts() -> Iterator[Part]:
            key = [{"device_id": device.device_id}]
            yield from self._writer.statements.delete(channels, key, "device_id")
            rows = (channel_row(position, channel) for position, channel in enumerate(listed))
            yield from self._writer.statements.upsert(channels, rows)
            yield from self._device_parts(device)

        return self._writer.submit(device.device_id, parts(), bulk=True)

    def save_secret(self, device: Device, secret: DeviceSecret | None) -> asyncio.Future[None]:
        """Replace or remove a device's own secret and write the device, durably."""

        def parts() -> Iterator[Part]:
            key = [{"device_id": device.device_id}]
            yield from self._writer.statements.delete(device_secrets, key, "device_id")
            if secret is not None:
                rows = secret_rows(device.device_id, secret)
                yield from self._writer.statements.upsert(device_secrets, rows)
            yield from self._device_parts(device)

        return self._writer.submit(device.device_id, parts())

    def forget_device(self, device_id: str) -> asyncio.Future[None]:
        """Delete a device with its secret, channels and timeline, durably."""
        self._writer.discard(device_id)

        def parts() -> Iterator[Part]:
            for table in (channels, device_secrets, timeline, devices):
                key = [{"device_id": device_id}]
                yield from self._writer.statements.delete(table, key, "device_id")

        return self._writer.submit(device_id, parts())

    def save_document(
        self, collection: str, key: str, body: Mapping[str, Any]
    ) -> asyncio.Future[None]:
        """Write one document durably, as it is now; what is no JSON raises at once."""
        row = document_row(collection, key, body)
        return self._writer.submit("", self._writer.statements.upsert(documents, [row]))

    def delete_document(self, collection: str, key: str) -> asyncio.Future[None]:
        """Delete one document durably; one that is not there is no error."""
        row = document_row(collection, key, {})
        parts = self._writer.statements.delete(documents, [row], "collection", "key")
        return self._writer.submit("", parts)

    def save_shared_ids(self, ids: Sequence[SharedId]) -> asyncio.Future[None]:
        """Write codes durably, in parts if they are many; one that stands for another item is refused."""
        rows = [shared_id_row(shared) for shared in ids]
        # Codes all wait in one queue, so that they are written and forgotten in the order of the calls.
        parts = self._writer.statements.insert_once(shared_ids, rows)
        return self._writer.submit("", parts, bulk=True)

    def forget_shared_ids(self, platform_id: str) -> asyncio.Future[None]:
        """Delete all codes of a platform that was deleted."""
        key = [{"platform_id": platform_id}]
        parts = self._writer.statements.delete(shared_ids, key, "platform_id")
        return self._writer.submit("", parts, bulk=True)

    def health(self) -> StoreHealth:
        """Return how it is now."""
        return self._writer.health()

    # Inside

    def _device_parts(self, device: Device) -> Iterator[Part]:
        # A generator: the row is made when it is written, so that it holds the newest state.
        yield from self._writer.statements.upsert(devices, map(device_row, (device,)))

    async def _read(self, query: Select[Any]) -> AsyncIterator[Sequence[Row[Any]]]:
        try:
            async with self._engine.connect() as connection:
                result = await connection.stream(query)
                async for part in result.partitions(_READ_ROWS):
                    yield part
        except DATABASE_ERRORS as exc:
            raise Unavailable(
                "store_unavailable", f"{place_of(self._url)} cannot be read: {reason_of(exc)}"
            ) from exc

    async def _run(self) -> None:
        try:
            await self._writer.run()
        finally:
            self._finished.set()


def _log_crash(name: str, exc: Exception) -> None:
    _log.error("task_crashed", task=name, error=repr(exc), exc_info=exc)

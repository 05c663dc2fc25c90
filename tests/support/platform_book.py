"""A platform book on doubles of the ports it needs: documents in memory, a box that is none, a list of records."""

import asyncio
import copy
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.cascade.book import PlatformBook
from gateway.domain.audit import AuditEntry
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformAddress, PlatformConfig
from gateway.domain.store import StoreHealth

__all__ = ["OWN_ID", "UPPER_ID", "AuditList", "MemoryDocuments", "PlainBox", "book", "platform"]

OWN_ID = "37132600002000000001"
UPPER_ID = "37130000002000000001"


class MemoryDocuments:
    """A `DocumentStore` without a disk; `broken` makes writes fail, `held` keeps their futures back."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, dict[str, Any]]] = {}
        self.broken = False
        self.held: list[asyncio.Future[None]] | None = None

    async def load_documents(self, collection: str) -> dict[str, dict[str, Any]]:
        return copy.deepcopy(dict(sorted(self.collections.get(collection, {}).items())))

    def save_document(
        self, collection: str, key: str, body: Mapping[str, Any]
    ) -> asyncio.Future[None]:
        def write() -> None:
            self.collections.setdefault(collection, {})[key] = copy.deepcopy(dict(body))

        return self._write(write)

    def delete_document(self, collection: str, key: str) -> asyncio.Future[None]:
        return self._write(lambda: self.collections.get(collection, {}).pop(key, None))

    def _write(self, write: Any) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.broken:
            future.set_exception(Unavailable("store_unavailable", "broken by the test"))
            return future
        write()
        if self.held is None:
            future.set_result(None)
        else:
            self.held.append(future)
        return future


class PlainBox:
    """A `SecretBox` whose sealing can be seen through."""

    def seal(self, text: str) -> str:
        return "sealed:" + text[::-1]

    def unseal(self, sealed: str) -> str:
        if not sealed.startswith("sealed:"):
            raise Unavailable("secret_unreadable", "sealed with another key")
        return sealed.removeprefix("sealed:")[::-1]


class AuditList:
    """An `AuditSink` that keeps everything at hand."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.ok = True

    def record(self, entry: AuditEntry) -> None:
        self.entries.append(entry)

    def health(self) -> StoreHealth:
        return StoreHealth(ok=self.ok)


def book(
    documents: MemoryDocuments | None = None,
    *,
    audit: AuditList | None = None,
    own_id: str = OWN_ID,
) -> PlatformBook:
    """Make a book."""
    numbers = itertools.count(1)
    return PlatformBook(
        documents or MemoryDocuments(),
        PlainBox(),
        own_id=own_id,
        audit=audit or AuditList(),
        wall=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        new_id=lambda: f"record{next(numbers)}",
    )


def platform(platform_id: str = UPPER_ID, **changes: Any) -> PlatformConfig:
    """Make a configuration that is fit for the book."""
    values: dict[str, Any] = {
        "platform_id": platform_id,
        "name": "City platform",
        "addresses": (PlatformAddress("127.0.0.1", 5060),),
    }
    return PlatformConfig(**(values | changes))

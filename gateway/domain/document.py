"""Small things that must survive: platforms, policies, grants, keys, webhooks, and shared codes."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["NOT_TEXT", "DocumentStore", "SecretBox", "SharedId", "SharedIdStore"]

NOT_TEXT = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What has no place in one line that people write: control characters, line ends, turned text, half characters."""


class DocumentStore(Protocol):
    """JSON documents by collection and key; a few thousand in each at most.

    The futures are resolved once the write would survive a power failure, or fail with `Unavailable`.
    """

    async def load_documents(self, collection: str) -> dict[str, dict[str, Any]]:
        """Return all documents of a collection, by key, in the order of their keys."""

    def save_document(
        self, collection: str, key: str, body: Mapping[str, Any]
    ) -> asyncio.Future[None]:
        """Write one document durably."""

    def delete_document(self, collection: str, key: str) -> asyncio.Future[None]:
        """Delete one document durably; one that is not there is no error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedId:
    """Under which code one upper platform knows one of our items; never reused for another item."""

    platform_id: str
    shared_id: str
    device_id: str
    """Empty for an item of our own: our platform, a node of its virtual tree."""
    channel_id: str


class SharedIdStore(Protocol):
    """Keeps the codes given out, for ever: an item that comes back gets its old code."""

    def load_shared_ids(self, platform_id: str) -> AsyncIterator[Sequence[SharedId]]:
        """Yield all codes given to a platform, in parts."""

    def save_shared_ids(self, ids: Sequence[SharedId]) -> asyncio.Future[None]:
        """Write codes durably, in parts if they are many."""

    def forget_shared_ids(self, platform_id: str) -> asyncio.Future[None]:
        """Delete all codes of a platform that was deleted."""


class SecretBox(Protocol):
    """Encrypts what must be kept and read again: passwords of platforms, secrets of keys and webhooks."""

    def seal(self, text: str) -> str:
        """Return it encrypted, as text for a document."""

    def unseal(self, sealed: str) -> str:
        """Return the plain text.

        Raises:
            Unavailable: `secret_unreadable`: sealed with another key, or damaged.
        """

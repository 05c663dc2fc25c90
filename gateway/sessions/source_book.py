"""Foreign sources as configured, kept in the store: URLs sealed, stream keys as hashes."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from gateway.domain.document import DocumentStore, SecretBox
from gateway.domain.errors import Conflict, GatewayError, Invalid, NotFound, Unavailable
from gateway.domain.policy import Subject
from gateway.domain.source import SourceConfig, SourceKind, shown_url
from gateway.sessions.source_check import check_source
from gateway.sharing.changelog import ChangeLog

__all__ = ["MAX_SOURCES", "IssuedSource", "SourceBook"]

log = structlog.get_logger()

MAX_SOURCES = 1_000
"""More belong into a recorder or a platform of their own; each write of the catalogue has them all."""
KEY_BYTES = 24
"""192 bits: nobody guesses them, so a plain hash keeps them."""
_COLLECTION = "foreign_sources"
_DEVICE = "foreign_sources_device"
_NO_HASH = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class IssuedSource:
    """A source with its stream key, the only time it can be shown."""

    config: SourceConfig
    key: str = field(repr=False)
    """Empty for a source that is pulled."""


@dataclass(frozen=True, slots=True)
class _Entry:
    config: SourceConfig
    key_hash: str


class SourceBook:
    """All foreign sources.

    A change holds from its call on; if the store cannot keep it, it is taken back and the call fails.

    Args:
        store: Where they are kept.
        box: Seals the URLs.
        changes: Puts every change on record.
    """

    def __init__(self, store: DocumentStore, *, box: SecretBox, changes: ChangeLog) -> None:
        self._store = store
        self._box = box
        self._changes = changes
        self._entries: dict[str, _Entry] = {}
        self.device_id = ""
        """The local device that holds them, once chosen; it stays the same for ever, as uppers know it."""

    async def load(self) -> None:
        """Read all from the store."""
        chosen = await self._store.load_documents(_DEVICE)
        self.device_id = next((str(body["device_id"]) for body in chosen.values()), "")
        for source_id, body in (await self._store.load_documents(_COLLECTION)).items():
            try:
                self._entries[source_id] = self._read(source_id, body)
            except (KeyError, TypeError, ValueError, GatewayError) as exc:
                log.error("source_unreadable", name=source_id, error=type(exc).__name__)  # noqa: TRY400 - no trace needed

    async def choose_device(self, device_id: str) -> None:
        """Keep which device holds the sources.

        Raises:
            Unavailable: the store cannot keep it.
        """
        await self._store.save_document(_DEVICE, "local", {"device_id": device_id})
        self.device_id = device_id

    def all(self) -> list[SourceConfig]:
        """Return all sources, oldest first."""
        found = (entry.config for entry in self._entries.values())
        return sorted(found, key=lambda config: (config.created_at, config.source_id))

    def find(self, source_id: str) -> SourceConfig | None:
        """Return one, or None."""
        entry = self._entries.get(source_id)
        return entry.config if entry is not None else None

    def get(self, source_id: str) -> SourceConfig:
        """Return one.

        Raises:
            NotFound: `source_unknown`.
        """
        found = self.find(source_id)
        if found is None:
            raise NotFound("source_unknown", f"There is no source {source_id[:64]}")
        return found

    def accepts(self, source_id: str, key: str) -> bool:
        """Whether this is the stream key of a source; takes the same time whatever is wrong."""
        entry = self._entries.get(source_id)
        expected = entry.key_hash if entry is not None and entry.key_hash else _NO_HASH
        same = hmac.compare_digest(_hash(key), expected)
        return same and bool(key) and entry is not None and bool(entry.key_hash)

    def check_new(self, config: SourceConfig) -> None:
        """Look whether a source can be added.

        Raises:
            Invalid: `invalid_source`, `invalid_url`.
            Conflict: `source_exists`, `too_many_sources`.
        """
        check_source(config)
        if config.source_id in self._entries:
            raise Conflict("source_exists", f"There is a source {config.source_id} already")
        if len(self._entries) >= MAX_SOURCES:
            raise Conflict("too_many_sources", f"There are {MAX_SOURCES} sources already")

    async def create(self, config: SourceConfig, *, by: Subject) -> IssuedSource:
        """Add a source; one that is pushed gets a stream key.

        Raises:
            Invalid: `invalid_source`, `invalid_url`.
            Conflict: `source_exists`, `too_many_sources`.
            Unavailable: the store cannot keep it.
        """
        self.check_new(config)
        key = "" if config.kind.is_pulled else secrets.token_urlsafe(KEY_BYTES)
        await self._put(_Entry(config, _hash(key) if key else ""))
        self._record("create", config, by)
        return IssuedSource(config, key)

    async def change(self, config: SourceConfig, *, by: Subject) -> SourceConfig:
        """Replace a source's settings; its kind stays.

        Raises:
            NotFound: `source_unknown`.
            Invalid: as `create`, and `kind_fixed`.
            Unavailable: the store cannot keep it; nothing was changed.
        """
        old = self.get(config.source_id)
        if config.kind is not old.kind:
            raise Invalid("kind_fixed", "A source's kind stays; remove it and add another one")
        check_source(config)
        await self._put(_Entry(config, self._entries[config.source_id].key_hash))
        self._record("change", config, by)
        return config

    async def rotate(self, source_id: str, *, by: Subject) -> IssuedSource:
        """Give a source a new stream key; the old one is worthless at once.

        Raises:
            NotFound: `source_unknown`.
            Invalid: `no_stream_key`: it is pulled.
            Unavailable: the store cannot keep it; the old key stays.
        """
        config = self.get(source_id)
        if config.kind.is_pulled:
            raise Invalid("no_stream_key", "A source that is pulled has no stream key")
        key = secrets.token_urlsafe(KEY_BYTES)
        await self._put(_Entry(config, _hash(key)))
        self._record("rotate", config, by)
        return IssuedSource(config, key)

    async def delete(self, source_id: str, *, by: Subject) -> None:
        """Delete a source.

        Raises:
            NotFound: `source_unknown`.
            Unavailable: the store cannot do it; it stays.
        """
        config = self.get(source_id)
        entry = self._entries.pop(source_id)
        try:
            await self._store.delete_document(_COLLECTION, source_id)
        except Unavailable:
            self._entries.setdefault(source_id, entry)
            raise
        self._record("delete", config, by)

    async def _put(self, entry: _Entry) -> None:
        source_id = entry.config.source_id
        old = self._entries.get(source_id)
        self._entries[source_id] = entry
        try:
            await self._store.save_document(_COLLECTION, source_id, self._document(entry))
        except Unavailable:
            if self._entries.get(source_id) is entry:
                del self._entries[source_id]
                if old is not None:
                    self._entries[source_id] = old
            raise

    def _record(self, action: str, config: SourceConfig, by: Subject) -> None:
        self._changes.record(action, f"source:{config.source_id}", by, detail=_words(config))

    def _document(self, entry: _Entry) -> dict[str, Any]:
        config = entry.config
        return {
            "kind": config.kind.value,
            "name": config.name,
            "url": self._box.seal(config.url) if config.url else "",
            "rtsp_transport": config.rtsp_transport,
            "tls_verify": config.tls_verify,
            "always": config.always,
            "enabled": config.enabled,
            "civil_code": config.civil_code,
            "address": config.address,
            "longitude": config.longitude,
            "latitude": config.latitude,
            "secrecy": config.secrecy,
            "manufacturer": config.manufacturer,
            "model": config.model,
            "owner": config.owner,
            "created_at": config.created_at.isoformat(),
            "key_hash": entry.key_hash,
        }

    def _read(self, source_id: str, body: Mapping[str, Any]) -> _Entry:
        sealed = str(body["url"])
        config = SourceConfig(
            source_id=source_id,
            kind=SourceKind(body["kind"]),
            name=str(body["name"]),
            url=self._box.unseal(sealed) if sealed else "",
            rtsp_transport="udp" if body["rtsp_transport"] == "udp" else "tcp",
            tls_verify=bool(body.get("tls_verify", True)),
            always=bool(body["always"]),
            enabled=bool(body["enabled"]),
            civil_code=str(body["civil_code"]),
            address=str(body["address"]),
            longitude=body["longitude"],
            latitude=body["latitude"],
            secrecy=int(body["secrecy"]),
            manufacturer=str(body["manufacturer"]),
            model=str(body["model"]),
            owner=str(body["owner"]),
            created_at=datetime.fromisoformat(body["created_at"]),
        )
        return _Entry(config, str(body["key_hash"]))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _words(config: SourceConfig) -> str:
    where = f", from {shown_url(config.url)}" if config.url else ""
    how = ", always" if config.always else ""
    return f"{config.kind.value} {config.name!r}{where}{how}" + (
        "" if config.enabled else ", disabled"
    )

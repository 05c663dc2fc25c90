"""All versions of the sharing policy, and which of them is in force."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from gateway.domain.audit import AuditKind, AuditSink
from gateway.domain.document import DocumentStore
from gateway.domain.errors import Conflict, NotFound
from gateway.domain.policy import Subject
from gateway.sharing.policy.difference import PolicyDifference, difference
from gateway.sharing.policy.engine import CompiledPolicy
from gateway.sharing.policy.error import PolicyError
from gateway.sharing.policy.load import load_policy
from gateway.sharing.policy.model import Policy
from gateway.sharing.policy.record import Recorder, unawaited

__all__ = ["MAX_KEPT_BYTES", "MAX_VERSIONS", "PolicyBook", "PolicyVersion"]

MAX_VERSIONS = 200
"""Versions kept; the oldest go first, the active one never. Their digests stay in the audit."""
MAX_KEPT_BYTES = 16_777_216
"""Bytes of text of all versions together, since they are held in memory."""
MAX_COMMENT = 500
"""Characters of a comment."""

_COLLECTION = "policy"
_ACTIVE = "active"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version, without its text."""

    number: int
    """From 1 on."""
    author: str
    """Label of who applied it."""
    comment: str
    at: datetime
    digest: str
    """SHA-256 of the text, hexadecimal."""
    size: int
    """Bytes."""
    active: bool = False


class PolicyBook:
    """Owner of the sharing policy; until one is applied only the built-in rules are in force.

    Args:
        store: Keeps the versions.
        wall: Wall clock, timezone-aware.
        audit: Takes the records.
        new_id: Makes identifiers of records.
    """

    def __init__(
        self,
        store: DocumentStore,
        wall: Callable[[], datetime],
        *,
        audit: AuditSink,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._wall = wall
        self._recorder = Recorder(audit, AuditKind.POLICY, wall=wall, new_id=new_id)
        self._versions: dict[int, PolicyVersion] = {}
        self._texts: dict[int, str] = {}
        self._compiled = CompiledPolicy(Policy())
        self._next = 1
        self._changing = asyncio.Lock()
        self.on_changed: list[Callable[[], None]] = []
        """Called once another version is in force."""
        self.problem = ""
        """Why the stored policy is not in force, for people; outside it everything is refused then."""

    @property
    def current(self) -> Policy:
        """The policy in force."""
        return self._compiled.policy

    @property
    def compiled(self) -> CompiledPolicy:
        """The policy in force, ready to be asked."""
        return self._compiled

    async def load(self) -> None:
        """Read the versions and put the active one into force; one that cannot be read leaves built-in rules only."""
        documents = await self._store.load_documents(_COLLECTION)
        active = int(documents.pop(_ACTIVE, {}).get("number", 0))
        for key, body in documents.items():
            try:
                version = _version_of(body)
            except (KeyError, TypeError, ValueError) as exc:
                log.warning("policy_version_unreadable", name=key, error=repr(exc))
                continue
            self._versions[version.number] = version
            self._texts[version.number] = body["text"]
        self._next = max((*self._versions, active), default=0) + 1
        if not active:
            return
        try:
            compiled = await asyncio.to_thread(_compile, self.text(active), active)
        except (PolicyError, NotFound) as exc:
            self.problem = f"Policy version {active} cannot be used: {exc.detail}"
            log.error("policy_unusable", version=active, error=exc.detail)  # noqa: TRY400 - no bug of ours
            return
        self._put_in_force(compiled)

    def versions(self) -> list[PolicyVersion]:
        """Return the versions kept, newest first."""
        number = self.current.version
        return [
            replace(version, active=version.number == number)
            for version in sorted(self._versions.values(), key=lambda v: v.number, reverse=True)
        ]

    def text(self, version: int) -> str:
        """Return the text of a version.

        Raises:
            NotFound: `version_unknown`.
        """
        if version not in self._texts:
            raise NotFound("version_unknown", f"There is no policy version {version}")
        return self._texts[version]

    async def policy(self, version: int) -> Policy:
        """Return a version as it would be in force.

        Raises:
            NotFound: `version_unknown`.
            PolicyError: it was written by a gateway that read it otherwise.
        """
        if version == self.current.version:
            return self.current
        return (await asyncio.to_thread(_compile, self.text(version), version)).policy

    async def diff(self, before: int, after: int) -> PolicyDifference:
        """Compare two versions rule by rule; version 0 is the empty policy.

        Raises:
            NotFound: `version_unknown`.
        """
        old = await self.policy(before) if before else Policy()
        new = await self.policy(after) if after else Policy()
        return await asyncio.to_thread(difference, old, new)

    async def apply(
        self,
        text: str | bytes,
        author: Subject,
        comment: str = "",
        *,
        expected: int | None = None,
        source: str = "policy",
        host: str = "",
    ) -> PolicyVersion:
        """Put a new policy into force once it is kept; the text in force again changes nothing.

        Args:
            text: The file.
            author: Who does it.
            comment: Why.
            expected: Number of the version it was made from; None does not care.
            source: Name of the file, for the sentences of errors.
            host: Host the request came from.

        Raises:
            PolicyError: refused whole; what was in force stays.
            Conflict: `policy_changed`: another version than the expected one is in force.
            Unavailable: it could not be kept; what was in force stays.
        """
        try:
            compiled = await asyncio.to_thread(_compile, text, 0, source)
        except PolicyError as exc:
            self._recorder.record(
                "apply",
                "policy:new",
                author,
                detail=exc.detail,
                reason=exc.code,
                source=host,
                result="failed",
            )
            raise
        async with self._changing:
            self._check_expected(expected)
            if self.current.version and compiled.policy.digest == self.current.digest:
                return self._active()
            number = self._next
            self._next += 1
            policy = replace(compiled.policy, version=number)
            compiled.policy = policy
            version = PolicyVersion(
                number=number,
                author=author.label,
                comment=comment[:MAX_COMMENT],
                at=self._wall(),
                digest=policy.digest,
                size=len(policy.text.encode()),
            )
            await self._store.save_document(
                _COLLECTION, f"{number:08}", _document(version, policy.text)
            )
            self._versions[number] = version
            self._texts[number] = policy.text
            await self._activate(compiled, author, "apply", comment, host)
            self._prune()
            return self._active()

    async def activate(
        self,
        version: int,
        author: Subject,
        comment: str = "",
        *,
        expected: int | None = None,
        host: str = "",
    ) -> PolicyVersion:
        """Put an older version into force again.

        Raises:
            NotFound: `version_unknown`.
            Conflict: `policy_changed`.
            PolicyError, Unavailable: as for :meth:`apply`.
        """
        compiled = await asyncio.to_thread(_compile, self.text(version), version)
        async with self._changing:
            self._check_expected(expected)
            # While this waited its turn it may have been the oldest and gone.
            self.text(version)
            if version != self.current.version:
                await self._activate(compiled, author, "activate", comment, host)
            return self._active()

    async def _activate(
        self, compiled: CompiledPolicy, author: Subject, action: str, comment: str, host: str
    ) -> None:
        number = compiled.policy.version
        changed = await asyncio.to_thread(difference, self.current, compiled.policy)
        await self._store.save_document(_COLLECTION, _ACTIVE, {"number": number})
        self.problem = ""
        self._recorder.record(
            action,
            f"policy:{number}",
            author,
            detail=f"sha256={compiled.policy.digest}; {changed.summary}",
            reason=comment[:MAX_COMMENT],
            source=host,
        )
        self._put_in_force(compiled)

    def _check_expected(self, expected: int | None) -> None:
        if expected is not None and expected != self.current.version:
            raise Conflict(
                "policy_changed",
                f"Version {self.current.version} is in force, not {expected}: compare and apply again",
            )

    def _active(self) -> PolicyVersion:
        return replace(self._versions[self.current.version], active=True)

    def _put_in_force(self, compiled: CompiledPolicy) -> None:
        self._compiled = compiled
        for changed in self.on_changed:
            changed()

    def _prune(self) -> None:
        kept = sum(version.size for version in self._versions.values())
        for number in sorted(self._versions):
            if len(self._versions) <= MAX_VERSIONS and kept <= MAX_KEPT_BYTES:
                return
            if number != self.current.version:
                kept -= self._versions.pop(number).size
                del self._texts[number]
                unawaited(
                    self._store.delete_document(_COLLECTION, f"{number:08}"), "policy_version"
                )


def _compile(text: str | bytes, version: int, source: str = "policy") -> CompiledPolicy:
    return CompiledPolicy(replace(load_policy(text, source=source), version=version))


def _document(version: PolicyVersion, text: str) -> dict[str, Any]:
    return {
        "number": version.number,
        "author": version.author,
        "comment": version.comment,
        "at": version.at.isoformat(),
        "digest": version.digest,
        "text": text,
    }


def _version_of(body: dict[str, Any]) -> PolicyVersion:
    return PolicyVersion(
        number=int(body["number"]),
        author=body["author"],
        comment=body["comment"],
        at=datetime.fromisoformat(body["at"]),
        digest=body["digest"],
        size=len(body["text"].encode()),
    )

"""The lines of the audit's files.

A line is one JSON object in UTF-8 whose first members stand in a fixed order; the others are sorted by name and
written without white space, so that equal content always gives equal bytes:

    {"hash":"SM3","prev":"SM3","seq":N,"line":"KIND", ... ,"signature":"ED25519"}

`hash` is the SM3 (GB/T 32905) of the line's bytes without the member `hash`, i.e. of `{"prev": ... }`; `prev` is the
hash of the line before; `seq` counts lines over all files. Lines of some kinds end with a signature: Ed25519 over
what is hashed, without the member `signature`. Bytes are hashed, not values: the same JSON written otherwise is
another line.
"""

import enum
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes

__all__ = ["GENESIS", "MAX_LINE", "SIGNED", "Line", "LineError", "LineKind", "encode", "sm3"]

GENESIS = "0" * 64
"""`prev` of the very first line."""

MAX_LINE = 65_536
"""Bytes of a line at most; with every field at its cap and every character escaped a line stays below half of it."""


class LineKind(enum.StrEnum):
    """What a line is."""

    HEADER = "header"
    """First of a file; its `prev` binds the file to the one before."""
    OPEN = "open"
    """After a header: accesses begun earlier that still last."""
    ENTRY = "entry"
    """A record."""
    GAP = "gap"
    """Records were lost because the disk refused them for too long; says how many."""
    BREAK = "break"
    """The gateway found its files damaged when it started; says how."""
    CHECKPOINT = "checkpoint"
    """A signature over everything before it."""
    SEAL = "seal"
    """Last of a file: a checkpoint that also says what the file holds."""
    STUB = "stub"
    """Outside the chain, in a file whose records were removed: signed by whoever removed them."""
    MANIFEST = "manifest"
    """Outside the chain, in an export: what belongs to it."""


SIGNED = frozenset({LineKind.CHECKPOINT, LineKind.SEAL, LineKind.STUB, LineKind.MANIFEST})
"""Kinds of line that end with a signature."""

_LINE = re.compile(
    rb'\{"hash":"([0-9a-f]{64})","prev":"([0-9a-f]{64})","seq":(0|[1-9][0-9]{0,17}),"line":"([a-z]{1,16})",.+\}',
    re.DOTALL,
)
_BODY_AT = len('{"hash":"') + 64 + len('",')
_SIGNATURE = re.compile(rb',"signature":"([0-9a-f]{128})"\}')
_SIGNATURE_SIZE = len(',"signature":""}') + 128
_KINDS = {kind.value.encode(): kind for kind in LineKind}
_SM3 = hashes.SM3()
_to_json = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode


class LineError(ValueError):
    """Bytes that are no line of an audit."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands in a file."""

    hash: str
    """As stated; whether it is right is another question."""
    prev: str
    seq: int
    kind: LineKind
    raw: bytes
    """Without the newline."""

    @classmethod
    def parse(cls, raw: bytes) -> "Line":
        """Take a line, with its newline, apart as far as the chain needs it.

        Raises:
            LineError: it is none.
        """
        if not raw.endswith(b"\n"):
            raise LineError(f"expected the end of the line, got {len(raw)} bytes without it")
        match = _LINE.fullmatch(raw := raw[:-1])
        if match is None:
            raise LineError(f"expected a line of the audit, got {raw[:80]!r}")
        stated, prev, seq, name = match.groups()
        kind = _KINDS.get(name)
        if kind is None:
            raise LineError(f"expected a line of a known kind, got {name.decode()!r}")
        return cls(stated.decode(), prev.decode(), int(seq), kind, raw)

    @property
    def body(self) -> bytes:
        """What is hashed."""
        return b"{" + self.raw[_BODY_AT:]

    def computed(self) -> str:
        """Return the hash that its bytes have."""
        return sm3(self.body)

    def signed(self) -> tuple[bytes, bytes]:
        """Return what is signed and the signature.

        Raises:
            LineError: there is none.
        """
        body = self.body
        match = _SIGNATURE.fullmatch(body, len(body) - _SIGNATURE_SIZE)
        if match is None:
            raise LineError("expected a signature at the end of the line")
        return body[:-_SIGNATURE_SIZE] + b"}", bytes.fromhex(match[1].decode())

    def fields(self) -> dict[str, Any]:
        """Return its members.

        Raises:
            LineError: it is no JSON object.
        """
        try:
            found = json.loads(self.raw)
        except (ValueError, RecursionError) as exc:
            raise LineError(f"expected JSON: {exc}") from exc
        return found if isinstance(found, dict) else {}


def encode(
    kind: LineKind,
    content: Mapping[str, Any],
    *,
    seq: int,
    prev: str,
    sign: Callable[[bytes], bytes] | None = None,
) -> tuple[bytes, str]:
    """Return a line with its newline, and its hash.

    Args:
        kind: What it is.
        content: The members besides the fixed ones; not empty.
        seq: Its number.
        prev: Hash of the line before.
        sign: Signs it, for the kinds that are signed.
    """
    text = f'{{"prev":"{prev}","seq":{seq},"line":"{kind.value}",{_to_json(content)[1:]}'
    # A lone surrogate (bytes kept by surrogateescape) becomes its own JSON escape.
    body = text.encode("utf-8", "backslashreplace")
    if sign is not None:
        body = b'%b,"signature":"%b"}' % (body[:-1], sign(body).hex().encode())
    digest = sm3(body)
    return b'{"hash":"%b",%b\n' % (digest.encode(), body[1:]), digest


def sm3(data: bytes) -> str:
    """Return the SM3 of bytes, in lower-case hexadecimal."""
    context = hashes.Hash(_SM3)
    context.update(data)
    return context.finalize().hex()

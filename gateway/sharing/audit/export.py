"""An export: the files that cover a period, and all that is needed to verify them elsewhere. Blocks."""

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.domain.audit import SegmentInfo
from gateway.domain.errors import Invalid, NotFound
from gateway.sharing.audit.chain import FORMAT, SegmentSpan
from gateway.sharing.audit.checkpoint import CHECKPOINT_FILE, PUBLIC_KEY_FILE, Signer
from gateway.sharing.audit.line import Line, LineKind, encode
from gateway.sharing.audit.record import format_time
from gateway.sharing.audit.source import Source, file_name
from gateway.sharing.audit.verify import MANIFEST_FILE

__all__ = ["MAX_EXPORT", "README_FILE", "build_export"]

MAX_EXPORT = 512 * 1024 * 1024
"""Bytes of files in one export, before compression; more is fetched in parts."""
README_FILE = "README.txt"

_SIGNED = (b',"line":"checkpoint",', b',"line":"seal",')
"""Marks of signed lines; in a text of a record the quotes would be escaped."""

_README = """\
审计导出 / Export of the audit of a GB/T 28181 gateway

用网关程序离线校验(不需要运行中的网关) / Verify with the gateway's program, no running gateway needed:

    gateway audit verify THIS-FILE.zip

请将输出的公钥指纹与另行保存的指纹比对。
Compare the fingerprint of the key that it prints with the one that was noted elsewhere: {fingerprint}

不用网关程序的校验方法 / Verifying by hand:

1. NNNNNNNN.log 每行一个 JSON 对象。去掉行首的 "hash":"...", 后,其余字节(不含换行)的 SM3 即该 hash;
   "prev" 是上一行的 hash,"seq" 逐行加一(跨文件连续)。
   Each line of NNNNNNNN.log is one JSON object. The SM3 of its bytes without the member "hash":"...", and without the
   newline, is that hash; "prev" is the hash of the line before, "seq" grows by one, from file to file too.

       sed -n 2p 00000001.log | tr -d '\\n' | sed 's/"hash":"[0-9a-f]*",//' | openssl dgst -sm3

2. line 为 checkpoint、seal、stub、manifest 的行以签名结尾:对同样的字节再去掉 ,"signature":"..." 后做 Ed25519 签名。
   Lines of the kinds checkpoint, seal, stub and manifest end with a signature: Ed25519 (RFC 8032) over the same bytes
   without the member ,"signature":"..." as well; "key" is the public key, it must be one of {public_key}.

3. NNNNNNNN.stub 只有三行:原文件的首行、末行(seal,含记录数与时间范围)和保留期满删除时的签名。
   A NNNNNNNN.stub has three lines: the first and the last of the original file (the seal says how many records of
   which time there were) and a signature made when retention removed the records between them.

4. {manifest} 列出本导出包含的文件;{checkpoint} 是其中最后一个签名行。
   {manifest} lists the files of this export; {checkpoint} is the last signed line in them.

本导出包含整个文件,因此也含所选时段以外的记录。
Files are exported whole: they hold records outside the chosen period too.
时段 / period: {since} - {until}
"""


def build_export(
    source: Source,
    spans: Sequence[SegmentSpan],
    since: datetime | None,
    until: datetime | None,
    signer: Signer,
    at: datetime,
) -> bytes:
    """Return a zip with the files that cover a period, up to the last signed line.

    Args:
        source: The files; the newest is signed up to what is wanted.
        spans: What each holds, oldest first.
        since: Earliest record; None is the first.
        until: Latest record; None is the last.
        signer: Signs the list.
        at: Now.

    Raises:
        NotFound: `no_records`.
        Invalid: `export_too_large`.
        OSError: a file cannot be read.
    """
    wanted = [span.number for span in spans if span.may_overlap(since, until)]
    if not wanted:
        raise NotFound("no_records", "there are no records of that time")
    chosen = [info for info in source.segments() if wanted[0] <= info.number <= wanted[-1]]
    size = sum(info.size for info in chosen)
    if size > MAX_EXPORT:
        raise Invalid(
            "export_too_large",
            f"the files of that time have {size >> 20} MiB, an export at most {MAX_EXPORT >> 20}: "
            "choose a shorter period",
        )
    contents = {info.number: _read(source, info) for info in chosen}
    end = _cut_after_signature(contents)
    if end is None:
        raise NotFound("no_records", "there are no signed records of that time")
    content = {
        "at": format_time(at),
        "format": FORMAT,
        "key": signer.key_id,
        "segments": list(contents),
        "since": since and format_time(since),
        "until": until and format_time(until),
    }
    manifest, _ = encode(LineKind.MANIFEST, content, seq=end.seq, prev=end.hash, sign=signer.sign)
    readme = _README.format(
        fingerprint=signer.fingerprint,
        public_key=PUBLIC_KEY_FILE,
        manifest=MANIFEST_FILE,
        checkpoint=CHECKPOINT_FILE,
        since=since or "…",
        until=until or "…",
    )
    files = {
        README_FILE: readme.encode(),
        MANIFEST_FILE: manifest,
        CHECKPOINT_FILE: end.raw + b"\n",
        PUBLIC_KEY_FILE: source.read_beside(PUBLIC_KEY_FILE) or b"",
    }
    stubs = {info.number for info in chosen if info.stub}
    for number, data in contents.items():
        files[file_name(number, stub=number in stubs)] = data
    return _pack(files, at)


def _read(source: Source, info: SegmentInfo) -> bytes:
    with source.open(info.number, stub=info.stub) as file:
        return file.read()


def _cut_after_signature(contents: dict[int, bytes]) -> Line | None:
    """Cut the files after the last signed line, which is returned."""
    for number in reversed(list(contents)):
        data = contents[number]
        at = max(data.rfind(mark) for mark in _SIGNED)
        if at >= 0:
            begin = data.rfind(b"\n", 0, at) + 1
            end = data.find(b"\n", at) + 1
            if b',"line":"stub",' not in data[end:]:
                contents[number] = data[:end]
            return Line.parse(data[begin:end])
        del contents[number]
    return None


def _pack(files: dict[str, bytes], at: datetime) -> bytes:
    packed = io.BytesIO()
    moment = at.astimezone(UTC)
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, moment.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            archive.writestr(info, data, compresslevel=1)
    return packed.getvalue()

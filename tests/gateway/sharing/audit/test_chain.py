"""The writing end of the chain."""

from datetime import timedelta

from gateway.sharing.audit.chain import (
    MAX_OPEN,
    OPEN_PER_LINE,
    Chain,
    ChainState,
    SegmentLimits,
    SegmentSpan,
    follow,
)
from gateway.sharing.audit.checkpoint import Anchor, KeyRing, SignatureState, Signer
from gateway.sharing.audit.line import GENESIS, Line, LineKind
from gateway.sharing.audit.record import content_of
from tests.gateway.sharing.audit.samples import AT, KEY, SMALL, Wall, access, end

SIGNER = Signer(KEY)


def chain_of(
    wall: Wall | None = None, limits: SegmentLimits = SMALL, state: ChainState | None = None
) -> Chain:
    return Chain(state or ChainState(), SIGNER, limits=limits, wall=wall or Wall())


def lines_of(chain: Chain) -> dict[int, list[Line]]:
    found: dict[int, list[Line]] = {}
    for chunk in chain.take()[0]:
        data = b"".join(chunk.parts)
        assert len(data) == chunk.size
        found[chunk.segment] = [Line.parse(raw) for raw in data.splitlines(keepends=True)]
    return found


def kinds(lines: list[Line]) -> str:
    return " ".join(line.kind for line in lines)


def test_the_first_file_begins_with_a_header_that_follows_from_nothing() -> None:
    chain = chain_of()
    (header,) = lines_of(chain)[1]
    assert (header.kind, header.seq, header.prev) == (LineKind.HEADER, 1, GENESIS)
    assert header.fields()["segment"] == 1
    assert chain.head == Anchor(1, header.hash)


def test_every_line_follows_from_the_one_before_over_all_files() -> None:
    chain = chain_of()
    for number in range(35):
        chain.add(access(number))
    files = lines_of(chain)
    assert list(files) == [1, 2, 3, 4]
    lines = [line for each in files.values() for line in each]
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert [line.prev for line in lines[1:]] == [line.hash for line in lines[:-1]]
    assert all(line.computed() == line.hash for line in lines)
    assert kinds(files[2]) == "header" + " entry" * 10 + " seal"
    assert kinds(files[4]) == "header" + " entry" * 5


def test_a_seal_says_what_its_file_holds_and_is_signed() -> None:
    chain = chain_of()
    for number in range(10):
        # Clocks go back at times.
        chain.add(access(number, AT - timedelta(seconds=number % 7)))
    seal = lines_of(chain)[1][-1]
    assert KeyRing([SIGNER.key_id]).check(seal) is SignatureState.GOOD
    members = seal.fields()
    assert (members["first_seq"], members["records"], seal.seq) == (1, 10, 12)
    assert members["first_at"] == "2026-11-21T08:30:09.123456Z"
    assert members["last_at"] == "2026-11-21T08:30:15.123456Z"
    (span,) = chain.sealed
    assert (span.number, span.records, span.last_seq, span.sealed) == (1, 10, 12, True)


def test_a_file_is_sealed_by_its_size_and_by_its_age() -> None:
    wall = Wall()
    chain = chain_of(wall, SegmentLimits(size=3000, age=timedelta(days=1)))
    for number in range(8):
        chain.add(access(number))
    assert max(lines_of(chain)) == 2
    wall.pass_(days=2)
    chain = chain_of(wall, SegmentLimits(age=timedelta(days=1)))
    assert not chain.is_old()
    wall.pass_(days=2)
    assert not chain.is_old(), "an empty file never grows old"
    chain.add(access(1))
    assert chain.is_old()
    chain.rotate()
    assert not chain.is_old()


def test_a_checkpoint_is_written_only_if_there_is_something_new() -> None:
    chain = chain_of()
    chain.checkpoint()
    chain.checkpoint()
    chain.add(access(1))
    assert chain.unsigned == 1
    chain.checkpoint()
    assert chain.unsigned == 0
    chunks, signed = chain.take()
    lines = [Line.parse(raw) for raw in b"".join(chunks[0].parts).splitlines(keepends=True)]
    assert kinds(lines) == "header checkpoint entry checkpoint"
    assert signed == lines[-1].raw + b"\n"
    assert chain.signed == chain.head == Anchor(4, lines[-1].hash)
    assert chain.take() == ([], b"")


def test_accesses_that_last_are_carried_into_the_next_file() -> None:
    chain = chain_of(limits=SegmentLimits(records=1000))
    for number in range(250):
        chain.add(access(number, AT + timedelta(seconds=number), lasting=True))
    for number in range(0, 250, 2):
        chain.add(end(number))
    chain.rotate()
    files = lines_of(chain)
    header, *opened = files[2]
    assert header.fields()["open"] == 125
    assert [len(line.fields()["accesses"]) for line in opened] == [OPEN_PER_LINE, 25]
    listed = [tuple(each) for line in opened for each in line.fields()["accesses"]]
    assert listed[0] == ("a1", "2026-11-21T08:30:16.123456Z")
    assert dict(listed) == chain.open


def test_only_accesses_that_last_wait_for_an_end() -> None:
    accesses: dict[str, str] = {}
    follow(accesses, content_of(access(1)))
    follow(accesses, content_of(access(2, lasting=True)))
    follow(accesses, content_of(end(7)))
    assert list(accesses) == ["a2"]
    follow(accesses, content_of(end(2)))
    assert accesses == {}


def test_accesses_that_never_end_do_not_fill_the_memory() -> None:
    accesses = {str(number): "" for number in range(MAX_OPEN)}
    follow(accesses, content_of(access(1, lasting=True)))
    assert len(accesses) == MAX_OPEN
    assert "0" not in accesses
    assert "a1" in accesses


def test_gaps_and_breaks_stand_in_the_chain() -> None:
    chain = chain_of()
    chain.add_gap(17, AT - timedelta(minutes=1))
    chain.add_break("x" * 5000)
    _, gap, damage = lines_of(chain)[1]
    assert gap.fields()["lost"] == 17
    assert gap.fields()["since"] == "2026-11-21T08:29:15.123456Z"
    assert damage.prev == gap.hash
    assert damage.fields()["detail"] == "x" * 1000


def test_a_chain_goes_on_where_another_left_off() -> None:
    span = SegmentSpan(number=4, first_seq=90, began=AT, records=9)
    state = ChainState(segment=4, size=777, seq=99, hash="ab" * 32, unsigned=3, span=span)
    chain = chain_of(state=state)
    chain.add(access(1))
    files = lines_of(chain)
    assert (files[4][0].seq, files[4][0].prev) == (100, "ab" * 32)
    assert kinds(files[4]) == "entry seal"
    assert kinds(files[5]) == "header"


def test_a_number_whose_file_is_empty_is_used_again() -> None:
    chain = chain_of(state=ChainState(segment=4, size=0, seq=99, hash="ab" * 32))
    assert list(lines_of(chain)) == [4]
    chain = chain_of(state=ChainState(segment=4, size=1, seq=99, hash="ab" * 32))
    assert list(lines_of(chain)) == [5]

"""Foreign sources as channels; publishers at the desk; what is kept and never shown."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.errors import Conflict, GatewayError, Invalid, NotFound, Unavailable
from gateway.domain.session import Ended, EndReason
from gateway.domain.source import (
    ProbeReport,
    Publication,
    SourceConfig,
    SourceState,
    TagKind,
    shown_url,
)
from gateway.sessions.source_desk import FAILURES_PER_MINUTE, TAKEOVER
from gateway.sessions.source_live import LiveSource
from gateway.sessions.sources import ForeignSources
from tests.support.foreign_bench import ADMIN, SourceBench, pulled, pushed, source_bench
from tests.support.registry import ManualClock, registration

DEVICE = "34020000001180900001"
FIRST = "34020000001320900001"


class Stops:
    """Remembers why a publisher was ended."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def __call__(self, code: str, detail: str) -> None:
        self.codes.append(code)


def _enter(
    sources: ForeignSources, key: str, *, source_id: str = FIRST, host: str = "192.0.2.7"
) -> tuple[Publication, Stops]:
    stops = Stops()
    publication = sources.desk.admit(source_id, key, f"{host}:4000", encoder="FMLE", stop=stops)
    return publication, stops


async def _until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.005)


# Channels


async def test_the_first_source_makes_the_device_and_the_last_one_takes_it_away() -> None:
    async with source_bench() as (bench, sources):
        assert bench.registry.devices() == []
        issued = await sources.create(pushed(bench.clock, civil_code="371326"), by=ADMIN)
        assert issued.config.source_id == FIRST
        (channel,) = bench.registry.channels(DEVICE)
        assert (channel.channel_id, channel.name, channel.online) == (FIRST, "drone", False)
        assert channel.civil_code == "371326"
        second = await sources.create(pulled(bench.clock), by=ADMIN)
        assert second.key == ""
        assert bench.registry.channels(DEVICE)[1].online
        await sources.delete(FIRST, by=ADMIN)
        await sources.delete(second.config.source_id, by=ADMIN)
        assert bench.registry.devices() == []
        # The device is the same again: uppers know it.
        await sources.create(pushed(bench.clock), by=ADMIN)
        assert bench.registry.get(DEVICE) is not None


async def test_a_code_is_given_or_made_and_never_somebody_elses() -> None:
    async with source_bench() as (bench, sources):
        bench.registry.registered(registration("34020000001180900001"), bench.clock.now)
        taken = "34020000001320900001"
        bench.registry.registered(registration(taken), bench.clock.now)
        issued = await sources.create(pushed(bench.clock), by=ADMIN)
        assert issued.config.source_id == "34020000001320900002"
        assert sources.device_id == "34020000001180900002"
        with pytest.raises(Conflict, match="already"):
            await sources.create(pushed(bench.clock, taken), by=ADMIN)
        with pytest.raises(Conflict, match="already"):
            await sources.create(pushed(bench.clock, issued.config.source_id), by=ADMIN)
        given = await sources.create(pushed(bench.clock, "37132600001310000001"), by=ADMIN)
        assert given.config.source_id == "37132600001310000001"


async def test_sources_are_there_again_after_a_restart() -> None:
    bench = SourceBench()
    await bench.registry.load()
    async with bench.running() as sources:
        issued = await sources.create(pushed(bench.clock), by=ADMIN)
        await sources.create(pulled(bench.clock, enabled=False), by=ADMIN)
        kept = await bench.documents.load_documents("foreign_sources")
    assert "sesame" not in str(kept)
    assert issued.key not in str(kept)
    async with bench.running() as again:
        assert [config.kind.value for config, _ in again.all()] == ["push_rtmp", "pull_rtsp"]
        _enter(again, issued.key)
        states = [status.state for _, status in again.all()]
        assert states == [SourceState.RUNNING, SourceState.DISABLED]


async def test_a_store_that_fails_changes_nothing() -> None:
    async with source_bench() as (bench, sources):
        issued = await sources.create(pushed(bench.clock), by=ADMIN)
        bench.documents.broken = True
        config = issued.config
        for attempt in (
            sources.create(pulled(bench.clock), by=ADMIN),
            sources.change(replace(config, name="other"), by=ADMIN),
            sources.rotate(FIRST, by=ADMIN),
            sources.delete(FIRST, by=ADMIN),
        ):
            with pytest.raises(Unavailable):
                await attempt
        bench.documents.broken = False
        assert [(one.name, one.source_id) for one, _ in sources.all()] == [("drone", FIRST)]
        _enter(sources, issued.key)


async def test_a_source_that_is_being_kept_is_seen_whole_by_everybody_else() -> None:
    async with source_bench() as (bench, sources):
        bench.documents.held = []
        async with asyncio.TaskGroup() as group:
            making = group.create_task(sources.create(pushed(bench.clock), by=ADMIN))
            await _until(lambda: bench.documents.held)
            ((config, status),) = sources.all()
            assert (config.source_id, status.state) == (FIRST, sources.status(FIRST).state)
            held, bench.documents.held = bench.documents.held, None
            held[0].set_result(None)
        assert making.result().config == config


@pytest.mark.parametrize("given", ["", "37132600001310000001"])
async def test_a_source_that_cannot_become_a_channel_is_taken_back(given: str) -> None:
    async with source_bench() as (bench, sources):
        bench.store.broken = True
        with pytest.raises(Unavailable):
            await sources.create(pushed(bench.clock, given), by=ADMIN)
        assert sources.all() == []
        assert await bench.documents.load_documents("foreign_sources") == {}
        with pytest.raises(NotFound):
            sources.status(given or FIRST)
        bench.store.broken = False
        issued = await sources.create(pushed(bench.clock, given), by=ADMIN)
        _enter(sources, issued.key, source_id=issued.config.source_id)
        (channel,) = bench.registry.channels(sources.device_id)
        assert channel.channel_id == issued.config.source_id


async def test_a_source_that_cannot_be_taken_back_either_can_be_deleted_later() -> None:
    async with source_bench() as (bench, sources):
        bench.store.broken = True
        bench.documents.held = []
        async with asyncio.TaskGroup() as group:
            making = group.create_task(_outcome(sources.create(pushed(bench.clock), by=ADMIN)))
            await _until(lambda: bench.documents.held)
            held, bench.documents.held = bench.documents.held, []
            held[0].set_result(None)
            await _until(lambda: bench.documents.held)
            held, bench.documents.held = bench.documents.held, None
            bench.documents.broken = True
            held[0].set_result(None)
        assert isinstance(making.result(), Unavailable)
        ((config, _),) = sources.all()
        assert config.source_id == FIRST
        bench.store.broken = bench.documents.broken = False
        await sources.delete(FIRST, by=ADMIN)
        assert sources.all() == []


async def _outcome(attempt: Coroutine[None, None, object]) -> object:
    try:
        return await attempt
    except GatewayError as exc:
        return exc


async def test_a_source_that_exists_is_not_touched_by_a_second_one_of_its_code() -> None:
    async with source_bench() as (bench, sources):
        issued = await sources.create(pushed(bench.clock), by=ADMIN)
        _, stops = _enter(sources, issued.key)
        with pytest.raises(Conflict, match="already"):
            await sources.create(pushed(bench.clock, FIRST), by=ADMIN)
        with pytest.raises(Invalid):
            await sources.create(pushed(bench.clock, "x"), by=ADMIN)
        assert stops.codes == []
        assert sources.publishers == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"source_id": "34020000002000000009"},
        {"source_id": "x"},
        {"name": "a\nb"},
        {"civil_code": "1"},
        {"longitude": 181.0},
        {"latitude": float("nan")},
        {"secrecy": 2},
        {"url": ""},
        {"url": "http://192.0.2.1/x"},
        {"url": "file:///etc/passwd"},
        {"url": "rtsp:///x"},
        {"url": "rtsp://host:0/x"},
        {"url": "rtsp://host:99999/x"},
        {"url": "rtsp://ho st/x"},
        {"url": "rtsp://host/" + "x" * 1000},
        {"url": "concat:rtsp://host/x"},
    ],
)
async def test_what_cannot_be_a_source_is_refused_without_its_password(
    changes: dict[str, object],
) -> None:
    async with source_bench() as (bench, sources):
        with pytest.raises(Invalid) as refused:
            await sources.create(pulled(bench.clock, **changes), by=ADMIN)  # type: ignore[arg-type]
        assert "sesame" not in refused.value.detail
        assert sources.all() == []


async def test_kinds_stay_and_fit_what_they_are_given() -> None:
    async with source_bench() as (bench, sources):
        config = (await sources.create(pushed(bench.clock), by=ADMIN)).config
        with pytest.raises(Invalid, match="kind"):
            await sources.change(pulled(bench.clock, FIRST), by=ADMIN)
        for wrong in (replace(config, url="rtsp://h/x"), replace(config, always=True)):
            with pytest.raises(Invalid):
                await sources.change(wrong, by=ADMIN)
        camera = (await sources.create(pulled(bench.clock), by=ADMIN)).config
        with pytest.raises(Invalid, match="stream key"):
            await sources.rotate(camera.source_id, by=ADMIN)
        with pytest.raises(NotFound):
            await sources.delete("34020000001320999999", by=ADMIN)


async def test_secrets_are_in_no_word_about_a_source() -> None:
    async with source_bench() as (bench, sources):
        issued = await sources.create(pushed(bench.clock), by=ADMIN)
        camera = (await sources.create(pulled(bench.clock), by=ADMIN)).config
        rotated = await sources.rotate(FIRST, by=ADMIN)
        words = f"{camera} {issued} {rotated} {bench.audit.entries} {sources.all()}"
        assert "sesame" not in words
        assert issued.key not in words
        assert rotated.key not in words
        assert [entry.action for entry in bench.audit.entries] == ["create", "create", "rotate"]


def test_a_shown_url_has_no_user_password_and_query() -> None:
    assert shown_url("rtsp://u:p@h:8554/a/b?token=x#y") == "rtsp://h:8554/a/b"
    assert shown_url("rtmp://u@[2001:db8::1]/live/x?key=1") == "rtmp://[2001:db8::1]/live/x"
    assert shown_url("rtsp://[broken/x") == ""


# Publishers


async def test_a_publisher_brings_its_channel_online_and_takes_it_off_again() -> None:
    async with source_bench() as (bench, sources):
        key = (await sources.create(pushed(bench.clock), by=ADMIN)).key
        publication, _ = _enter(sources, key)
        assert sources.publishers == 1
        await _until(lambda: bench.registry.channel(DEVICE, FIRST).online)  # type: ignore[union-attr]
        publication.tag(TagKind.VIDEO, 0, b"\x17\x01\x00\x00\x00")
        publication.end("publisher_left", "The publisher ended")
        publication.end("publisher_left", "twice")
        publication.tag(TagKind.VIDEO, 0, b"late")
        await _until(lambda: not bench.registry.channel(DEVICE, FIRST).online)  # type: ignore[union-attr]
        assert sources.publishers == 0
        kinds = [entry.kind.value for entry in bench.registry.timeline(DEVICE)]
        assert kinds.count("source_changed") == 2


@pytest.mark.parametrize(
    ("source_id", "key"),
    [(FIRST, ""), (FIRST, "wrong"), ("", ""), ("34020000001320999999", "x"), (FIRST, "\ud800")],
)
async def test_whoever_has_no_key_hears_the_same_and_is_on_record(source_id: str, key: str) -> None:
    async with source_bench() as (bench, sources):
        await sources.create(pushed(bench.clock), by=ADMIN)
        with pytest.raises(GatewayError) as refused:
            _enter(sources, key, source_id=source_id)
        assert (refused.value.code, refused.value.status) == ("publish_refused", 401)
        assert "Unknown channel, wrong stream key" in refused.value.detail
        entry = bench.audit.entries[-1]
        assert (entry.kind, entry.result, entry.via) == (AuditKind.KEY, "deny", "rtmp")
        assert (entry.source, entry.object_id) == ("192.0.2.7", f"source:{source_id}")


async def test_a_pulled_source_takes_no_publisher_even_without_a_key() -> None:
    async with source_bench() as (bench, sources):
        camera = (await sources.create(pulled(bench.clock), by=ADMIN)).config
        with pytest.raises(GatewayError, match="wrong stream key"):
            _enter(sources, "", source_id=camera.source_id)


async def test_refusals_of_one_address_are_throttled_but_good_keys_never() -> None:
    async with source_bench() as (bench, sources):
        key = (await sources.create(pushed(bench.clock), by=ADMIN)).key
        codes = []
        for _ in range(FAILURES_PER_MINUTE + 5):
            with pytest.raises(GatewayError) as refused:
                _enter(sources, "wrong")
            codes.append(refused.value.code)
        assert codes.count("publish_refused") == FAILURES_PER_MINUTE
        assert codes[-1] == "publish_throttled"
        denied = [entry for entry in bench.audit.entries if entry.result == "deny"]
        assert len(denied) == FAILURES_PER_MINUTE
        with pytest.raises(GatewayError) as refused:
            _enter(sources, "wrong", host="192.0.2.8")
        assert refused.value.code == "publish_refused"
        _enter(sources, key)


async def test_one_publisher_at_a_time_unless_it_has_fallen_silent() -> None:
    async with source_bench() as (bench, sources):
        key = (await sources.create(pushed(bench.clock), by=ADMIN)).key
        first, stops = _enter(sources, key)
        bench.clock.advance(TAKEOVER - 0.1)
        with pytest.raises(Conflict) as refused:
            _enter(sources, key)
        assert refused.value.code == "publish_taken"
        bench.clock.advance(0.2)
        second, _ = _enter(sources, key, host="192.0.2.9")
        assert stops.codes == ["publish_taken"]
        # The old one's connection is found dead later.
        first.end("", "lost")
        assert sources.status(FIRST).publisher == "192.0.2.9:4000"
        second.end("", "lost")
        assert sources.status(FIRST).state is SourceState.WAITING_PUBLISHER


async def test_a_new_key_a_switch_and_a_deletion_end_the_publisher() -> None:
    async with source_bench() as (bench, sources):
        issued = await sources.create(pushed(bench.clock), by=ADMIN)
        _, stops = _enter(sources, issued.key)
        key = (await sources.rotate(FIRST, by=ADMIN)).key
        assert stops.codes == ["publish_refused"]
        with pytest.raises(GatewayError):
            _enter(sources, issued.key)
        _, stops = _enter(sources, key)
        await sources.change(replace(issued.config, enabled=False), by=ADMIN)
        assert stops.codes == ["publish_refused"]
        with pytest.raises(Unavailable, match="switched off"):
            _enter(sources, key)
        await sources.change(issued.config, by=ADMIN)
        _, stops = _enter(sources, key)
        await sources.delete(FIRST, by=ADMIN)
        assert stops.codes == ["publish_refused"]


# Pulled ones


async def test_a_failed_look_takes_the_channel_off_and_a_good_one_brings_it_back() -> None:
    async with source_bench() as (bench, sources):
        camera = (await sources.create(pulled(bench.clock), by=ADMIN)).config.source_id
        bench.media.report = ProbeReport(ok=False, code="source_refused", detail="no such user")
        assert not (await sources.test(camera)).ok
        await _until(lambda: not bench.registry.channel(DEVICE, camera).online)  # type: ignore[union-attr]
        status = sources.status(camera)
        assert (status.state, status.reason, status.tries) == (
            SourceState.FAILED, "source_refused", 1,
        )  # fmt: skip
        # A new try does not make it usable, only its success.
        sources.session_began(camera)
        assert sources.status(camera).state is SourceState.CONNECTING
        assert not bench.registry.channel(DEVICE, camera).online  # type: ignore[union-attr]
        sources.session_connected(camera)
        await _until(lambda: bench.registry.channel(DEVICE, camera).online)  # type: ignore[union-attr]
        assert sources.status(camera).tries == 0


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (EndReason.NO_READERS, SourceState.IDLE),
        (EndReason.SHUTDOWN, SourceState.IDLE),
        (EndReason.INTERNAL_ERROR, SourceState.IDLE),
        (EndReason.SOURCE_LOST, SourceState.FAILED),
        (EndReason.NO_PACKET, SourceState.FAILED),
        (EndReason.CODEC_UNSUPPORTED, SourceState.FAILED),
    ],
)
async def test_only_faults_of_the_source_count_against_it(
    reason: EndReason, state: SourceState
) -> None:
    async with source_bench() as (bench, sources):
        camera = (await sources.create(pulled(bench.clock), by=ADMIN)).config.source_id
        sources.session_began(camera)
        sources.session_connected(camera)
        sources.session_over(camera, Ended(reason, "why"))
        assert sources.status(camera).state is state


async def test_sources_that_nobody_watches_are_looked_at_now_and_then() -> None:
    async with source_bench(probe_interval=300.0) as (bench, sources):
        await sources.create(pulled(bench.clock), by=ADMIN)
        await sources.create(pulled(bench.clock, enabled=False), by=ADMIN)
        await sources.create(pushed(bench.clock), by=ADMIN)
        await _until(lambda: bench.media.probed)
        assert len(bench.media.probed) == 1
        assert bench.media.probed[0].connect_timeout > 0


async def test_another_address_ends_the_session_and_forgets_the_failure() -> None:
    async with source_bench() as (bench, sources):
        config = (await sources.create(pulled(bench.clock), by=ADMIN)).config
        bench.media.report = ProbeReport(ok=False, code="source_refused", detail="no")
        await sources.test(config.source_id)
        await bench.plays.play(DEVICE, config.source_id)
        await sources.change(replace(config, name="renamed"), by=ADMIN)
        assert bench.plays.stopped == []
        await sources.change(replace(config, url="rtsp://192.0.2.2/x"), by=ADMIN)
        assert bench.plays.stopped == [f"s-{config.source_id}"]
        assert sources.status(config.source_id).state is SourceState.IDLE


async def test_a_source_to_be_fetched_always_is_played_again_when_it_ends() -> None:
    async with source_bench() as (bench, sources):
        config: SourceConfig = (
            await sources.create(pulled(bench.clock, always=True), by=ADMIN)
        ).config
        await _until(lambda: bench.plays.records)
        bench.plays.records.clear()
        await _until(lambda: bench.plays.records)
        # Nobody watches it: it ends with the wish.
        await sources.change(replace(config, always=False), by=ADMIN)
        assert bench.plays.stopped == [f"s-{config.source_id}"]


async def test_ways_are_for_known_and_enabled_sources_of_the_own_device() -> None:
    async with source_bench() as (bench, sources):
        config = (await sources.create(pulled(bench.clock), by=ADMIN)).config
        record = await bench.plays.play(DEVICE, config.source_id)
        way = sources.way(record)
        assert (record.transport, way.keeps) == ("rtsp_tcp", False)
        record.device_id = "34020000001180000077"
        with pytest.raises(NotFound):
            sources.way(record)
        record.device_id = DEVICE
        await sources.change(replace(config, enabled=False), by=ADMIN)
        with pytest.raises(Unavailable, match="switched off"):
            sources.way(record)


def test_looks_after_a_failure_come_soon_then_ever_later() -> None:
    clock = ManualClock()
    source = LiveSource(pulled(clock), None, clock.utc_now)
    assert source.look_after(300.0) == 300.0
    waits = []
    for _ in range(8):
        source.probed(ProbeReport(ok=False, code="source_unreachable", detail="x"))
        waits.append(source.look_after(300.0))
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]

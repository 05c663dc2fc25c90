"""Asking, recording, counting, and ending what may no longer be."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.audit import AuditKind
from gateway.domain.errors import Forbidden
from gateway.domain.policy import AccessControl, AccessRequest, Action, Subject
from gateway.domain.selector import ChannelSelector, facts_of
from gateway.sharing.access_open import OwnerNotice
from gateway.sharing.policy.clause import parse_subjects
from tests.support.policy import ADMIN, CITY, DEVICE, MONDAY, URBAN, camera, rule
from tests.support.sharing import Office, Viewer, application

CAMERA = ChannelSelector(channels=frozenset({camera().channel_id}))
ALL = rule("all", subjects="{ outside = true }", actions='["catalog", "live", "ptz", "playback"]')


async def _office(*parts: str) -> Office:
    office = Office()
    await office.apply(*(parts or (ALL,)))
    office.audit.entries.clear()
    return office


async def test_it_is_what_the_domain_asks_for() -> None:
    control: AccessControl = (await _office()).access
    assert list(control.accesses()) == []


def _ways(office: Office) -> list[Callable[[AccessRequest], object]]:
    """Both ways of asking for something."""
    return [office.access.check, lambda request: Viewer(office, request)]


# Records


async def test_every_access_of_a_moment_is_exactly_one_record() -> None:
    office = await _office()
    request = replace(
        office.request(action=Action.PTZ, purpose="case", ticket="T1", source="10.1.1.1"),
        detail="A50F01",
    )
    decision = office.access.check(request)
    assert decision.rule == "all"
    [entry] = office.audit.entries
    assert entry.kind is AuditKind.ACCESS
    assert (entry.result, entry.rule, entry.reason) == ("allow", "all", "allowed")
    assert (entry.action, entry.object_id) == ("ptz", "3713260000132099999")
    assert (entry.device_id, entry.channel_id) == (DEVICE, camera().channel_id)
    assert (entry.purpose, entry.ticket, entry.source) == ("case", "T1", "10.1.1.1")
    assert (entry.via, entry.detail, entry.at) == ("sip", "A50F01", MONDAY)
    assert entry.subject == {"platform": CITY.platform}
    assert entry.duration_s is None


async def test_every_denial_is_exactly_one_record_with_the_rule_that_made_it() -> None:
    office = await _office(rule("no", effect="deny"))
    for count, ask in enumerate(_ways(office), start=1):
        with pytest.raises(Forbidden, match="Rule no denies it") as caught:
            ask(office.request())
        assert (caught.value.code, caught.value.rule) == ("denied", "no")
        assert len(office.audit.entries) == count
        assert (office.accesses[-1].result, office.accesses[-1].rule) == ("deny", "no")
        assert office.accesses[-1].detail == "Rule no denies it"
    assert list(office.access.accesses()) == []


async def test_asking_without_doing_leaves_no_record() -> None:
    office = await _office()
    request = office.request()
    assert request.channel is not None
    assert office.access.decide(CITY, Action.LIVE, request.channel, request.context).allowed
    assert office.audit.entries == []


async def test_an_access_that_lasts_is_two_records_with_its_duration() -> None:
    office = await _office()
    viewer = Viewer(
        office,
        replace(office.request(), subject=replace(CITY, identity="u", gateways=("g1", "g2"))),
    )
    office.clock.advance(12.5)
    viewer.access.end("bye", "the upper hung up")
    viewer.access.end("again")
    begin, end = office.audit.entries
    assert (begin.kind, end.kind) == (AuditKind.ACCESS, AuditKind.END)
    assert begin.entry_id == viewer.access.access_id == end.ref
    assert end.entry_id != begin.entry_id
    assert (end.result, end.detail, end.duration_s) == ("bye", "the upper hung up", 12.5)
    assert (end.at, end.channel_id) == (MONDAY + timedelta(seconds=12.5), camera().channel_id)
    assert begin.subject == {"platform": CITY.platform, "identity": "u", "gateways": "g1-g2"}
    assert list(office.access.accesses()) == []


async def test_a_denial_that_needs_no_decision_is_recorded_without_saying_what_it_is_here() -> None:
    office = await _office()
    unknown = AccessRequest(
        subject=CITY,
        action=Action.LIVE,
        channel=None,
        object_id="37139999991320000001",
        context=office.request().context,
        via="sip",
    )
    office.access.refuse(unknown, "not_shared", "never given")
    [entry] = office.audit.entries
    assert (entry.result, entry.reason, entry.detail) == ("deny", "not_shared", "never given")
    assert (entry.object_id, entry.channel_id, entry.device_id) == ("37139999991320000001", "", "")


async def test_what_askers_write_is_cut_in_records() -> None:
    office = await _office()
    request = replace(office.request(purpose="p" * 9000), object_id="o" * 9000, detail="d" * 9000)
    office.access.check(request)
    [entry] = office.audit.entries
    assert {len(entry.purpose), len(entry.object_id), len(entry.detail)} == {500}


async def test_a_whole_catalogue_may_be_asked_for_since_it_is_filtered_but_no_unknown_stream() -> (
    None
):
    office = await _office(rule(actions='["ptz"]'))
    whole = replace(office.request(action=Action.CATALOG), channel=None)
    assert office.access.check(whole).rule == "builtin:filtered"
    assert office.access.check(replace(whole, subject=ADMIN)).rule == "builtin:local-admin"
    with pytest.raises(Forbidden) as caught:
        office.access.check(replace(whole, action=Action.LIVE))
    assert caught.value.code == "no_rule"
    with pytest.raises(Forbidden):
        office.access.check(replace(whole, subject=Subject(role="viewer"), action=Action.ALARM))
    await office.stops.order(reason="x", by=ADMIN, objects=CAMERA)
    assert office.access.check(whole).allowed
    [clause] = parse_subjects({"platforms": [CITY.platform]})
    await office.stops.order(reason="x", by=ADMIN, subject=clause)
    with pytest.raises(Forbidden) as caught:
        office.access.check(whole)
    assert caught.value.code == "stopped"


# Fail closed


async def test_nothing_new_is_given_out_while_records_cannot_be_kept() -> None:
    office = await _office()
    viewer = Viewer(office, office.request())
    office.audit.ok = False
    for ask in _ways(office):
        with pytest.raises(Forbidden) as caught:
            ask(office.request())
        assert caught.value.code == "audit_unavailable"
    request = office.request()
    assert request.channel is not None
    live = office.access.decide(CITY, Action.LIVE, request.channel, request.context)
    assert live.reason == "audit_unavailable"
    listed = office.access.decide(CITY, Action.CATALOG, request.channel, request.context)
    assert listed.allowed
    whole = replace(office.request(action=Action.CATALOG), channel=None)
    with pytest.raises(Forbidden):
        office.access.check(whole)
    assert office.access.check(office.request(ADMIN)).allowed
    office.access.tick()
    assert viewer.told == []
    office.audit.ok = True
    assert office.access.check(office.request()).allowed


# Counting


async def test_a_party_has_no_more_streams_open_than_its_rule_allows() -> None:
    office = await _office(rule("two", context="{ max_streams = 2 }"))
    first, second = (Viewer(office, office.request(channel=camera(n))) for n in (1, 2))
    with pytest.raises(Forbidden) as caught:
        Viewer(office, office.request(channel=camera(3)))
    assert (caught.value.code, caught.value.rule) == ("too_many_streams", "two")
    request = office.request(replace(CITY, identity="other user"))
    assert request.channel is not None
    again = office.access.decide(request.subject, Action.LIVE, request.channel, request.context)
    assert again.reason == "too_many_streams"
    first.access.end("bye")
    third = Viewer(office, office.request(channel=camera(3)))
    assert [third.told, second.told] == [[], []]


async def test_a_department_shares_one_limit_whatever_its_keys() -> None:
    office = await _office(
        rule(subjects='{ departments = ["urban"] }', context="{ max_streams = 1 }")
    )
    Viewer(office, office.request(URBAN))
    with pytest.raises(Forbidden):
        Viewer(office, office.request(replace(URBAN, key="k2")))


async def test_a_key_frame_or_a_list_of_recordings_is_no_stream_of_the_limit() -> None:
    office = await _office(
        rule("one", actions='["live", "playback"]', context="{ max_streams = 1 }")
    )
    watching = Viewer(office, office.request())
    for action in (Action.LIVE, Action.PLAYBACK):
        assert office.access.check(office.request(action=action)).rule == "one"
        with pytest.raises(Forbidden) as caught:
            Viewer(office, office.request(action=action))
        assert caught.value.code == "too_many_streams"
    assert watching.told == []
    assert [entry.result for entry in office.accesses] == ["allow", *["allow", "deny"] * 2]


async def test_what_is_no_stream_does_not_count() -> None:
    office = await _office(rule(actions='["live", "alarm", "ptz"]', context="{ max_streams = 1 }"))
    Viewer(office, office.request(action=Action.ALARM))
    office.access.check(office.request(action=Action.PTZ))
    Viewer(office, office.request())
    office.access.check(office.request(action=Action.PTZ))


async def test_usage_is_told_by_party() -> None:
    office = await _office(ALL)
    viewer = Viewer(office, office.request())
    Viewer(office, office.request())
    office.access.check(office.request(action=Action.PTZ))
    with pytest.raises(Forbidden):
        office.access.check(office.request(action=Action.TALK))
    office.access.check(office.request(URBAN, Action.PTZ))
    viewer.access.end("bye")
    told = [(u.party, u.streams, u.allowed, u.denied) for u in office.access.usage()]
    assert told == [
        ("department:urban", 0, 1, 0),
        (f"platform:{CITY.platform}", 1, 3, 1),
    ]


# Ending


async def test_a_forced_stop_ends_all_streams_it_means_before_the_order_is_even_kept() -> None:
    office = await _office()
    cut, other = (Viewer(office, office.request(channel=camera(n))) for n in (1, 2))
    local = Viewer(office, office.request(ADMIN))
    told: list[int] = []
    office.access.on_changed.append(lambda: told.append(len(cut.told)))
    office.documents.held = []
    async with asyncio.TaskGroup() as group:
        order = group.create_task(office.stops.order(reason="raid", by=ADMIN, objects=CAMERA))
        await asyncio.sleep(0)
        assert cut.told == [
            ("stopped", f"Forced stop {office.stops.list()[0].stop_id} is in force: raid")
        ]
        office.documents.held[0].set_result(None)
        office.documents.held = None
    assert (other.told, local.told) == ([], [])
    assert told == [1]
    [end] = office.ends
    assert (end.reason, end.rule) == ("stopped", order.result().rule_id)
    assert list(office.access.accesses()) == [other.access, local.access]
    await office.stops.order(reason="again", by=ADMIN, objects=CAMERA)
    assert len(cut.told) == 1


async def test_a_revoked_grant_ends_its_streams_in_words() -> None:
    office = await _office(rule("nothing", actions='["ptz"]'))
    grant = await office.grants.emergency(application(), ADMIN, minutes=30)
    viewer = Viewer(office, office.request())
    assert viewer.access.decision.rule == grant.rule_id
    await office.grants.revoke(grant.grant_id, ADMIN, remark="misused")
    assert viewer.told == [("revoked", f"Grant {grant.grant_id} was revoked: misused")]
    assert (office.ends[0].reason, office.ends[0].rule) == ("revoked", grant.rule_id)


async def test_a_stream_that_a_rule_allows_too_outlives_its_grant() -> None:
    office = await _office()
    grant = await office.grants.emergency(application(), ADMIN, minutes=30)
    viewer = Viewer(office, office.request())
    await office.grants.revoke(grant.grant_id, ADMIN)
    assert viewer.told == []


async def test_an_expired_grant_ends_its_streams_by_the_clock() -> None:
    office = await _office(rule("nothing", actions='["ptz"]'))
    grant = await office.grants.emergency(application(), ADMIN, minutes=1)
    viewer = Viewer(office, office.request())
    changes: list[bool] = []
    office.access.on_changed.append(lambda: changes.append(True))
    office.clock.advance(59)
    office.access.tick()
    assert (viewer.told, changes) == ([], [])
    office.clock.advance(1)
    office.access.tick()
    assert viewer.told == [("expired", f"Grant {grant.grant_id} has expired")]
    assert changes


async def test_a_window_that_closes_ends_streams_and_tells_of_the_change() -> None:
    office = await _office(rule("day", context='{ windows = ["Mon-Fri 08:00-18:00"] }'))
    viewer = Viewer(office, office.request())
    changes: list[bool] = []
    office.access.on_changed.append(lambda: changes.append(True))
    office.clock.advance(8 * 3600 - 1)
    office.access.tick()
    assert (viewer.told, changes) == ([], [])
    office.clock.advance(1)
    office.access.tick()
    assert (viewer.code, len(changes)) == ("outside_window", 1)
    office.access.tick()
    assert len(changes) == 1
    office.clock.advance(14 * 3600)
    office.access.tick()
    assert len(changes) == 2


async def test_a_clock_set_back_asks_everything_anew() -> None:
    office = await _office(rule("day", context='{ windows = ["Mon-Fri 08:00-18:00"] }'))
    changes: list[bool] = []
    office.access.on_changed.append(lambda: changes.append(True))
    office.clock.advance(-1)
    office.access.tick()
    assert changes == []
    viewer = Viewer(office, office.request())
    office.clock.advance(-3 * 3600)
    office.access.tick()
    assert (len(changes), viewer.code) == (1, "outside_window")


async def test_a_stored_policy_that_cannot_be_read_leaves_no_grant_without_its_denials() -> None:
    office = await _office(rule("never", effect="deny", actions='["live"]'))
    grant = await office.grants.apply(application(), CITY)
    await office.grants.approve(grant.grant_id, ADMIN)
    request = office.request()
    assert request.channel is not None
    asked = request.subject, Action.LIVE, request.channel, request.context
    assert office.access.decide(*asked).reason == "denied"
    kept = office.documents.collections["policy"]["00000001"]
    good, kept["text"] = kept["text"], kept["text"] + "\nversion = 2\n"
    later = await Office(office.documents).load()
    assert later.policies.problem
    assert later.access.decide(*asked).reason == "no_rule"
    # The administrator goes on, and mends it.
    assert later.access.decide(ADMIN, *asked[1:]).allowed
    await later.policies.apply(good, ADMIN)
    assert later.access.decide(*asked).reason == "denied"


async def test_a_changed_policy_ends_what_it_no_longer_allows() -> None:
    office = await _office()
    viewer, ptz = Viewer(office, office.request()), office.request(action=Action.PTZ)
    await office.apply(rule("no-live", subjects="{ outside = true }", actions='["ptz"]'))
    assert viewer.told == [("no_rule", "No rule and no grant allows it")]
    assert office.access.check(ptz).allowed


async def test_a_lowered_limit_ends_the_newest_streams() -> None:
    office = await _office(rule("r", context="{ max_streams = 9 }"))
    viewers = [Viewer(office, office.request(channel=camera(n))) for n in range(5)]
    late = Viewer(office, office.request(channel=camera(9)), obeys=False)
    await office.apply(rule("r", context="{ max_streams = 2 }"))
    assert [viewer.code for viewer in viewers] == ["", "", *["too_many_streams"] * 3]
    assert late.code == "too_many_streams"
    late.access.end("bye")
    assert len(list(office.access.accesses())) == 2


@pytest.mark.parametrize("action", [Action.LIVE, Action.PLAYBACK, Action.DOWNLOAD])
async def test_a_main_stream_ends_when_only_the_sub_stream_may_be_seen(action: Action) -> None:
    actions = f'["{action}"]'
    office = await _office(rule("r", actions=actions))
    main = Viewer(office, office.request(action=action))
    await office.apply(rule("r", actions=actions, obligations="{ sub_stream = true }"))
    assert main.code == "sub_stream_only"
    sub = Viewer(office, office.request(action=action))
    await office.apply(
        rule("r", actions=actions, obligations="{ sub_stream = true, notify_owner = true }")
    )
    assert sub.told == []


async def test_a_camera_that_becomes_classified_is_cut_off() -> None:
    office = await _office()
    viewer, local = Viewer(office, office.request()), Viewer(office, office.request(ADMIN))
    office.cameras[DEVICE, camera().channel_id] = camera(secrecy=1)
    office.access.touch(DEVICE)
    assert viewer.code == "secrecy"
    assert local.told == []


async def test_who_asks_slowly_gains_nothing_by_what_a_camera_was_before() -> None:
    office = await _office()
    before = camera()
    office.cameras[before.device_id, before.channel_id] = replace(before, secrecy=1)
    for ask in _ways(office):
        with pytest.raises(Forbidden) as caught:
            ask(office.request(channel=before))
        assert caught.value.code == "secrecy"


async def test_a_changed_catalogue_is_noticed_within_ticks_even_if_nobody_tells() -> None:
    office = await _office(rule("r", objects='{ civil_codes = ["371326"] }'))
    viewer = Viewer(office, office.request(channel=camera(civil_code="371326")))
    office.access.tick()
    assert viewer.told == []
    office.cameras[DEVICE, camera().channel_id] = camera(civil_code="110101")
    office.access.tick()
    assert viewer.code == "no_rule"


async def test_a_group_that_moves_takes_what_hangs_under_it_along() -> None:
    office = await _office(rule("r", objects='{ groups = ["37132600002150000001"] }'))
    organisation = "37132600002160000001"
    above = {"37132600002150000001"}
    office.access = office.make_access(lambda channel: facts_of(channel, groups=above))
    viewer = Viewer(office, office.request(channel=camera(parent_ids=(organisation,))))
    above.clear()
    office.access.touch(DEVICE, ["37132600001320000077"])
    assert viewer.told == []
    office.access.touch(DEVICE, [organisation])
    assert viewer.code == "no_rule"


async def test_touching_looks_anew_at_the_channels_named() -> None:
    office = await _office(rule("r", objects='{ civil_codes = ["371326"] }'))
    seen = camera(civil_code="371326")
    assert office.access.facts(seen).civil_code == "371326"
    seen.civil_code = "110101"
    assert office.access.facts(seen).civil_code == "371326"
    office.access.touch(DEVICE, [seen.channel_id])
    assert office.access.facts(seen).civil_code == "110101"


async def test_ten_thousand_streams_are_stopped_in_slices_that_leave_the_loop_its_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = await _office()
    moment = 0.0

    def ticking() -> float:
        nonlocal moment
        moment += 0.0001
        return moment

    monkeypatch.setattr(office.access, "_now", ticking)
    viewers = [Viewer(office, office.request(channel=camera(n))) for n in range(1000)]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(office.access.run())
        await asyncio.sleep(0)
        await office.stops.order(reason="all", by=ADMIN, everything=True)
        at_once = sum(bool(viewer.told) for viewer in viewers)
        assert 20 <= at_once < 1000
        for _ in range(100):
            await asyncio.sleep(0)
        assert all(viewer.code == "stopped" for viewer in viewers)
        running.cancel()
    assert len(office.ends) == 1000


async def test_one_face_that_fails_does_not_keep_the_others_running() -> None:
    office = await _office()

    def broken(code: str, detail: str) -> None:
        raise RuntimeError(code)

    def broken_listener() -> None:
        raise RuntimeError

    office.access.on_changed.append(broken_listener)
    office.access.open(office.request(), broken)
    viewer = Viewer(office, office.request())
    await office.stops.order(reason="x", by=ADMIN, objects=CAMERA)
    assert viewer.code == "stopped"
    assert office.documents.collections["stops"]


async def test_closing_puts_the_end_of_everything_on_record() -> None:
    office = await _office()
    viewers = [Viewer(office, office.request()) for _ in range(3)]
    viewers[0].access.end("bye")
    office.access.close()
    office.access.close()
    assert [entry.result for entry in office.ends] == ["bye", "shutdown", "shutdown"]
    assert all(usage.streams == 0 for usage in office.access.usage())


async def test_the_owner_of_a_channel_is_told_where_a_rule_says_so() -> None:
    office = await _office(
        '[[owner]]\ndepartment = "police"\nobjects = { kinds = ["camera"] }\n',
        rule("told", actions='["live", "ptz"]', obligations="{ notify_owner = true }"),
        rule("quiet", actions='["catalog"]'),
    )
    notices: list[OwnerNotice] = []

    def fails(notice: OwnerNotice) -> None:
        raise RuntimeError(notice.access_id)

    office.access.on_owner_notice += [fails, notices.append]
    viewer = Viewer(office, office.request())
    office.access.check(office.request(action=Action.PTZ))
    office.access.check(office.request(action=Action.CATALOG))
    assert [notice.request.action for notice in notices] == [Action.LIVE, Action.PTZ]
    assert notices[0].access_id == viewer.access.access_id
    assert notices[0].owners == ("police",)


async def test_running_wakes_at_the_edge_of_a_window_and_ends_with_its_owner() -> None:
    office = await _office(rule("day", context="{ valid_to = 2026-11-23T10:00:01 }"))
    viewer = Viewer(office, office.request())
    loop = asyncio.get_running_loop()
    office.clock.start += timedelta(seconds=0.8)
    started, before = loop.time(), office.clock.now
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        running = group.create_task(office.access.run())
        while not viewer.told:
            office.clock.now = before + loop.time() - started
            await asyncio.sleep(0.005)
        running.cancel()
    assert viewer.code == "expired"
    assert 0.15 < loop.time() - started < 5.0


async def test_random_histories_leave_one_end_for_each_beginning_and_nothing_open() -> None:
    chance = random.Random(7)
    office = Office()
    await office.apply(ALL)
    viewers: list[Viewer] = []
    opened = denied = 0
    for _ in range(1500):
        match chance.randrange(9):
            case 0 | 1 | 2:
                subject = chance.choice([CITY, URBAN, ADMIN])
                try:
                    viewers.append(
                        Viewer(office, office.request(subject, channel=camera(chance.randrange(4))))
                    )
                    opened += 1
                except Forbidden:
                    denied += 1
            case 3 if viewers:
                viewers.pop(chance.randrange(len(viewers))).access.end("bye")
            case 4:
                code = camera(chance.randrange(4)).channel_id
                await office.stops.order(
                    reason="x", by=ADMIN, objects=ChannelSelector(channels=frozenset({code}))
                )
            case 5:
                for order in office.stops.list(lifted=False):
                    await office.stops.lift(order.stop_id, ADMIN)
            case 6:
                limit = f"{{ max_streams = {chance.randint(1, 5)} }}"
                await office.apply(ALL, rule("city", context=limit))
            case 7:
                office.clock.advance(chance.randrange(100))
                office.access.tick()
            case _:
                office.audit.ok = chance.random() < 0.8
    office.access.close()
    begun = [entry.entry_id for entry in office.accesses if entry.result == "allow"]
    assert len(begun) == opened
    assert sorted(entry.ref for entry in office.ends) == sorted(begun)
    assert sum(entry.result == "deny" for entry in office.accesses) == denied
    assert min(opened, denied) > 50
    assert all(usage.streams == 0 for usage in office.access.usage())

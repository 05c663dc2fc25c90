"""What rules look at, worked out once per channel."""

from dataclasses import replace

import pytest

from gateway.domain.device import Channel, ChannelKind
from gateway.domain.selector import ChannelFacts, facts_of
from gateway.sharing.policy import facts as facts_module
from gateway.sharing.policy.facts import ProfileCache, TreeFacts
from tests.support.policy import DEVICE, camera, engine, rule

GROUP = "37132600002150000001"
ORGANISATION = "37132600002160000001"
UPPER = "37132600002160000002"


def _tree(*channels: Channel) -> TreeFacts:
    known = {(channel.device_id, channel.channel_id): channel for channel in channels}
    return TreeFacts(
        lambda device, code: known.get((device, code)), lambda device: device == DEVICE
    )


def _group(code: str, *parents: str, business_group_id: str = "") -> Channel:
    return Channel(
        device_id=DEVICE,
        channel_id=code,
        kind=ChannelKind.ORGANISATION,
        parent_ids=parents,
        business_group_id=business_group_id,
    )


def test_a_channel_is_in_every_group_above_it() -> None:
    tree = _tree(
        _group(ORGANISATION, UPPER), _group(UPPER, business_group_id=GROUP), _group(GROUP, DEVICE)
    )
    found = tree(camera(parent_ids=(DEVICE, ORGANISATION)))
    assert found.groups == {ORGANISATION, UPPER, GROUP}


def test_groups_that_hang_under_themselves_end_the_search() -> None:
    tree = _tree(_group(ORGANISATION, UPPER), _group(UPPER, ORGANISATION, UPPER))
    assert tree(camera(parent_ids=(ORGANISATION,))).groups == {ORGANISATION, UPPER}


def test_old_codes_have_no_network_digit() -> None:
    new = camera(channel_id="37132600001325000001")
    assert _tree()(new).network == "5"
    assert _tree()(replace(new, device_id="37132600001110000009")).network == ""


class _Counted:
    """Counts how often facts are worked out."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, channel: Channel) -> ChannelFacts:
        self.count += 1
        return facts_of(channel)


def test_facts_are_worked_out_once_per_channel_and_policy() -> None:
    counted, asked = _Counted(), engine(rule())
    cache, channel = ProfileCache(counted), camera()
    assert cache.get(channel, asked) is cache.get(channel, asked)
    assert counted.count == 1
    cache.get(replace(channel, civil_code="37"), asked)
    assert counted.count == 2
    cache.get(channel, engine(rule()))
    assert counted.count == 3
    assert len(cache) == 1


def test_a_channel_classified_in_place_is_looked_at_anew() -> None:
    cache, asked, channel = ProfileCache(facts_of), engine(rule()), camera()
    assert cache.get(channel, asked).facts.secrecy == 0
    channel.secrecy = 1
    assert cache.get(channel, asked).facts.secrecy == 1


def test_forgotten_channels_are_looked_at_anew_and_no_longer_counted() -> None:
    counted, asked = _Counted(), engine(rule())
    cache = ProfileCache(counted)
    channels = [camera(number) for number in range(5)]
    for channel in channels:
        cache.get(channel, asked)
    cache.forget(DEVICE, [channels[0].channel_id, "unknown"])
    assert len(cache) == 4
    cache.forget(DEVICE)
    cache.forget(DEVICE)
    assert len(cache) == 0
    cache.get(channels[0], asked)
    assert (counted.count, len(cache)) == (6, 1)


def test_a_full_cache_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, asked = ProfileCache(facts_of), engine(rule())
    monkeypatch.setattr(facts_module, "MAX_PROFILES", 10)
    profiles = [cache.get(camera(number), asked) for number in range(25)]
    assert len(cache) == 5
    assert cache.get(camera(25), asked) is not profiles[0]

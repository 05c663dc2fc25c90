"""Channels that fail, come, change and go."""

from dataclasses import replace

import pytest

from gateway.simulator.options import SimulatorOptions
from gateway.simulator.roster import Roster
from gateway.simulator.scene import SimulatedChannel, build_channels
from gb28181.manscdp.notify import CatalogEvent

FIRST = "34020000001320000001"
NEW = SimulatedChannel(channel_id="34020000001320000099", name="新")


def roster() -> tuple[Roster, list[tuple[CatalogEvent, str]]]:
    made = Roster(build_channels(SimulatorOptions(channels=3), 0))
    changes: list[tuple[CatalogEvent, str]] = []
    made.on_change = lambda event, channel: changes.append((event, channel.channel_id))
    return made, changes


def test_every_change_is_told_and_seen() -> None:
    made, changes = roster()
    listed = made.channels
    made.set_status(FIRST, online=False)
    assert (listed[0].item().status, listed[0].reachable) == ("OFF", False)
    made.set_status(FIRST, online=True)
    assert (listed[0].item().status, listed[0].reachable) == ("ON", True)
    made.lose_video(FIRST)
    assert (listed[0].item().status, listed[0].reachable) == ("ON", False)
    made.add(NEW)
    made.update(replace(NEW, name="newer"))
    assert listed[-1].name == "newer"
    made.remove(NEW.channel_id)
    assert len(listed) == 3
    assert changes == [
        (CatalogEvent.OFF, FIRST),
        (CatalogEvent.ON, FIRST),
        (CatalogEvent.VLOST, FIRST),
        (CatalogEvent.ADD, NEW.channel_id),
        (CatalogEvent.UPDATE, NEW.channel_id),
        (CatalogEvent.DEL, NEW.channel_id),
    ]


def test_what_is_not_there_cannot_change() -> None:
    made, changes = roster()
    with pytest.raises(KeyError):
        made.set_status("x", online=False)
    with pytest.raises(KeyError):
        made.remove("x")
    with pytest.raises(KeyError):
        made.update(NEW)
    with pytest.raises(ValueError, match="there already"):
        made.add(made.channels[0])
    assert changes == []

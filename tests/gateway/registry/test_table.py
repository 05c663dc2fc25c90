"""Which devices are known, and whether they are written."""

import asyncio

import pytest

from gateway.domain.errors import Conflict, NotFound, Unavailable
from gateway.registry.entry import DeviceEntry
from gateway.registry.table import DeviceTable
from tests.support.registry import DEVICE, OTHER, MemoryStore


def table(store: MemoryStore | None = None, max_devices: int = 10) -> DeviceTable:
    return DeviceTable(store or MemoryStore(), max_devices=max_devices, adopt=lambda _: None)


def test_no_more_devices_than_allowed_are_admitted_and_a_deleted_one_makes_room() -> None:
    known = table(max_devices=1)
    known.admit(DEVICE)
    with pytest.raises(Unavailable) as caught:
        known.admit(OTHER)
    assert caught.value.code == "too_many_devices"
    known.remove(DEVICE)
    assert known.admit(OTHER).device.device_id == OTHER


def test_a_device_known_anew_is_another_entry() -> None:
    known = table()
    old = known.admit(DEVICE)
    assert known.holds(old)
    known.remove(DEVICE)
    assert not known.holds(old)
    new = known.admit(DEVICE)
    assert (known.holds(old), known.holds(new)) == (False, True)


def test_what_is_required_is_there_or_refused_by_name() -> None:
    known = table()
    entry = known.admit(DEVICE)
    assert known.require_remote(DEVICE) is entry
    entry.device.local = True
    with pytest.raises(Conflict, match="foreign sources"):
        known.require_remote(DEVICE)
    with pytest.raises(NotFound, match=OTHER):
        known.require(OTHER)


def test_whoever_is_admitted_is_shown_first_to_whom_it_concerns() -> None:
    seen: list[DeviceEntry] = []
    known = DeviceTable(MemoryStore(), max_devices=2, adopt=seen.append)
    entry = known.admit(DEVICE)
    assert seen == [entry]
    assert list(known) == [entry]


async def test_an_entry_counts_as_saved_only_while_its_last_write_is_durable() -> None:
    store = MemoryStore()
    known = table(store)
    entry = known.admit(DEVICE)
    counted = [entry.saved]
    await known.save(entry)
    await asyncio.sleep(0)
    counted.append(entry.saved)
    store.held = []
    second = known.save(entry)
    counted.append(entry.saved)
    assert counted == [False, True, False]
    store.broken = True
    store.release()
    with pytest.raises(Unavailable):
        await second
    assert not entry.saved

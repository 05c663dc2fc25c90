"""Dataclasses as messages."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import pytest
from lxml import etree

from gb28181.errors import LocalProtocolError
from gb28181.manscdp.registry import CORE_MESSAGES, Registry
from gb28181.manscdp.schema import Leaf, ListOf, Plan, Raw, flatten
from gb28181.manscdp.tree import Branch


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    size: Annotated[int | None, Leaf("FileSize")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    sn: Annotated[int, Leaf("SN", required=True)] = 0
    name: Annotated[str, Leaf("Name", aliases=("Nmae",))] = ""
    group: Annotated[str, Leaf("Group", also_in="Info")] = ""
    zoom: Annotated[float | None, Leaf("Zoom", within="Info")] = None
    at: Annotated[datetime | None, Leaf("Time")] = None
    faults: Annotated[tuple[int, ...], Leaf("Fault", within="Info")] = ()
    tracks: Annotated[tuple[int, ...], ListOf("TrackList", "Track", count="")] = ()
    records: Annotated[tuple[Record, ...], ListOf("RecordList", aliases=("Records",), limit=3)] = ()
    raw: Annotated[dict[str, str], Raw(without=("secret",))] = field(
        default_factory=dict, compare=False
    )


PLAN = Plan(Command)


def read(xml: str) -> Command:
    command = PLAN.read(etree.fromstring(xml))
    assert isinstance(command, Command)
    return command


def write(command: Command) -> str:
    root = Branch("Control")
    PLAN.write(command, root)
    return "".join(line.strip() for line in root.lines())


FULL = Command(
    sn=7,
    name="a&b",
    group="g",
    zoom=2.5,
    at=datetime(2026, 1, 1, tzinfo=UTC),
    faults=(1, 2),
    tracks=(3, 4),
    records=(Record(device_id="x", size=9), Record(device_id="y")),
)


def test_fields_are_written_in_order_where_they_belong() -> None:
    assert write(FULL) == (
        "<Control><SN>7</SN><Name>a&amp;b</Name><Group>g</Group>"
        "<Info><Zoom>2.5</Zoom><Fault>1</Fault><Fault>2</Fault></Info>"
        "<Time>2026-01-01T08:00:00</Time>"
        "<TrackList><Track>3</Track><Track>4</Track></TrackList>"
        '<RecordList Num="2"><Item><DeviceID>x</DeviceID><FileSize>9</FileSize></Item>'
        "<Item><DeviceID>y</DeviceID></Item></RecordList></Control>"
    )


def test_what_is_written_is_read_back() -> None:
    assert read(write(FULL)) == FULL
    assert read("<Control/>") == Command()


def test_names_are_compared_without_case_and_by_their_aliases() -> None:
    command = read(
        "<C><sn>1</sn><NMAE>x</NMAE><RECORDS><item><deviceid>z</deviceid></item></RECORDS></C>"
    )
    assert (command.sn, command.name) == (1, "x")
    assert command.records == (Record(device_id="z"),)


def test_the_place_of_this_edition_comes_before_that_of_another() -> None:
    assert read("<C><Info><Group>i</Group></Info><Group>t</Group></C>").group == "t"
    assert read("<C><Group>t</Group><Info><Group>i</Group></Info></C>").group == "t"
    assert read("<C><Info><Group>i</Group></Info></C>").group == "i"
    assert read("<C><Zoom>1</Zoom><Info><Zoom>2</Zoom></Info></C>").zoom == 2.0
    assert read("<C><Zoom>1</Zoom></C>").zoom == 1.0


def test_values_may_be_attributes_and_elements_win() -> None:
    command = read('<C SN="4" Name="a"><Name>e</Name><Info Zoom="3"/></C>')
    assert (command.sn, command.name, command.zoom) == (4, "e", 3.0)
    assert read('<C><SN value="5"/></C>').sn == 5


def test_the_first_of_repeated_values_counts() -> None:
    assert read("<C><Name/><Name>a</Name><Name>b</Name></C>").name == "a"


def test_a_value_that_cannot_be_read_is_absent() -> None:
    command = read(
        "<C><SN>x</SN><Time>soon</Time><Info><Fault>a</Fault><Fault>2</Fault></Info></C>"
    )
    assert (command.sn, command.at, command.faults) == (0, None, (2,))


def test_lists_are_bounded() -> None:
    items = "<Item><DeviceID>a</DeviceID></Item>" * 5
    assert len(read(f"<C><RecordList Num='5'>{items}</RecordList></C>").records) == 3


def test_raw_keeps_every_leaf_and_unknown_ones_are_passed_on() -> None:
    command = read(
        "<C><CmdType>X</CmdType><SN>1</SN><Secret>s</Secret><Vendor>v</Vendor>"
        "<Info><Zoom>1</Zoom><Own>o</Own><Deep><er>x</er></Deep></Info><Part><Q>q</Q></Part></C>"
    )
    assert command.raw == {
        "CmdType": "X",
        "SN": "1",
        "Vendor": "v",
        "Info.Zoom": "1",
        "Info.Own": "o",
        "Part.Q": "q",
    }
    assert write(command) == (
        "<Control><SN>1</SN><Info><Zoom>1</Zoom><Own>o</Own></Info>"
        "<Vendor>v</Vendor><Part><Q>q</Q></Part></Control>"
    )


@pytest.mark.parametrize("name", ["a.b.c", "1", "a b", ".", "a<", "\u00e9", ""])
def test_unknown_names_that_xml_may_not_have_are_not_sent(name: str) -> None:
    assert write(Command(sn=1, raw={name: "x"})) == "<Control><SN>1</SN></Control>"


def test_a_required_value_is_not_left_out_when_sending() -> None:
    with pytest.raises(LocalProtocolError, match=r"Command\.sn is required"):
        write(Command())
    with pytest.raises(LocalProtocolError, match=r"Record\.device_id is required"):
        write(Command(sn=1, records=(Record(),)))
    assert PLAN.missing(Command()) == ("SN",)
    assert PLAN.missing(FULL) == ()


def test_a_leaf_with_elements_inside_its_text_is_still_a_value() -> None:
    assert flatten(etree.fromstring("<C><Name>a<b>c</b>d</Name></C>")) == {"Name": "acd"}


@dataclass(frozen=True, slots=True)
class Unplaced:
    sn: int = 0


@dataclass(frozen=True, slots=True)
class Unspeakable:
    sn: Annotated[complex, Leaf("SN")] = 0j


@pytest.mark.parametrize("cls", [Unplaced, Unspeakable])
def test_a_dataclass_that_is_no_schema_is_our_own_mistake(cls: type) -> None:
    with pytest.raises(LocalProtocolError):
        Plan(cls)


def test_a_registry_finds_by_name_and_class_and_refuses_doubles() -> None:
    registry = Registry([*CORE_MESSAGES, ("Control", "Zoom", Command)])
    entry = registry.find("CONTROL", "zoom")
    assert entry is not None
    assert (entry.root, entry.cmd_type) == ("Control", "Zoom")
    assert registry.of(Command) is entry
    assert registry.find("Control", "Nothing") is None
    assert registry.of(Record) is None
    assert len(list(registry)) == len(CORE_MESSAGES) + 1
    with pytest.raises(LocalProtocolError):
        Registry([("Control", "Zoom", Command), ("control", "ZOOM", Record)])

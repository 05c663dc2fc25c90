"""Catalogue items (GB/T 28181-2022 A.2.1.9 and Annex J; 2016 A.2.1, Annex O).

What of an item is sent depends on the edition and on what the item is: a division is a code and a
name, a group or an organisation only what the examples of the standard show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final

from gb28181.ids import DeviceId, IdKind
from gb28181.manscdp.schema import Leaf, Plan, Raw, View
from gb28181.manscdp.spec import edition_year

__all__ = [
    "CatalogItem",
    "changed_item_view",
    "item_from_texts",
    "item_view",
    "sent_fields",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogItem:
    """One item of a catalogue, with the fields of all editions.

    Texts are "" and numbers None when absent. Divisions carry an identifier and a name only.
    """

    device_id: Annotated[str, Leaf("DeviceID", required=True)] = ""
    event: Annotated[str, Leaf("Event")] = ""
    """In notifications only: `ON`, `OFF`, `VLOST`, `DEFECT`, `ADD`, `DEL`, `UPDATE`."""
    name: Annotated[str, Leaf("Name")] = ""
    manufacturer: Annotated[str, Leaf("Manufacturer")] = ""
    model: Annotated[str, Leaf("Model")] = ""
    owner: Annotated[str, Leaf("Owner", until=2016)] = ""
    civil_code: Annotated[str, Leaf("CivilCode")] = ""
    block: Annotated[str, Leaf("Block")] = ""
    address: Annotated[str, Leaf("Address")] = ""
    parental: Annotated[int | None, Leaf("Parental")] = None
    parent_id: Annotated[str, Leaf("ParentID")] = ""
    """Identifiers joined with `/`."""
    safety_way: Annotated[int | None, Leaf("SafetyWay", until=2016)] = None
    register_way: Annotated[int | None, Leaf("RegisterWay")] = None
    cert_num: Annotated[str, Leaf("CertNum", until=2016)] = ""
    certifiable: Annotated[int | None, Leaf("Certifiable", until=2016)] = None
    err_code: Annotated[int | None, Leaf("ErrCode", until=2016)] = None
    end_time: Annotated[datetime | None, Leaf("EndTime", until=2016)] = None
    security_level_code: Annotated[str, Leaf("SecurityLevelCode", since=2022)] = ""
    secrecy: Annotated[int | None, Leaf("Secrecy")] = None
    ip_address: Annotated[str, Leaf("IPAddress")] = ""
    port: Annotated[int | None, Leaf("Port")] = None
    password: Annotated[str, Leaf("Password", sent=False)] = field(default="", repr=False)
    """Never forwarded, logged or stored."""
    status: Annotated[str, Leaf("Status")] = ""
    """`ON`, `OFF`; devices write `OK`, `ONLINE`, `1` and lower case too."""
    longitude: Annotated[float | None, Leaf("Longitude")] = None
    latitude: Annotated[float | None, Leaf("Latitude")] = None
    business_group_id: Annotated[str, Leaf("BusinessGroupID", old_within="Info", since=2014)] = ""

    ptz_type: Annotated[int | None, Leaf("PTZType", since=2014, within="Info")] = None
    position_type: Annotated[
        int | None, Leaf("PositionType", since=2014, until=2016, within="Info")
    ] = None
    photoelectric_imaging_type: Annotated[
        str,
        Leaf(
            "PhotoelectricImagingType",
            since=2022,
            within="Info",
            aliases=("PhotoelectricImagingTyp",),
        ),
    ] = ""
    capture_position_type: Annotated[
        str, Leaf("CapturePositionType", since=2022, within="Info")
    ] = ""
    room_type: Annotated[int | None, Leaf("RoomType", since=2014, within="Info")] = None
    use_type: Annotated[int | None, Leaf("UseType", since=2014, until=2016, within="Info")] = None
    supply_light_type: Annotated[int | None, Leaf("SupplyLightType", since=2014, within="Info")] = (
        None
    )
    direction_type: Annotated[int | None, Leaf("DirectionType", since=2014, within="Info")] = None
    resolution: Annotated[str, Leaf("Resolution", since=2014, within="Info")] = ""
    stream_number_list: Annotated[str, Leaf("StreamNumberList", since=2022, within="Info")] = ""
    download_speed: Annotated[str, Leaf("DownloadSpeed", since=2016, within="Info")] = ""
    svc_space_support_mode: Annotated[
        int | None, Leaf("SVCSpaceSupportMode", since=2016, within="Info")
    ] = None
    svc_time_support_mode: Annotated[
        int | None, Leaf("SVCTimeSupportMode", since=2016, within="Info")
    ] = None
    ssvc_ratio_support_list: Annotated[
        str, Leaf("SSVCRatioSupportList", since=2022, within="Info")
    ] = ""
    mobile_device_type: Annotated[
        int | None, Leaf("MobileDeviceType", since=2022, within="Info")
    ] = None
    horizontal_field_angle: Annotated[
        float | None, Leaf("HorizontalFieldAngle", since=2022, within="Info")
    ] = None
    vertical_field_angle: Annotated[
        float | None, Leaf("VerticalFieldAngle", since=2022, within="Info")
    ] = None
    max_view_distance: Annotated[
        float | None, Leaf("MaxViewDistance", since=2022, within="Info")
    ] = None
    grassroots_code: Annotated[str, Leaf("GrassrootsCode", since=2022, within="Info")] = ""
    point_type: Annotated[int | None, Leaf("PointType", since=2022, within="Info")] = None
    point_common_name: Annotated[str, Leaf("PointCommonName", since=2022, within="Info")] = ""
    mac: Annotated[str, Leaf("MAC", since=2022, within="Info")] = ""
    function_type: Annotated[str, Leaf("FunctionType", since=2022, within="Info")] = ""
    encode_type: Annotated[str, Leaf("EncodeType", since=2022, within="Info")] = ""
    install_time: Annotated[datetime | None, Leaf("InstallTime", since=2022, within="Info")] = None
    management_unit: Annotated[str, Leaf("ManagementUnit", since=2022, within="Info")] = ""
    contact_info: Annotated[str, Leaf("ContactInfo", since=2022, within="Info")] = ""
    record_save_days: Annotated[int | None, Leaf("RecordSaveDays", since=2022, within="Info")] = (
        None
    )
    industrial_classification: Annotated[
        str, Leaf("IndustrialClassification", since=2022, within="Info")
    ] = ""

    route_marks: Annotated[str, Leaf("RouteMarks", since=2014, within="Info")] = ""
    """No field of the standard: opaque marks of gateways the item came through and that are no items above it.
    Others pass it on or leave it out."""

    raw: Annotated[dict[str, str], Raw(without=("password", "info.password"), sent=False)] = field(
        default_factory=dict, compare=False, repr=False
    )
    """Every leaf as sent, vendors' own included, by name; `Info.NAME` inside Info. Not sent on."""


def item_from_texts(texts: Mapping[str, str]) -> CatalogItem:
    """Make an item from texts by standard name (`Info.NAME` inside Info), as `raw` keeps them."""
    item = _PLAN.read_texts(texts)
    assert isinstance(item, CatalogItem)
    return item


def item_view(item: CatalogItem, year: int) -> View:
    """Say what of an item goes into a catalogue for an edition (protocol 4.9.1)."""
    old = year <= _LAST_OLD
    match DeviceId(item.device_id).kind:
        case IdKind.REGION:
            return _DIVISION
        case IdKind.PLATFORM:
            return _SYSTEM
        case IdKind.BUSINESS_GROUP:
            return _OLD_GROUP if old else _GROUP
        case IdKind.ORGANISATION:
            return _ORGANISATION
        case _:
            return _DEVICE


def changed_item_view(item: CatalogItem, year: int) -> View:
    """Say what of an item goes into a notification: all of it only for ADD and UPDATE (7.3)."""
    event = item.event.strip().upper()
    if event in _BARE_EVENTS:
        return _BARE
    view = item_view(item, year)
    return _WITH_EVENT[view] if event else view


def sent_fields(item: CatalogItem, edition: str) -> frozenset[str]:
    """Return the attributes of an item that a peer of an edition is sent in a catalogue.

    Raises:
        LocalProtocolError: There is no such edition.
    """
    year = edition_year(edition)
    names = item_view(item, year).names
    return _PLAN.names(year) & names if names is not None else _PLAN.names(year)


_PLAN: Final = Plan(CatalogItem)
_LAST_OLD: Final = 2016
_BARE_EVENTS: Final = frozenset({"ON", "OFF", "VLOST", "DEFECT", "DEL"})

_DIVISION: Final = View(frozenset({"device_id", "name"}))
_SYSTEM: Final = View(
    frozenset(
        {
            "device_id",
            "name",
            "manufacturer",
            "model",
            "owner",
            "civil_code",
            "address",
            "parental",
            "parent_id",
            "register_way",
            "secrecy",
            "status",
            "route_marks",
        }
    )
)
_OLD_GROUP: Final = View(frozenset({"device_id", "name", "parent_id"}))
_GROUP: Final = View(frozenset({"device_id", "name", "civil_code", "parent_id"}))
# A plain child of Item in the examples of all editions, though the schema up to 2016 has it in Info.
_ORGANISATION: Final = View(
    frozenset({"device_id", "name", "parent_id", "business_group_id"}),
    plain=frozenset({"business_group_id"}),
)
_DEVICE: Final = View(frozenset(CatalogItem.__slots__) - {"event", "raw"})
_BARE: Final = View(frozenset({"device_id", "event"}))
_WITH_EVENT: Final = {
    view: View((view.names or frozenset()) | {"event"}, view.plain)
    for view in (_DIVISION, _SYSTEM, _OLD_GROUP, _GROUP, _ORGANISATION, _DEVICE)
}

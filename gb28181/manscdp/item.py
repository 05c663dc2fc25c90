"""Catalogue items (GB/T 28181-2022 A.2.1.9 and Annex J; 2016 A.2.1, Annex O)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from gb28181.manscdp.schema import Leaf, Raw

__all__ = ["CatalogItem"]


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
    owner: Annotated[str, Leaf("Owner")] = ""
    civil_code: Annotated[str, Leaf("CivilCode")] = ""
    block: Annotated[str, Leaf("Block")] = ""
    address: Annotated[str, Leaf("Address")] = ""
    parental: Annotated[int | None, Leaf("Parental")] = None
    parent_id: Annotated[str, Leaf("ParentID")] = ""
    """Identifiers joined with `/`."""
    safety_way: Annotated[int | None, Leaf("SafetyWay")] = None
    register_way: Annotated[int | None, Leaf("RegisterWay")] = None
    cert_num: Annotated[str, Leaf("CertNum")] = ""
    certifiable: Annotated[int | None, Leaf("Certifiable")] = None
    err_code: Annotated[int | None, Leaf("ErrCode")] = None
    end_time: Annotated[datetime | None, Leaf("EndTime")] = None
    security_level_code: Annotated[str, Leaf("SecurityLevelCode")] = ""
    secrecy: Annotated[int | None, Leaf("Secrecy")] = None
    ip_address: Annotated[str, Leaf("IPAddress")] = ""
    port: Annotated[int | None, Leaf("Port")] = None
    password: Annotated[str, Leaf("Password")] = field(default="", repr=False)
    """Never forwarded, logged or stored."""
    status: Annotated[str, Leaf("Status")] = ""
    """`ON`, `OFF`; devices write `OK`, `ONLINE`, `1` and lower case too."""
    longitude: Annotated[float | None, Leaf("Longitude")] = None
    latitude: Annotated[float | None, Leaf("Latitude")] = None
    business_group_id: Annotated[str, Leaf("BusinessGroupID", also_in="Info")] = ""

    ptz_type: Annotated[int | None, Leaf("PTZType", within="Info")] = None
    position_type: Annotated[int | None, Leaf("PositionType", within="Info")] = None
    photoelectric_imaging_type: Annotated[
        str, Leaf("PhotoelectricImagingType", within="Info", aliases=("PhotoelectricImagingTyp",))
    ] = ""
    capture_position_type: Annotated[str, Leaf("CapturePositionType", within="Info")] = ""
    room_type: Annotated[int | None, Leaf("RoomType", within="Info")] = None
    use_type: Annotated[int | None, Leaf("UseType", within="Info")] = None
    supply_light_type: Annotated[int | None, Leaf("SupplyLightType", within="Info")] = None
    direction_type: Annotated[int | None, Leaf("DirectionType", within="Info")] = None
    resolution: Annotated[str, Leaf("Resolution", within="Info")] = ""
    stream_number_list: Annotated[str, Leaf("StreamNumberList", within="Info")] = ""
    download_speed: Annotated[str, Leaf("DownloadSpeed", within="Info")] = ""
    svc_space_support_mode: Annotated[int | None, Leaf("SVCSpaceSupportMode", within="Info")] = None
    svc_time_support_mode: Annotated[int | None, Leaf("SVCTimeSupportMode", within="Info")] = None
    ssvc_ratio_support_list: Annotated[str, Leaf("SSVCRatioSupportList", within="Info")] = ""
    mobile_device_type: Annotated[int | None, Leaf("MobileDeviceType", within="Info")] = None
    horizontal_field_angle: Annotated[float | None, Leaf("HorizontalFieldAngle", within="Info")] = (
        None
    )
    vertical_field_angle: Annotated[float | None, Leaf("VerticalFieldAngle", within="Info")] = None
    max_view_distance: Annotated[float | None, Leaf("MaxViewDistance", within="Info")] = None
    grassroots_code: Annotated[str, Leaf("GrassrootsCode", within="Info")] = ""
    point_type: Annotated[int | None, Leaf("PointType", within="Info")] = None
    point_common_name: Annotated[str, Leaf("PointCommonName", within="Info")] = ""
    mac: Annotated[str, Leaf("MAC", within="Info")] = ""
    function_type: Annotated[str, Leaf("FunctionType", within="Info")] = ""
    encode_type: Annotated[str, Leaf("EncodeType", within="Info")] = ""
    install_time: Annotated[datetime | None, Leaf("InstallTime", within="Info")] = None
    management_unit: Annotated[str, Leaf("ManagementUnit", within="Info")] = ""
    contact_info: Annotated[str, Leaf("ContactInfo", within="Info")] = ""
    record_save_days: Annotated[int | None, Leaf("RecordSaveDays", within="Info")] = None
    industrial_classification: Annotated[str, Leaf("IndustrialClassification", within="Info")] = ""

    raw: Annotated[dict[str, str], Raw(without=("password", "info.password"))] = field(
        default_factory=dict, compare=False, repr=False
    )
    """Every leaf as sent, vendors' own included, by name; `Info.NAME` inside Info."""

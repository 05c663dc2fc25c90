"""The county that `gateway demo --county` shows: its levels, recorders, departments and policies."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.cli.text import Language
from gateway.simulator import Defect

__all__ = [
    "CAMERAS",
    "COUNTY",
    "DEPARTMENTS",
    "LEVELS",
    "RECORDERS",
    "SCHOOLS",
    "STREETS",
    "TOWNSHIP",
    "WATCHED",
    "Department",
    "Level",
    "Recorder",
    "county_policy",
    "upward_policy",
]

STREETS = "00"
"""Industry (digits 9 and 10 of a code): public-security roads, 社会治安路面."""
SCHOOLS = "11"
"""Industry: education."""

Names = Mapping[str, str]
"""By language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One gateway."""

    code: str
    names: Names
    civil_code: str
    upper: str = ""
    """Code of the gateway it registers at; empty for the highest."""

    @property
    def name(self) -> str:
        """As it stands in catalogues."""
        return self.names["zh"]


COUNTY = Level(
    code="37132600002000000001",
    names={"zh": "示例县", "en": "County"},
    civil_code="371326",
)
TOWNSHIP = Level(
    code="37132603002000000001",
    names={"zh": "东河镇", "en": "Township"},
    civil_code="37132603",
    upper=COUNTY.code,
)
LIUSHU = Level(
    code="37132601002000000001",
    names={"zh": "柳树村", "en": "Liushu village"},
    civil_code="37132601",
    upper=TOWNSHIP.code,
)
SHIQIAO = Level(
    code="37132602002000000001",
    names={"zh": "石桥村", "en": "Shiqiao village"},
    civil_code="37132602",
    upper=TOWNSHIP.code,
)
LEVELS = (COUNTY, TOWNSHIP, LIUSHU, SHIQIAO)
"""The highest first: it is started first and left last, so that the others can log out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """A simulated recorder, or a video platform of old, and its cameras."""

    level: Level
    """Whose gateway it registers at."""
    base_id: str
    cameras: int
    civil_codes: tuple[str, ...]
    platform: bool = False
    """A lower platform with a tree of its own instead of a recorder."""
    defects: frozenset[Defect] = frozenset()
    last_carries: str = ""
    """Code of somebody else's camera that its last camera carries: an installer copied a configuration."""


RECORDERS = (
    Recorder(
        level=LIUSHU,
        base_id=f"37132601{STREETS}1180000001",
        cameras=100,
        civil_codes=("37132601",),
        defects=frozenset({Defect.SECRET_CHANNEL, Defect.ZERO_COORDINATES}),
    ),
    Recorder(
        level=LIUSHU,
        base_id=f"37132601{SCHOOLS}1180000001",
        cameras=50,
        civil_codes=("37132601",),
    ),
    Recorder(
        level=SHIQIAO,
        base_id=f"37132602{STREETS}1180000001",
        cameras=100,
        civil_codes=("37132602",),
        defects=frozenset({Defect.OFFLINE_CLAIMS_ON}),
        last_carries=f"37132601{STREETS}1320000005",
    ),
    Recorder(
        level=SHIQIAO,
        base_id=f"37132602{SCHOOLS}1180000001",
        cameras=50,
        civil_codes=("37132602",),
    ),
    Recorder(
        level=TOWNSHIP,
        base_id=f"37132603{STREETS}2000000009",
        cameras=120,
        civil_codes=("37132603", "37132604"),
        platform=True,
    ),
    Recorder(
        level=TOWNSHIP,
        base_id=f"37132603{SCHOOLS}1180000001",
        cameras=80,
        civil_codes=("37132603",),
    ),
)
CAMERAS = sum(recorder.cameras for recorder in RECORDERS)
WATCHED = 9
"""Which camera of the first recorder is watched: a dome on a square, class I."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """One of the county's departments that are served over HTTP."""

    code: str
    names: Names
    purpose: Names | None = None
    """What it says it watches for; None: it never says."""
    terms: Names
    """Its part of the policy in a few words."""

    @property
    def name(self) -> str:
        """As it is registered."""
        return self.names["zh"]


POLICE = Department(
    code="police",
    names={"zh": "公安局", "en": "Police"},
    terms={"zh": "全县点位, 可看可控", "en": "the whole county, to watch and move"},
)
GOVERNANCE = Department(
    code="governance",
    names={"zh": "综治中心", "en": "Governance"},
    purpose={"zh": "广场人员聚集处置", "en": "crowd on the square"},
    terms={
        "zh": "全县可看, 须填事由; 只控镇属点位",
        "en": "watches all, giving a reason; moves the township's own",
    },
)
URBAN = Department(
    code="urban",
    names={"zh": "城管局", "en": "Urban mgmt"},
    purpose={"zh": "占道经营巡查", "en": "street vendors"},
    terms={
        "zh": "柳树村和镇上的路面; 只看一二类点, 只给子码流, 须填事由",
        "en": "streets of Liushu and the township; watches class I and II in sub streams, "
        "giving a reason",
    },
)
EDUCATION = Department(
    code="education",
    names={"zh": "教育局", "en": "Education"},
    terms={"zh": "只有学校, 可看可控", "en": "schools only, to watch and move"},
)
DEPARTMENTS = (POLICE, GOVERNANCE, URBAN, EDUCATION)


def upward_policy(level: Level, language: Language) -> str:
    """Return what a lower level lets its upper platform have: everything that is not secret."""
    return f"""version = 1

[[rule]]
id = "upper-platform"
description = "{_DESCRIPTIONS["upper_platform"][language]}"
effect = "allow"
subjects = {{ platforms = ["{level.upper}"] }}
actions = ["catalog", "live", "ptz", "alarm", "position"]
"""


def county_policy(language: Language) -> str:
    """Return the county's policy for its four departments."""
    return _COUNTY_POLICY.format(
        **{rule: words[language] for rule, words in _DESCRIPTIONS.items()},
        streets=STREETS,
        schools=SCHOOLS,
        county=COUNTY.civil_code,
        liushu=LIUSHU.civil_code,
        township='"37132603", "37132604"',
        **{item.code: item.code for item in DEPARTMENTS},
    )


_DESCRIPTIONS: Mapping[str, Names] = {
    "upper_platform": {
        "zh": "上级平台可看可控本级全部非保密点位",
        "en": "The platform above gets everything that is not secret",
    },
    "police_all": {
        "zh": "公安局可看可控全县点位",
        "en": "Police watch and move every camera of the county",
    },
    "governance_watch": {
        "zh": "综治中心可看全县点位, 须填写事由",
        "en": "Governance watches every camera of the county and says why",
    },
    "governance_move": {
        "zh": "综治中心可控镇属点位, 须填写事由",
        "en": "Governance moves the township's own cameras and says why",
    },
    "urban_list": {
        "zh": "城管局可查柳树村和镇上的路面点位",
        "en": "Urban management knows of the streets of Liushu and the township",
    },
    "urban_watch": {
        "zh": "城管局可看其中的一二类点, 只给子码流, 须填写事由",
        "en": "Urban management watches class I and II of them in sub streams and says why",
    },
    "urban_never_moves": {
        "zh": "城管局只看不控",
        "en": "Urban management watches and never moves",
    },
    "schools_own": {
        "zh": "教育局可看可控学校点位",
        "en": "Education watches and moves the cameras of schools",
    },
}

_COUNTY_POLICY = """version = 1

[[tag]]
name = "schools"
objects = {{ industries = ["{schools}"] }}

[[rule]]
id = "police-all"
description = "{police_all}"
effect = "allow"
subjects = {{ departments = ["{police}"] }}
objects = {{ civil_codes = ["{county}"] }}
actions = ["catalog", "live", "ptz"]

[[rule]]
id = "governance-watch"
description = "{governance_watch}"
effect = "allow"
subjects = {{ departments = ["{governance}"] }}
objects = {{ civil_codes = ["{county}"] }}
actions = ["catalog", "live"]
context = {{ purpose_required = true }}

[[rule]]
id = "governance-move"
description = "{governance_move}"
effect = "allow"
subjects = {{ departments = ["{governance}"] }}
objects = {{ civil_codes = [{township}] }}
actions = ["ptz"]
context = {{ purpose_required = true }}

[[rule]]
id = "urban-list"
description = "{urban_list}"
effect = "allow"
subjects = {{ departments = ["{urban}"] }}
objects = {{ industries = ["{streets}"], civil_codes = ["{liushu}", {township}] }}
actions = ["catalog"]

[[rule]]
id = "urban-watch"
description = "{urban_watch}"
effect = "allow"
subjects = {{ departments = ["{urban}"] }}
objects = {{ industries = ["{streets}"], civil_codes = ["{liushu}", {township}], point_types = ["1", "2"] }}
actions = ["live"]
context = {{ purpose_required = true, max_streams = 8 }}
obligations = {{ sub_stream = true }}

[[rule]]
id = "urban-never-moves"
description = "{urban_never_moves}"
effect = "deny"
subjects = {{ departments = ["{urban}"] }}
actions = ["ptz", "config"]

[[rule]]
id = "schools-own"
description = "{schools_own}"
effect = "allow"
subjects = {{ departments = ["{education}"] }}
objects = {{ tags = ["schools"] }}
actions = ["catalog", "live", "ptz"]
"""

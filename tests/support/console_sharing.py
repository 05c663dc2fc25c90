"""What the console's sharing pages are tried on: a recorder's cameras, departments, a policy, people who may and may not."""

from collections.abc import Mapping
from typing import Any

from playwright.async_api import Page

from gateway.domain.device import Channel, ChannelKind
from tests.support.console_county import _list, _register
from tests.support.console_pages import ConsoleSite
from tests.support.upper_platform import UpperPlatform

__all__ = [
    "DEVICE",
    "POLICY",
    "SCHOOL",
    "channel_code",
    "platform_body",
    "prepare",
    "put",
    "put_platform",
    "unfit",
]

DEVICE = "37132601001110000001"
SCHOOL = 3
"""Number of the camera that only named people may see."""
_UNFIT = """() => [document.documentElement, document.querySelector(".main")]
  .filter(element => element.scrollWidth > Math.min(element.clientWidth, innerWidth))
  .map(element => `${element.localName}: ${element.scrollWidth} in ${element.clientWidth}`)"""
_NAMES = ("人民路路口", "汽车站广场", "农贸市场东门", "实验小学门口", "蒙阳湖公园", "国道收费站")
POLICY = """\
version = 1

[[tag]]
name = "schools"
objects = { channels = ["37132600001320000004"] }

[[rule]]
id = "city-live"
description = "市级平台可看全县公共监控"
effect = "allow"
subjects = { platforms = ["37130000002000000001"] }
objects = { civil_codes = ["371326"] }
actions = ["catalog", "live", "alarm"]

[[rule]]
id = "no-schools"
description = "学校点位不对外"
effect = "deny"
subjects = { outside = true }
objects = { tags = ["schools"] }
actions = ["live", "playback"]

[[rule]]
id = "schools-masked"
effect = "allow"
subjects = { platforms = ["37130000002000000001"] }
objects = { tags = ["schools"] }
actions = ["catalog"]
obligations = { mask_name = "学校点位" }
"""


def channel_code(number: int) -> str:
    """Code of a camera, counted from 0."""
    return f"371326000013200{number + 1:05d}"


def _cameras() -> list[Channel]:
    return [
        Channel(
            device_id=DEVICE,
            channel_id=channel_code(number),
            kind=ChannelKind.CAMERA,
            name=name,
            manufacturer="示例科技",
            civil_code="371326",
            parent_ids=(DEVICE,),
            online=number != 1,
            status_text="OFF" if number == 1 else "ON",
            ptz_type=3,
        )
        for number, name in enumerate(_NAMES)
    ]


async def prepare(site: ConsoleSite, *, policy: str = POLICY) -> None:
    """Make cameras, an administrator `chief`, a department `urban` with its operator `street`, and the policy."""
    registry = site.it.gateway.registry
    durable = _register(registry, DEVICE, "平邑街道录像机")
    _list(registry, DEVICE, _cameras())
    if durable is not None:
        await durable
    await put(site, "departments/urban", {"name": "城市管理局", "zone": "", "contact": "张三"})
    await site.add_user("chief")
    await site.add_user("street", role="operator", department="urban")
    if policy:
        await put(site, "policy", {"text": policy, "comment": "初始策略"})


async def put(site: ConsoleSite, path: str, body: Mapping[str, Any]) -> Any:
    """PUT that must succeed."""
    status, answer = await site.it.api.call("PUT", path, json=body)
    assert status in {200, 201}, answer
    return answer


def platform_body(upper: UpperPlatform, **changes: Any) -> dict[str, Any]:
    """What a platform is configured with."""
    values = {
        "name": "临沂市视频平台",
        "addresses": [{"host": upper.host, "port": upper.port}],
        "local_id": upper.lower_id,
        "password": upper.password,
    }
    return values | changes


async def put_platform(site: ConsoleSite, upper: UpperPlatform, **changes: Any) -> None:
    """Configure a model upper platform and wait until it is registered at."""
    await put(site, f"platforms/{upper.platform_id}", platform_body(upper, **changes))
    await upper.registered(20.0)


async def unfit(page: Page) -> list[str]:
    """What is wider than the screen."""
    return list(await page.evaluate(_UNFIT))

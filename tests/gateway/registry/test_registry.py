"""Finding devices, and what they tell of themselves."""

import pytest

from gateway.domain.device import DeviceSettings
from gateway.domain.errors import NotFound
from gateway.registry.registry import DeviceRegistry
from tests.support.registry import DEVICE, OTHER, register


async def test_devices_are_searched_by_what_people_know_of_them(registry: DeviceRegistry) -> None:
    await register(registry, OTHER)
    registry.set_info(OTHER, name="East Gate NVR", manufacturer="Dahua")
    assert [device.device_id for device in registry.search("east")[0]] == [OTHER]
    assert [device.device_id for device in registry.search("DAHUA")[0]] == [OTHER]
    assert registry.search("10.0.0.7")[1] == 2
    assert registry.search("0000002")[1] == 1
    assert registry.search("nothing") == ([], 0)
    assert registry.search(limit=1, offset=1)[0] == [registry.get(OTHER)]
    assert registry.search(online=True)[1] == 2
    assert registry.search(online=False)[1] == 0
    assert len(registry.devices()) == 2


async def test_information_about_a_device_fills_what_is_known(registry: DeviceRegistry) -> None:
    registry.set_info(DEVICE, name="NVR", manufacturer="Acme")
    registry.set_info(DEVICE, model="M1", firmware="V2")
    device = registry.get(DEVICE)
    assert device is not None
    assert (device.name, device.manufacturer, device.model, device.firmware) == (
        "NVR",
        "Acme",
        "M1",
        "V2",
    )


async def test_what_is_not_known_is_not_found(registry: DeviceRegistry) -> None:
    with pytest.raises(NotFound):
        registry.set_info(OTHER, name="x")
    with pytest.raises(NotFound):
        await registry.set_settings(OTHER, DeviceSettings())
    with pytest.raises(NotFound):
        await registry.forget(OTHER)
    with pytest.raises(NotFound):
        await registry.replace_catalog(OTHER, [], complete=True)

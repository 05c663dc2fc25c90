"""How a platform is told to reach us."""

import pytest

from gateway.domain.device import DeviceAddress
from gateway.domain.platform import PlatformConfig
from gateway.signalling.upper import SipUpper
from gb28181.aio.driver import SipDriver
from tests.support.cascade import UPPER
from tests.support.platform_book import OWN_ID


@pytest.mark.parametrize(
    ("advertise", "tls_port", "transport", "where"),
    [
        (None, 5061, "UDP", "10.0.0.1:40000"),
        (None, 5061, "TCP", "10.0.0.1:40000;transport=tcp"),
        (None, 5061, "TLS", "10.0.0.1:40000;transport=tls"),
        (("192.0.2.1", 5060), 5061, "UDP", "192.0.2.1:5060"),
        (("192.0.2.1", 5060), 5061, "TCP", "192.0.2.1:5060;transport=tcp"),
        (("192.0.2.1", 5060), 5061, "TLS", "192.0.2.1:5061;transport=tls"),
        (("192.0.2.1", 5060), 0, "TLS", "192.0.2.1:5060;transport=tls"),
    ],
)
def test_the_contact_names_transport_and_port_where_we_are_reached(
    advertise: tuple[str, int] | None, tls_port: int, transport: str, where: str
) -> None:
    driver = SipDriver(on_request=lambda _: None, on_crash=lambda *_: None)
    upper = SipUpper(driver, own_id=OWN_ID, advertise=advertise, tls_port=tls_port)
    route = DeviceAddress(
        transport=transport, host="10.0.0.9", port=5060, local_host="10.0.0.1", local_port=40000
    )
    assert upper.contact(PlatformConfig(platform_id=UPPER), route) == f"sip:{OWN_ID}@{where}"

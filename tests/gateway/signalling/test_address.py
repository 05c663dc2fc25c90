"""Two words for one thing: nothing is lost from one to the other."""

import pytest

from gateway.signalling.address import address_of, flow_of
from gb28181.sip.endpoint import Flow


@pytest.mark.parametrize(("transport", "connection"), [("UDP", None), ("TCP", 7), ("TLS", 8)])
def test_a_flow_put_into_an_address_and_back_is_the_same(
    transport: str, connection: int | None
) -> None:
    flow = Flow(
        transport=transport,
        remote=("2001:db8::7", 5061),
        local=("2001:db8::1", 5060),
        connection=connection,
    )
    address = address_of(flow)
    assert (address.host, address.port) == ("2001:db8::7", 5061)
    assert (address.local_host, address.local_port) == ("2001:db8::1", 5060)
    assert flow_of(address) == flow

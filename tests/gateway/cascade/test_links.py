"""All links together: what the book says is what runs; who a request comes from; trials."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.device import DeviceAddress
from gateway.domain.errors import Invalid, NotFound, Unavailable
from gateway.domain.platform import LinkState, PlatformAddress, PlatformEvent, PlatformStatus
from tests.support.platform_book import OWN_ID
from tests.support.upper_links import LinkedGateway, all_links, kinds
from tests.support.upper_platform import PASSWORD, UPPER_ID, UpperPlatform, until

pytestmark = pytest.mark.net

SECOND_ID = "37130000002000000002"


def came_from(host: str = "127.0.0.1", port: int = 5060, **changes: object) -> DeviceAddress:
    values: dict[str, object] = {
        "transport": "UDP",
        "host": host,
        "port": port,
        "local_host": "127.0.0.1",
        "local_port": 5060,
    }
    return DeviceAddress(**(values | changes))  # type: ignore[arg-type]


async def test_enabled_platforms_are_registered_at_the_start_and_left_at_the_end() -> None:
    async with UpperPlatform() as first, UpperPlatform(SECOND_ID) as second:
        online: list[str] = []
        offline: list[tuple[str, str]] = []
        async with all_links(first.config(), second.config(enabled=False)) as gateway:
            gateway.links.on_online.append(lambda link: online.append(link.config.platform_id))
            gateway.links.on_offline.append(
                lambda link, why: offline.append((link.config.platform_id, why))
            )
            await gateway.online(UPPER_ID)
            assert [link.config.platform_id for link in gateway.links.links()] == [UPPER_ID]
            assert gateway.links.status(SECOND_ID).state is LinkState.DISABLED
            assert online == [UPPER_ID]
        assert offline == [(UPPER_ID, "We deregistered")]
        assert not first.is_registered
        assert second.registers == []


async def test_a_saved_change_replaces_the_link_and_keeps_its_timeline() -> None:
    async with UpperPlatform() as upper, all_links(upper.config()) as gateway:
        old = await gateway.online(UPPER_ID)
        ended: list[object] = []
        started: list[object] = []
        gateway.links.on_ended.append(ended.append)
        gateway.links.on_started.append(started.append)

        await gateway.book.save(upper.config(expires=3600))
        await until(lambda: started, 3, "the new link")
        new = await gateway.online(UPPER_ID)
        assert new is not old
        assert ended == [old]
        assert [item.expires for item in upper.registers if item.status == 200] == [86_400, 0, 3600]
        told = kinds(gateway.links.status(UPPER_ID).timeline)
        assert told == [
            PlatformEvent.REGISTERED,
            PlatformEvent.CHANGED,
            PlatformEvent.OFFLINE,
            PlatformEvent.REGISTERED,
        ]


async def test_disabling_deleting_and_adding_take_effect_at_once() -> None:
    async with UpperPlatform() as upper, all_links() as gateway:
        await gateway.book.save(upper.config(), PASSWORD)
        await gateway.online(UPPER_ID)

        await gateway.book.save(upper.config(enabled=False))
        await upper.deregistered()
        await until(lambda: gateway.links.find(UPPER_ID) is None, 2, "the end of the link")
        status = gateway.links.status(UPPER_ID)
        assert status.state is LinkState.DISABLED
        assert kinds(status.timeline)[-1] is PlatformEvent.OFFLINE

        await gateway.book.save(upper.config())
        await gateway.online(UPPER_ID)
        await gateway.book.delete(UPPER_ID)
        await upper.deregistered()
        with pytest.raises(NotFound):
            gateway.links.status(UPPER_ID)


async def test_many_changes_in_a_row_end_in_the_last_one() -> None:
    async with UpperPlatform() as upper, all_links(upper.config()) as gateway:
        await gateway.online(UPPER_ID)
        for expires in range(4000, 4020):
            await gateway.book.save(upper.config(expires=expires))
        await until(lambda: upper.registers[-1].expires == 4019, 5, "the last change")
        await gateway.online(UPPER_ID)
        assert len(gateway.links.links()) == 1
        calls = {item.request.call_id for item in upper.registers}
        assert len(calls) <= 4


async def test_the_end_in_the_middle_of_a_change_tells_of_each_end_once() -> None:
    async with UpperPlatform() as upper:
        ended: list[object] = []
        async with all_links(upper.config()) as gateway:
            await gateway.online(UPPER_ID)
            gateway.links.on_ended.append(ended.append)
            await gateway.book.save(upper.config(expires=7200))
        assert len(ended) == len(set(map(id, ended))) <= 2
        assert not upper.is_registered


async def test_one_platform_that_is_silent_does_not_hold_up_the_others() -> None:
    async with UpperPlatform() as silent, UpperPlatform(SECOND_ID) as well:
        silent.register_status = 500
        async with all_links(silent.config(), well.config()) as gateway:
            await gateway.online(SECOND_ID, 2)
            assert gateway.links.status(UPPER_ID).state is LinkState.WAITING


async def test_others_fill_in_what_they_know_of_a_platform() -> None:
    def fill(platform_id: str, status: PlatformStatus) -> None:
        status.catalog_items = 7 if platform_id == UPPER_ID else None

    async with UpperPlatform() as upper, all_links(upper.config()) as gateway:
        gateway.links.on_status.append(fill)
        assert gateway.links.status(UPPER_ID).catalog_items == 7


async def test_a_request_is_a_platforms_if_its_code_and_its_host_agree() -> None:
    async with UpperPlatform() as upper, UpperPlatform(SECOND_ID) as other:
        other.register_status = 403
        async with all_links(upper.config(), other.config()) as gateway:
            link = await gateway.online(UPPER_ID)
            identify = gateway.links.identify

            for address in (
                came_from(port=upper.port),
                came_from(port=40_000),
                came_from(transport="TCP", connection=12),
            ):
                found = identify(UPPER_ID, address)
                assert (found.link, found.reason, found.accepted) == (link, "", True)

            elsewhere = identify(UPPER_ID, came_from("127.0.0.2"))
            assert (elsewhere.link, elsewhere.reason) == (link, "other_address")
            assert "127.0.0.2" in elsewhere.detail
            renamed = identify("37130000002000000077", came_from(port=upper.port))
            assert (renamed.link, renamed.reason) == (link, "other_id")
            assert "37130000002000000077" in renamed.detail
            stranger = identify("37130000002000000077", came_from("127.0.0.2"))
            assert (stranger.link, stranger.reason) == (None, "unknown")
            refused = identify(SECOND_ID, came_from(port=other.port))
            assert refused.reason == "not_registered"
            for found in (elsewhere, renamed, stranger, refused):
                assert not found.accepted

            await gateway.book.save(upper.config(enabled=False))
            await until(lambda: gateway.links.find(UPPER_ID) is None, 3, "the end of the link")
            assert identify(UPPER_ID, came_from(port=upper.port)).reason == "disabled"


async def test_another_node_of_a_cluster_is_the_platform_too_if_its_address_is_configured() -> None:
    async with UpperPlatform() as upper:
        addresses = (PlatformAddress(upper.host, upper.port), PlatformAddress("127.0.0.3", 5060))
        async with all_links(upper.config(addresses=addresses)) as gateway:
            await gateway.online(UPPER_ID)
            assert gateway.links.identify(UPPER_ID, came_from("127.0.0.3")).accepted
            assert not gateway.links.identify(UPPER_ID, came_from("127.0.0.4")).accepted


async def test_the_connection_is_the_identity_where_there_is_one() -> None:
    async with UpperPlatform(transport="TCP") as upper, all_links(upper.config()) as gateway:
        link = await gateway.online(UPPER_ID)
        assert link.route is not None
        ours = came_from(transport="TCP", connection=link.route.connection, port=1)
        assert gateway.links.from_platform(ours) is link
        other = came_from(transport="TCP", connection=9999, port=upper.port)
        assert gateway.links.from_platform(other) is None


async def test_a_tls_link_is_not_asked_in_the_clear() -> None:
    async with UpperPlatform() as upper, all_links(upper.config()) as gateway:
        link = await gateway.online(UPPER_ID)
        assert link.route is not None
        link._route = replace(link.route, transport="TLS", connection=5)
        found = gateway.links.identify(UPPER_ID, came_from(port=upper.port))
        assert found.reason == "other_transport"
        link._route = replace(link.route, transport="UDP", connection=None)


async def test_two_codes_at_one_address_are_nobodys_for_a_third() -> None:
    async with UpperPlatform() as upper:
        second = upper.config(platform_id=SECOND_ID)
        async with all_links(upper.config(), second) as gateway:
            await gateway.online(UPPER_ID)
            await gateway.online(SECOND_ID)
            address = came_from(port=upper.port)
            assert gateway.links.identify(SECOND_ID, address).accepted
            assert gateway.links.identify("1" * 20, address).reason == "unknown"


def steps(report: object) -> list[tuple[str, bool, int | None, str]]:
    return [(s.name, s.ok, s.status, s.reason) for s in report.steps]  # type: ignore[attr-defined]


async def test_a_trial_shows_each_step_and_leaves_nothing() -> None:
    async with UpperPlatform() as upper, all_links() as gateway:
        upper.date = lambda: datetime.now(UTC) + timedelta(minutes=5)
        report = await gateway.links.test(upper.config(), PASSWORD)
        assert steps(report) == [
            ("connect", True, None, ""),
            ("register", True, 401, ""),
            ("authorize", True, 200, ""),
            ("keepalive", True, 200, ""),
            ("deregister", True, 401, ""),
            ("deregister", True, 200, ""),
        ]
        assert report.ok
        assert report.granted == 300
        assert report.clock_offset == pytest.approx(300, abs=2)
        assert "Digest realm" in report.steps[1].detail
        assert "300.0 s" in report.steps[2].detail or "clock" in report.steps[2].detail
        assert not upper.is_registered
        assert gateway.book.list() == []
        times = [step.at for step in report.steps]
        assert times == sorted(times)


async def test_a_trial_of_a_wrong_password_says_so() -> None:
    async with UpperPlatform() as upper, all_links() as gateway:
        upper.wrong_status = 401
        report = await gateway.links.test(upper.config(), "no")
        assert not report.ok
        assert steps(report)[-1] == ("authorize", False, 401, "wrong_password")
        upper.wrong_status = 403
        report = await gateway.links.test(upper.config(), "no")
        assert steps(report)[-1] == ("authorize", False, 403, "refused_403")


async def test_a_trial_tries_every_address_and_fails_with_any() -> None:
    async with UpperPlatform() as upper, all_links(timeout=0.2) as gateway:
        addresses = (PlatformAddress("127.0.0.1", 9), PlatformAddress(upper.host, upper.port))
        upper.keepalive_status = 403
        report = await gateway.links.test(upper.config(addresses=addresses), PASSWORD)
        assert not report.ok
        assert {step.address for step in report.steps} == {
            "127.0.0.1:9",
            f"127.0.0.1:{upper.port}",
        }
        assert ("register", False, None, "no_answer") in steps(report) or (
            "register",
            False,
            None,
            "unreachable",
        ) in steps(report)
        assert ("keepalive", False, 403, "keepalive_refused") in steps(report)

        upper.min_expires = 3600
        report = await gateway.links.test(upper.config(), PASSWORD)
        assert ("register", True, 423, "") in steps(report)
        assert ("authorize", True, 200, "") in steps(report)


async def test_a_trial_of_a_running_platform_leaves_it_registered() -> None:
    async with UpperPlatform() as upper, all_links(upper.config()) as gateway:
        link = await gateway.online(UPPER_ID)
        report = await gateway.links.test(upper.config())
        assert report.ok
        assert "deregister" not in {step.name for step in report.steps}
        await until(lambda: upper.registers[-1].expires == 86_400, 3, "the registration anew")
        await asyncio.sleep(0.1)
        assert upper.is_registered
        assert gateway.links.find(UPPER_ID) is link
        assert link.online


async def test_a_trial_refuses_what_the_book_would_refuse() -> None:
    async with all_links() as gateway:
        with pytest.raises(Invalid, match="a loop"):
            await gateway.links.test(
                UpperPlatform(OWN_ID).config(local_id="", addresses=(PlatformAddress("h", 1),)), ""
            )
        unreachable = UpperPlatform().config(
            transport="TCP", addresses=(PlatformAddress("127.0.0.1", 1),)
        )
        report = await gateway.links.test(unreachable, "x")
        assert steps(report) == [("connect", False, None, "unreachable")]


async def test_an_operator_may_have_it_tried_at_once() -> None:
    async with UpperPlatform() as upper, all_links(upper.config()) as gateway:
        upper.register_status = 503
        await until(lambda: _state(gateway) is LinkState.WAITING, 3, "the failure")
        upper.register_status = None
        gateway.links.reconnect(UPPER_ID)
        await gateway.online(UPPER_ID, 2)

        await gateway.book.save(upper.config(enabled=False))
        await until(lambda: gateway.links.find(UPPER_ID) is None, 3, "the end of the link")
        with pytest.raises(Unavailable):
            gateway.links.reconnect(UPPER_ID)
        with pytest.raises(NotFound):
            gateway.links.reconnect(SECOND_ID)


def _state(gateway: LinkedGateway) -> LinkState:
    return gateway.links.status(UPPER_ID).state


async def test_fifty_platforms_at_once() -> None:
    uppers = [UpperPlatform(f"371300000020000{number:05d}") for number in range(50)]
    async with asyncio.timeout(20):
        for upper in uppers:
            await upper.__aenter__()
        try:
            async with all_links(*(upper.config() for upper in uppers)) as gateway:
                await until(lambda: all(upper.is_registered for upper in uppers), 10, "all of them")
                await until(
                    lambda: all(link.online for link in gateway.links.links()), 5, "all links"
                )
            assert not any(upper.is_registered for upper in uppers)
        finally:
            for upper in uppers:
                await upper.__aexit__(None, None, None)

"""The link to an upper platform against a model of one, over real sockets."""

import asyncio
import random
import socket
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.cascade.link import UpperPlatformLink
from gateway.domain.errors import Unavailable
from gateway.domain.platform import Edition, LinkState, PlatformAddress, PlatformEvent
from gb28181.aio.tls import server_context
from gb28181.manscdp import Keepalive
from tests.support.certificates import make_certificate
from tests.support.upper_links import kinds, one_link
from tests.support.upper_platform import LOWER_ID, UPPER_ID, UpperPlatform, until

pytestmark = pytest.mark.net

QUICK: dict[str, Any] = {"keepalive_interval": 0.2, "retry_delay": 0.3}


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_registers_with_digest_lives_and_deregisters(transport: str, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    async with UpperPlatform(transport=transport, tls=server_context(certificate, key)) as upper:
        async with one_link(upper.config(**QUICK, tls_ca=str(certificate))) as link:
            await upper.registered()
            await until(lambda: link.online, 2, "the link")
            await until(lambda: len(upper.keepalives) >= 3, 3, "keepalives")
            status = link.status()

            assert upper.statuses() == [401, 200]
            first, second = upper.registers
            assert first.request.uri == f"sip:{UPPER_ID}@{UPPER_ID[:10]}"
            assert first.request.call_id == second.request.call_id
            assert first.user == LOWER_ID
            assert first.request.headers.get("Authorization") is None
            assert upper.contact.startswith(f"sip:{LOWER_ID}@127.0.0.1:")
            _, _, by = upper.contact.partition(";transport=")
            assert by == ("" if transport == "UDP" else transport.lower())
            assert (status.state, status.reason) == (LinkState.ONLINE, "")
            assert status.address == f"127.0.0.1:{upper.port}"
            assert status.last_keepalive_at is not None
            assert status.expires_at is not None
            assert timedelta(hours=23) < status.expires_at - datetime.now(UTC) < timedelta(hours=25)
        assert not upper.is_registered
        assert upper.registers[-1].expires == 0
        assert link.status().state is LinkState.WAITING
        assert kinds(link.status().timeline) == [PlatformEvent.REGISTERED, PlatformEvent.OFFLINE]


@pytest.mark.parametrize(
    ("edition", "version"), [(Edition.V2011, None), (Edition.V2016, None), (Edition.V2022, "3.0")]
)
async def test_the_version_header_is_for_2022_platforms(
    edition: Edition, version: str | None
) -> None:
    async with UpperPlatform() as upper, one_link(upper.config(edition=edition)):
        await upper.registered()
        assert {item.request.headers.get("X-GB-Ver") for item in upper.registers} == {version}


async def test_the_digest_user_may_be_another_than_our_code() -> None:
    async with UpperPlatform() as upper:
        upper.username = "county"
        async with one_link(upper.config(username="county")):
            await upper.registered()
            assert upper.registers[-1].user == LOWER_ID


@pytest.mark.parametrize(
    ("wrong_status", "reason"), [(401, "wrong_password"), (403, "refused_403")]
)
async def test_a_wrong_password_is_named_and_not_tried_again_at_once(
    wrong_status: int, reason: str
) -> None:
    async with UpperPlatform() as upper:
        upper.wrong_status = wrong_status
        async with one_link(upper.config(retry_delay=60.0), "wrong") as link:
            await until(lambda: link.status().state is LinkState.WAITING, 2, "the failure")
            await asyncio.sleep(0.2)
            status = link.status()

            assert upper.statuses() == [401, wrong_status]
            assert status.reason == reason
            assert "password" in status.detail
            assert status.next_try_at is not None
            assert status.next_try_at - datetime.now(UTC) > timedelta(seconds=55)
            assert "wrong" not in status.detail.replace("password is wrong", "")
            with pytest.raises(Unavailable) as refused:
                await link.send(Keepalive(sn=1, device_id=LOWER_ID, status="OK"))
            assert refused.value.code == "platform_offline"


async def test_a_password_that_is_missing_is_named() -> None:
    async with UpperPlatform() as upper, one_link(upper.config(), "") as link:
        await until(lambda: link.status().reason, 2, "the failure")
        assert link.status().reason == "no_password"


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (404, [], "refused_404"),
        (405, [], "refused_405"),
        (480, [], "refused_480"),
        (500, [], "refused_500"),
        (503, [("Retry-After", "1800")], "refused_503"),
        (401, [], "challenge_unusable"),
        (
            401,
            [("WWW-Authenticate", 'Digest realm="x", nonce="y", algorithm=SM3')],
            "challenge_unusable",
        ),
        (302, [("Contact", "<sip:37130000002000000009@127.0.0.1:1>")], "redirected"),
        (423, [], "refused_423"),
        (699, [], "refused_699"),
    ],
)
async def test_each_refusal_has_its_word(
    status: int, headers: list[tuple[str, str]], reason: str
) -> None:
    async with UpperPlatform() as upper:
        upper.register_status, upper.register_headers = status, headers
        async with one_link(upper.config()) as link:
            await until(lambda: link.status().reason, 2, "the failure")
            found = link.status()
            assert found.reason == reason
            assert str(status) in found.detail
            assert found.next_try_at is not None
            wait = 1799 if headers and headers[0][0] == "Retry-After" else 59
            assert found.next_try_at - datetime.now(UTC) > timedelta(seconds=wait)
            assert kinds(found.timeline) == [PlatformEvent.REGISTER_FAILED]


async def test_a_platform_that_wants_a_longer_interval_gets_it() -> None:
    async with UpperPlatform() as upper:
        upper.min_expires = 7200
        async with one_link(upper.config(expires=3600)):
            await upper.registered()
            assert upper.statuses() == [423, 401, 200]
            assert upper.registers[-1].expires == 7200


@pytest.mark.parametrize(
    ("grant", "taken"), [("0", 86_400), ("1", 60), ("1000000000", 604_800), ("soon", 86_400)]
)
async def test_absurd_grants_do_no_harm_and_are_remarked(grant: str, taken: int) -> None:
    async with UpperPlatform() as upper:
        upper.grant = grant
        async with one_link(upper.config()) as link:
            await until(lambda: link.online, 2, "the registration")
            await asyncio.sleep(1.2)
            status = link.status()
            assert len(upper.registers) == 2
            assert status.expires_at is not None
            lasts = (status.expires_at - datetime.now(UTC)).total_seconds()
            assert taken - 5 < lasts <= taken
            remarked = PlatformEvent.REMARK in kinds(status.timeline)
            assert remarked == grant.isdecimal()


async def test_three_missed_keepalives_take_it_offline_and_it_registers_again() -> None:
    async with UpperPlatform() as upper, one_link(upper.config(**QUICK), timeout=0.15) as link:
        told: list[str] = []
        link.record.on_offline = told.append
        await until(lambda: len(upper.keepalives) >= 1, 2, "a keepalive")
        upper.keepalive_status = None
        await until(lambda: not link.online, 3, "off-line")
        assert link.status().reason == "keepalive_missed"
        assert kinds(link.status().timeline).count(PlatformEvent.KEEPALIVE_MISSED) == 3
        assert len(told) == 1
        assert "3 of 3" in told[0]

        upper.keepalive_status = 200
        await until(lambda: link.online, 3, "a new registration")
        calls = {item.request.call_id for item in upper.registers}
        assert len(calls) == 2
        assert link.status().reason == ""


async def test_two_misses_are_forgiven() -> None:
    async with UpperPlatform() as upper:
        # Far enough apart that a busy machine tells the second miss before the third keepalive goes out.
        config = upper.config(**QUICK | {"keepalive_interval": 0.8})
        async with one_link(config, timeout=0.3) as link:
            await two_misses(upper, link)


async def two_misses(upper: UpperPlatform, link: UpperPlatformLink) -> None:
    await until(lambda: len(upper.keepalives) >= 1, 3, "a keepalive")
    upper.keepalive_status = None
    await until(lambda: link.status().misses == 2, 5, "two misses")
    upper.keepalive_status = 200
    await until(lambda: link.status().misses == 0, 5, "an answer")
    assert link.online
    assert len(upper.registers) == 2


async def test_a_platform_that_forgot_us_is_registered_at_soon() -> None:
    async with UpperPlatform() as upper, one_link(upper.config(**QUICK)) as link:
        await until(lambda: link.online, 2, "the registration")
        await asyncio.sleep(0.35)  # longer than retry_delay: it stood
        upper.keepalive_status = 403
        await until(lambda: not link.online, 2, "off-line")
        assert link.status().reason == "keepalive_refused"
        upper.keepalive_status = 200
        await until(lambda: link.online, 3, "the next registration")


async def test_keepalives_keep_step() -> None:
    async with UpperPlatform() as upper, one_link(upper.config(keepalive_interval=0.1)):
        await until(lambda: len(upper.keepalives) >= 21, 5, "keepalives")
        times = upper.keepalives[:21]
        late = [at - times[0] - 0.1 * number for number, at in enumerate(times)]
        # A busy machine sends one or the other late, and the next ones in time again.
        assert min(abs(seconds) for seconds in late[11:]) < 0.06


async def test_a_lost_connection_is_an_offline_platform_and_ends_nothing_for_good() -> None:
    async with UpperPlatform(transport="TCP") as upper, one_link(upper.config(**QUICK)) as link:
        await until(lambda: link.online, 2, "the registration")
        await asyncio.sleep(0.35)
        upper.drop_connections()
        await until(lambda: not link.online, 2, "off-line")
        assert link.route is None
        assert link.status().reason == "connection_lost"
        await until(lambda: link.online, 3, "the next registration")
        assert link.route is not None


async def test_the_next_address_is_tried_and_the_first_again_in_the_next_round() -> None:
    async with UpperPlatform(password="") as first, UpperPlatform(password="") as second:
        addresses = (
            PlatformAddress(first.host, first.port),
            PlatformAddress(second.host, second.port),
        )
        first.register_status = 503
        async with one_link(first.config(addresses=addresses, **QUICK)) as link:
            await until(lambda: link.online, 4, "the registration at the second")
            assert second.is_registered
            assert link.status().address == f"127.0.0.1:{second.port}"
            assert PlatformEvent.FAILED_OVER in kinds(link.status().timeline)

            first.register_status = None
            second.keepalive_status = 500
            await until(lambda: first.is_registered, 4, "the way back")
            await until(lambda: link.online, 2, "the registration at the first")
            assert link.status().address == f"127.0.0.1:{first.port}"


async def test_nobody_there_is_named_and_waiting_grows_with_every_round() -> None:
    async with UpperPlatform() as upper:
        config = upper.config(retry_delay=0.1)
    async with one_link(config, timeout=0.05) as link:
        waits = []
        for rounds in range(1, 5):
            await until(partial(_has_failed, link, rounds), 5, f"failure {rounds}")
            status = link.status()
            assert status.reason in {"no_answer", "unreachable"}
            assert status.next_try_at is not None
            waits.append((status.next_try_at - datetime.now(UTC)).total_seconds())
        assert waits == sorted(waits)
        assert waits[-1] > 0.5


def _has_failed(link: UpperPlatformLink, times: int = 1) -> bool:
    failed = PlatformEvent.REGISTER_FAILED
    return sum(e.count for e in link.status().timeline if e.kind is failed) >= times


async def test_a_closed_port_and_a_name_nobody_knows_are_unreachable() -> None:
    async with UpperPlatform(transport="TCP") as upper:
        config = upper.config()
    for addresses in (config.addresses, (PlatformAddress("no-such-host.invalid", 5060),)):
        for transport in ("TCP", "UDP"):
            if transport == "UDP" and addresses is config.addresses:
                continue
            changed = upper.config(addresses=addresses, transport=transport)
            async with one_link(changed) as link:
                await until(partial(_has_failed, link), 8, "the failure")
                assert link.status().reason == "unreachable"


async def test_a_name_with_addresses_of_both_kinds_is_reached_where_we_have_a_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with UpperPlatform() as upper:

        async def both(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            assert host == "upper.example"
            return [
                (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", port, 0, 0)),
                (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", port)),
            ]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
        addresses = (PlatformAddress("upper.example", upper.config().addresses[0].port),)
        async with one_link(upper.config(addresses=addresses)) as link:
            await upper.registered()
            await until(lambda: link.online, 3, "the registration")


async def test_a_certificate_that_is_not_trusted_and_a_ca_file_that_is_none(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    async with UpperPlatform(transport="TLS", tls=server_context(certificate, key)) as upper:
        for ca, words in (("", "not trusted"), (str(tmp_path / "none.pem"), "tls_ca")):
            async with one_link(upper.config(tls_ca=ca)) as link:
                await until(partial(_has_failed, link), 5, "the failure")
                assert link.status().reason == "tls_failed"
                assert words in link.status().detail
        async with one_link(upper.config(tls_verify=False)):
            await upper.registered()


async def test_a_redirection_is_followed_for_2022_and_left_when_the_target_fails() -> None:
    async with (
        UpperPlatform() as gate,
        UpperPlatform("37130000002000000009") as server,
    ):
        server.domain = gate.domain
        server._digest = gate._digest
        gate.register_status = 302
        gate.register_headers = [
            ("Contact", f"<sip:{server.platform_id}@127.0.0.1:{server.port}>"),
            ("Expires", "3600"),
        ]
        config = gate.config(edition=Edition.V2022, **QUICK)
        async with one_link(config, timeout=0.15) as link:
            await until(lambda: link.online, 3, "the registration at the target")
            assert server.registers[0].request.uri.startswith(f"sip:{server.platform_id}@")
            assert link.peer_id == server.platform_id
            assert link.status().address == f"127.0.0.1:{server.port}"

            gate.register_status, gate.register_headers = None, []
            server.keepalive_status = None
            await until(lambda: gate.is_registered, 5, "the registration where it began")
            assert link.peer_id == gate.platform_id


async def test_redirections_in_a_circle_end() -> None:
    async with UpperPlatform() as upper:
        upper.register_status = 302
        upper.register_headers = [("Contact", f"<sip:{UPPER_ID}@127.0.0.1:{upper.port}>")]
        async with one_link(upper.config(edition=Edition.V2022)) as link:
            await until(lambda: link.status().state is LinkState.WAITING, 3, "the end of it")
            await asyncio.sleep(0.2)
            assert len(upper.registers) == 3
            assert link.status().reason == "redirected"


async def test_the_clock_is_only_remarked_on_and_only_once() -> None:
    async with UpperPlatform() as upper:
        upper.date = lambda: datetime.now(UTC) - timedelta(hours=8)
        async with one_link(upper.config()) as link:
            await until(lambda: link.online, 2, "the registration")
            link.reconnect("test")
            await until(lambda: len(upper.registers) == 4, 2, "the second registration")
            await asyncio.sleep(0.1)
            status = link.status()
            assert status.clock_offset == pytest.approx(-28_800, abs=2)
            clocks = [entry for entry in status.timeline if "clock" in entry.detail]
            assert [(entry.count, "behind" in entry.detail) for entry in clocks] == [(1, True)]

        upper.date = None
        async with one_link(upper.config()) as link:
            await until(lambda: link.online, 2, "the registration")
            assert link.status().clock_offset is None


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_a_platform_does_the_link_is_online_again_when_it_behaves(seed: int) -> None:
    chance = random.Random(seed)
    transport = chance.choice(["UDP", "TCP"])
    async with UpperPlatform(transport=transport) as upper:
        config = upper.config(keepalive_interval=0.05, retry_delay=0.05)
        async with one_link(config, timeout=0.1, fraction=chance.random) as link:
            for _ in range(12):
                upper.register_status = chance.choice([None, None, 403, 401, 500, 302, 423, 200])
                upper.keepalive_status = chance.choice([200, 200, 403, 500, None])
                upper.grant = chance.choice([None, "0", "1", "99999999999", "", "x"])
                upper.wrong_status = chance.choice([401, 403])
                upper.password = chance.choice(["upper-password", "upper-password", "other"])
                if transport == "TCP" and upper.flow is not None and chance.random() < 0.3:
                    upper.drop_connections()
                if chance.random() < 0.2:
                    link.reconnect("chance")
                await asyncio.sleep(chance.random() * 0.2)
            upper._answer_well("upper-password")
            link.reconnect("now")
            await until(lambda: link.online, 4, "the registration")
            await until(lambda: link.status().misses == 0, 2, "an answered keepalive")
            assert link.status().reason == ""
        assert not upper.is_registered


async def test_stopping_while_nobody_answers_is_quick() -> None:
    async with UpperPlatform() as upper:
        upper.register_status = 503
        async with one_link(upper.config(), timeout=30.0) as link:
            await until(lambda: link.status().reason, 2, "a failure")
            async with asyncio.timeout(10):
                await link.stop()
        config = upper.config(transport="TCP", addresses=(PlatformAddress("192.0.2.1", 5060),))
    async with one_link(config, timeout=30.0) as link:
        await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            await link.stop()


async def test_a_platform_that_is_gone_does_not_hold_up_the_stop() -> None:
    async with UpperPlatform() as upper, one_link(upper.config(), timeout=20.0) as link:
        await until(lambda: link.online, 2, "the registration")
        await upper.driver.close()
        async with asyncio.timeout(15):
            await link.stop()
        assert not link.record.is_online


async def test_what_is_sent_is_acknowledged_or_says_why_not() -> None:
    async with UpperPlatform() as upper, one_link(upper.config(), timeout=0.2) as link:
        await until(lambda: link.online, 2, "the registration")
        content = Keepalive(sn=7, device_id=LOWER_ID, status="OK")
        await link.send(content)
        upper.keepalive_status = 486
        with pytest.raises(Unavailable, match="486") as refused:
            await link.send(content)
        assert refused.value.code == "platform_refused"
        upper.keepalive_status = None
        with pytest.raises(Unavailable) as silent:
            await link.send(content)
        assert silent.value.code == "no_answer"

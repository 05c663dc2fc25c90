"""Deliveries: signed, in order, retried, given up, and never in another's way."""

import asyncio
import itertools
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from gateway.domain.errors import Conflict, Invalid
from gateway.domain.policy import (
    AccessContext,
    AccessRequest,
    Action,
    Decision,
    Obligations,
    Subject,
)
from gateway.sharing.access_open import OwnerNotice
from gateway.sharing.signature import request_signature
from gateway.sharing.webhooks import MAX_HOOKS_PER_DEPARTMENT, Webhook, WebhookEvent
from gateway.sharing.webhooks_delivery import Delivery, DeliveryOptions
from gateway.sharing.webhooks_service import WebhookService
from gateway.sharing.webhooks_watch import ChannelEvent
from gb28181.aio.tasks import TaskScope
from tests.support.departments import (
    BOSS,
    Books,
    Fleet,
    ListedPolicy,
    Post,
    ScriptedPoster,
    books,
)

A = "34020000001110000001"
URL = "http://receiver.example/hook?token=1"
ALL = frozenset(WebhookEvent)


class Bench:
    """A running service."""

    def __init__(self, held: Books, scope: TaskScope, options: DeliveryOptions) -> None:
        self.held, self.policy, self.fleet = held, ListedPolicy(), Fleet()
        self.poster = ScriptedPoster()
        numbers = itertools.count(1)
        self.service = WebhookService(
            book=held.webhooks,
            departments=held.departments,
            access=self.policy,
            directory=self.fleet,
            poster=self.poster,
            scope=scope,
            wall=held.clock.utc_now,
            now=held.clock.monotonic,
            new_id=lambda: f"id{next(numbers)}",
            spread=lambda: 1.0,
            options=options,
            gather=0,
        )
        for name in ("c1", "c2"):
            self.fleet.put(A, name)
            self.policy.give("urban", name, Action.CATALOG)

    async def hook(
        self, url: str = URL, events: frozenset[WebhookEvent] = ALL
    ) -> tuple[Webhook, str]:
        made = await self.held.webhooks.create("urban", url, events, by=BOSS)
        await self.settle()
        return made

    async def settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    async def turn(self, *, online: bool, name: str = "c1") -> None:
        found = self.fleet.channel(A, name)
        assert found is not None
        found.online = online
        self.service.touch(A, {name})
        await self.settle()

    async def post(self) -> Post:
        async with asyncio.timeout(15):
            return await self.poster.posts.get()


@asynccontextmanager
async def running(
    held: Books | None = None, options: DeliveryOptions | None = None
) -> AsyncIterator[Bench]:
    crashes: list[object] = []
    held = held or await books()
    await held.departments.save("urban", name="城管局", by=BOSS)
    quick = options or DeliveryOptions(first_retry=0.01, longest_retry=0.04)
    async with TaskScope(lambda name, error: crashes.append((name, error))) as scope:
        bench = Bench(held, scope, quick)
        scope.spawn(bench.service.run(), name="webhooks")
        await bench.settle()
        yield bench
    assert crashes == []


def events(post: Post) -> list[tuple[str, str]]:
    return [(item["event"], item["channel_id"]) for item in json.loads(post.body)["events"]]


async def test_a_receiver_out_of_reach_costs_no_more_for_every_channel_that_ever_changed() -> None:
    held = await books()
    await held.departments.save("urban", name="城管局", by=BOSS)
    hook, secret = await held.webhooks.create("urban", URL, ALL, by=BOSS)
    delivery = Delivery(
        hook,
        secret,
        poster=ScriptedPoster(),
        options=DeliveryOptions(queue=10),
        wall=held.clock.utc_now,
        new_id=lambda: "id",
        spread=lambda: 1.0,
        on_dead=lambda _: asyncio.sleep(0),
    )
    at = held.clock.utc_now()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20_000):
            delivery.offer(
                ChannelEvent(
                    at=at,
                    event=WebhookEvent.ON,
                    device_id=A,
                    channel_id=f"c{number}",
                    name=f"name {number}",
                    online=True,
                )
            )
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert delivery.status.missed == 20_000 - 10
    assert grown < 200_000


async def test_a_receiver_out_of_reach_is_not_told_later_what_it_may_not_know_any_more() -> None:
    async with running() as bench:
        await bench.hook()
        for name in ("c1", "c2"):
            found = bench.fleet.channel(A, name)
            assert found is not None
            found.name = f"name of {name}"
        bench.poster.answers = ["out of reach"] * 100_000
        # One is on its way again and again, others wait behind it.
        await bench.turn(online=False)
        first = await bench.post()
        assert "name of c1" in first.body.decode()
        await bench.turn(online=True)
        await bench.turn(online=False, name="c2")
        bench.policy.give("urban", "c1")
        await bench.settle()
        while not bench.poster.posts.empty():
            bench.poster.posts.get_nowait()
        bench.poster.answers = []
        seen = [await bench.post()]
        while ("removed", "c1") not in events(seen[-1]):
            seen.append(await bench.post())
        told = b"".join(post.body for post in seen).decode()
        assert "name of c1" not in told
        assert "name of c2" in told
        assert [kind for kind, name in events(seen[-1]) if name == "c1"][-1] == "removed"


async def test_a_change_arrives_signed_as_a_request_of_ours() -> None:
    async with running() as bench:
        hook, secret = await bench.hook()
        await bench.turn(online=False)
        post = await bench.post()
        body = json.loads(post.body)
        assert post.url == URL
        assert (body["webhook"], body["department"]) == (hook.hook_id, "urban")
        assert (body["sequence"], body["missed"]) == (1, 0)
        assert body["events"] == [
            {
                "event": "off",
                "at": "2026-11-21T08:00:00+00:00",
                "device_id": A,
                "channel_id": "c1",
                "name": "Camera c1",
                "online": False,
            }
        ]
        stamp, nonce = post.headers["X-Gb-Timestamp"], post.headers["X-Gb-Nonce"]
        expected = request_signature(secret, "POST", "/hook?token=1", stamp, nonce, post.body)
        assert post.headers["X-Gb-Signature"] == expected
        assert stamp == str(int(bench.held.clock.utc_now().timestamp()))


async def test_only_the_events_asked_for_arrive() -> None:
    async with running() as bench:
        await bench.hook(events=frozenset({WebhookEvent.ON, WebhookEvent.REMOVED}))
        await bench.turn(online=False)
        await bench.turn(online=True)
        assert events(await bench.post()) == [("on", "c1")]
        bench.policy.give("urban", "c2")
        assert events(await bench.post()) == [("removed", "c2")]
        assert bench.poster.posts.empty()


@pytest.mark.parametrize("answer", [500, 404, 301, 302, 199, "no answer within 10 s"])
async def test_anything_but_success_is_tried_again_with_a_new_nonce_and_the_same_body(
    answer: int | str,
) -> None:
    async with running() as bench:
        hook, _ = await bench.hook()
        bench.poster.answers = [answer, answer]
        await bench.turn(online=False)
        posts = [await bench.post() for _ in range(3)]
        assert len({post.body for post in posts}) == 1
        assert len({post.headers["X-Gb-Nonce"] for post in posts}) == 3
        await bench.settle()
        status = bench.service.status(hook.hook_id)
        assert (status.delivered, status.failures, status.last_error) == (1, 0, "")


async def test_what_happens_during_an_outage_comes_after_it_in_order_and_together() -> None:
    async with running() as bench:
        hook, _ = await bench.hook()
        bench.poster.answers = ["down"] * 3
        await bench.turn(online=False)
        await bench.turn(online=True)
        await bench.turn(online=False)
        status = bench.service.status(hook.hook_id)
        assert (status.waiting, status.failures > 0, status.last_error) == (3, True, "down")
        assert status.next_try_at is not None
        seen = [await bench.post() for _ in range(5)]
        assert [events(post) for post in seen[3:]] == [
            [("off", "c1")],
            [("on", "c1"), ("off", "c1")],
        ]
        assert [json.loads(post.body)["sequence"] for post in seen[3:]] == [1, 2]


async def test_one_stuck_receiver_holds_up_nobody() -> None:
    async with running() as bench:
        stuck = "http://stuck.example/"
        bench.poster.stuck.add(stuck)
        await bench.hook(stuck)
        await bench.hook()
        await bench.turn(online=False)
        await bench.turn(online=True)
        seen = [await bench.post() for _ in range(3)]
        assert sorted(post.url for post in seen) == [URL, URL, stuck]


async def test_a_full_queue_drops_the_oldest_and_says_so() -> None:
    options = DeliveryOptions(queue=4, batch=10, first_retry=0.05, longest_retry=0.05)
    async with running(options=options) as bench:
        hook, _ = await bench.hook()
        bench.poster.answers = ["down"]
        await bench.turn(online=False)
        for number in range(7):
            await bench.turn(online=number % 2 == 0)
        assert bench.service.status(hook.hook_id).missed == 3
        await bench.post()
        first, second = await bench.post(), await bench.post()
        assert (len(events(first)), json.loads(first.body)["missed"]) == (1, 0)
        assert (len(events(second)), json.loads(second.body)["missed"]) == (4, 3)
        assert events(second)[-1] == ("on", "c1")


async def test_after_long_failure_it_is_disabled_with_its_reason_and_on_record() -> None:
    async with running(options=DeliveryOptions(first_retry=0.005, longest_retry=0.005)) as bench:
        hook, _ = await bench.hook()
        bench.poster.answers = [503] * 1000
        await bench.turn(online=False)
        await bench.post()
        bench.held.clock.advance(timedelta(hours=25).total_seconds())
        async with asyncio.timeout(15):
            while bench.held.webhooks.get(hook.hook_id).enabled:
                await asyncio.sleep(0.005)
        reason = bench.held.webhooks.get(hook.hook_id).reason
        assert "no_success_since 2026-11-21T08:00:00" in reason
        assert "answered 503" in reason
        assert ("disable", f"webhook:{hook.hook_id}") in bench.held.actions
        with pytest.raises(Conflict):
            bench.service.ping(hook.hook_id)
        again = await books(bench.held.documents)
        assert not again.webhooks.get(hook.hook_id).enabled
        bench.poster.answers = []
        changed = await bench.held.webhooks.change(
            hook.hook_id, url=URL, events=ALL, enabled=True, by=BOSS
        )
        assert (changed.enabled, changed.reason) == (True, "")
        bench.service.ping(hook.hook_id)
        async with asyncio.timeout(15):
            while b'"test"' not in (await bench.post()).body:
                pass


async def test_a_success_in_between_begins_the_time_anew() -> None:
    async with running() as bench:
        hook, _ = await bench.hook()
        for online in (False, True):
            bench.poster.answers = ["down"]
            await bench.turn(online=online)
            await bench.post()
            bench.held.clock.advance(timedelta(hours=23).total_seconds())
            await bench.post()
            await bench.settle()
        assert bench.held.webhooks.get(hook.hook_id).enabled


async def test_a_changed_url_takes_over_what_could_not_be_delivered() -> None:
    async with running(options=DeliveryOptions(first_retry=30)) as bench:
        hook, _ = await bench.hook()
        bench.poster.answers = ["down"]
        await bench.turn(online=False)
        await bench.turn(online=True)
        await bench.post()
        moved = "http://moved.example/"
        await bench.held.webhooks.change(hook.hook_id, url=moved, events=ALL, enabled=True, by=BOSS)
        post = await bench.post()
        assert (post.url, events(post)) == (moved, [("off", "c1"), ("on", "c1")])


async def test_a_deleted_webhook_is_silent() -> None:
    async with running(options=DeliveryOptions(first_retry=30)) as bench:
        hook, _ = await bench.hook()
        bench.poster.answers = ["down"]
        await bench.turn(online=False)
        await bench.post()
        await bench.held.webhooks.delete(hook.hook_id, by=BOSS)
        await bench.turn(online=True)
        assert bench.poster.posts.empty()
        assert bench.service.status(hook.hook_id).waiting == 0


async def test_webhooks_work_on_after_a_restart_without_a_flood() -> None:
    async with running() as bench:
        hook, secret = await bench.hook()
    async with running(await books(bench.held.documents)) as again:
        assert again.poster.posts.empty()
        await again.turn(online=False)
        post = await again.post()
        signed = request_signature(
            secret,
            "POST",
            "/hook?token=1",
            post.headers["X-Gb-Timestamp"],
            post.headers["X-Gb-Nonce"],
            post.body,
        )
        assert post.headers["X-Gb-Signature"] == signed
        assert again.held.webhooks.get(hook.hook_id) == hook


async def test_a_department_has_a_few_webhooks_to_allowed_places() -> None:
    held = await books(local=False)
    await held.departments.save("urban", name="", by=BOSS)
    with pytest.raises(Invalid):
        await held.webhooks.create("urban", "http://127.0.0.1/", ALL, by=BOSS)
    with pytest.raises(Invalid):
        await held.webhooks.create("urban", URL, frozenset(), by=BOSS)
    for _ in range(MAX_HOOKS_PER_DEPARTMENT):
        await held.webhooks.create("urban", URL, ALL, by=BOSS)
    with pytest.raises(Conflict):
        await held.webhooks.create("urban", URL, ALL, by=BOSS)
    recorded = repr(held.audit.entries)
    assert "token=1" not in recorded


def owner_notice(held: Bench, *owners: str) -> OwnerNotice:
    channel = held.fleet.channel(A, "c1")
    assert channel is not None
    request = AccessRequest(
        subject=Subject(platform="37130000002000000001", identity="37130000003000000001"),
        action=Action.LIVE,
        channel=channel,
        object_id="c1",
        context=AccessContext(at=held.held.clock.utc_now(), purpose="case", ticket="T-1"),
        via="sip",
    )
    return OwnerNotice(
        access_id="access-1",
        request=request,
        decision=Decision(allowed=True, rule="r1"),
        owners=owners,
        at=held.held.clock.utc_now(),
    )


async def test_an_owner_is_told_who_got_access_and_why_and_others_are_not() -> None:
    async with running() as it:
        await it.hook()
        it.service.owner_notice(owner_notice(it, "police"))
        it.service.owner_notice(owner_notice(it, "police", "urban"))
        event = json.loads((await it.post()).body)["events"][0]
        assert event["event"] == "accessed"
        assert (event["who"], event["action"]) == ("platform:37130000002000000001", "live")
        assert (event["purpose"], event["ticket"], event["rule"]) == ("case", "T-1", "r1")
        assert (event["device_id"], event["channel_id"]) == (A, "c1")
        assert it.poster.posts.empty()


async def test_a_webhook_that_did_not_ask_for_accesses_is_not_told() -> None:
    async with running() as it:
        await it.hook(events=frozenset({WebhookEvent.ON}))
        it.service.owner_notice(owner_notice(it, "urban"))
        await it.settle()
        assert it.poster.posts.empty()


async def test_an_owner_is_told_only_of_what_it_may_see_and_by_the_name_it_sees() -> None:
    async with running() as it:
        await it.hook()
        it.policy.given["urban"] = {}
        it.service.owner_notice(owner_notice(it, "urban"))
        it.policy.given["urban"] = {"c1": {Action.CATALOG}}
        it.policy.obliged[Action.CATALOG] = Obligations(mask_name="某点位")
        it.service.owner_notice(owner_notice(it, "urban"))
        events = json.loads((await it.post()).body)["events"]
        assert [event["name"] for event in events] == ["某点位"]
        assert it.poster.posts.empty()


async def test_nobody_outside_is_told_of_a_secret_channel() -> None:
    async with running() as it:
        await it.hook()
        secret = it.fleet.channel(A, "c1")
        assert secret is not None
        secret.secrecy = 1
        it.service.owner_notice(owner_notice(it, "urban"))
        await it.settle()
        assert it.poster.posts.empty()

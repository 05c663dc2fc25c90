"""Cost of a decision: `python tests/bench/bench_policy.py [--rules 1000] [--channels 100000]`.

A policy of many rules over a county's channels, with platforms, departments, windows, limits and deny rules; the
time of one decision through `AccessControl.decide` with the channel's facts known and unknown, of what a dry run
over all channels takes, and how long a forced stop of 10,000 open streams holds the loop.
"""

import argparse
import asyncio
import gc
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from gateway.app.run import GC_THRESHOLDS
from gateway.domain.device import Channel, ChannelKind
from gateway.domain.policy import AccessContext, AccessRequest, Action, Role, Subject
from gateway.sharing.policy.dryrun import changes, explain, paced, would_see
from gateway.sharing.policy.engine import Engine
from gateway.sharing.policy.load import load_policy
from tests.support.sharing import Office

PLATFORMS = [f"3713{county:02}00002000000001" for county in range(20)]
DEPARTMENTS = [f"department{number}" for number in range(20)]
BOSS = Subject(role=Role.ADMIN.value)


def rule_text(chance: random.Random, number: int) -> str:
    """Write one rule such as people write."""
    deny = number % 10 == 0
    who = (
        f'platforms = ["{chance.choice(PLATFORMS)}"]'
        if chance.random() < 0.5
        else f'departments = ["{chance.choice(DEPARTMENTS)}"]'
    )
    what = chance.choice(
        [
            f'civil_codes = ["3713{chance.randrange(20):02}"]',
            f'civil_codes = ["3713{chance.randrange(20):02}"], point_types = ["{chance.choice("123")}"]',
            f'grassroots = ["{chance.randrange(1, 20):03}"]',
            f'channels = ["371300000013200{chance.randrange(100_000):05}"]',
            f'tags = ["tag{chance.randrange(10)}"]',
        ]
    )
    lines = [
        "[[rule]]",
        f'id = "rule-{number}"',
        f'effect = "{"deny" if deny else "allow"}"',
        f"subjects = {{ {who} }}",
        f"objects = {{ {what} }}",
        'actions = ["catalog", "live", "ptz"]',
    ]
    match number % 4:
        case 1:
            lines.append('context = { windows = ["Mon-Fri 07:00-19:00", "Sat,Sun 08:00-12:00"] }')
        case 2 if not deny:
            lines.append("context = { max_streams = 50, purpose_required = true }")
        case 3 if not deny:
            lines.append("obligations = { sub_stream = true, mask_position = true }")
    return "\n".join(lines) + "\n"


def policy_text(rules: int) -> str:
    """Write a whole policy."""
    chance = random.Random(1)
    tags = "".join(
        f'[[tag]]\nname = "tag{number}"\nobjects = {{ industries = ["{number:02}"] }}\n'
        for number in range(10)
    )
    return "version = 1\n" + tags + "".join(rule_text(chance, n) for n in range(rules))


def channels(count: int) -> list[Channel]:
    """Make a county's channels, 1,000 a device."""
    chance = random.Random(2)
    return [
        Channel(
            device_id=f"37130000001180{number // 1000:06}",
            channel_id=f"371300000013200{number:05}",
            kind=ChannelKind.CAMERA,
            civil_code=f"3713{chance.randrange(20):02}",
            extra={
                "Info.PointType": chance.choice("1239"),
                "Info.GrassrootsCode": f"{chance.randrange(1, 30):03}200",
            },
        )
        for number in range(count)
    ]


def each(name: str, count: int, work: Callable[[int], object]) -> None:
    """Print the mean and the worst of some thousand calls."""
    samples = []
    started = time.perf_counter()
    for number in range(count):
        if number % 50:
            work(number)
        else:
            before = time.perf_counter()
            work(number)
            samples.append(time.perf_counter() - before)
    mean = (time.perf_counter() - started) / count
    p99 = statistics.quantiles(samples, n=100)[98]
    print(f"{name}: {mean * 1e6:.2f} us each, 99 % within {p99 * 1e6:.1f} us")


async def decisions(office: Office, listed: list[Channel], count: int) -> None:
    """Measure single decisions."""
    subjects = [Subject(platform=code) for code in PLATFORMS]
    subjects += [Subject(department=name, key=f"key-{name}") for name in DEPARTMENTS]
    context = AccessContext(at=datetime.now(UTC), zone="government", purpose="case 7")
    decide = office.access.decide
    chance = random.Random(3)
    order = [(chance.choice(subjects), chance.choice(listed)) for _ in range(count)]

    def known(number: int) -> object:
        subject, channel = order[number]
        return decide(subject, Action.LIVE, channel, context)

    for channel in listed:
        office.access.facts(channel)
    each("decision, facts known", count, known)
    allowed = sum(decide(s, Action.LIVE, c, context).allowed for s, c in order)
    print(f"  ({allowed * 100 // count} % of them allowed)")
    strangers = [replace(subjects[n % 20], identity=f"user-{n}") for n in range(5_000)]
    each(
        "decision, an identity never seen before",
        len(strangers),
        lambda n: decide(strangers[n], Action.LIVE, listed[n], context),
    )
    fresh = [replace(channel) for channel in listed[: min(len(listed), 20_000)]]
    each(
        "decision, facts of the channel unknown",
        len(fresh),
        lambda n: decide(subjects[n % 40], Action.LIVE, fresh[n], context),
    )


async def dry_runs(office: Office, listed: list[Channel], text: str) -> None:
    """Measure what goes over all channels."""
    context = AccessContext(at=datetime.now(UTC), zone="government", purpose="case 7")
    engine = office.access.engine
    facts = [office.access.facts(channel) for channel in listed]
    subject = Subject(platform=PLATFORMS[0])
    started = time.perf_counter()
    seen = sum(s.decision.allowed for s in would_see(engine, subject, facts, context))
    print(
        f"would_see over {len(facts):,} channels: {time.perf_counter() - started:.2f} s, {seen} seen"
    )
    started = time.perf_counter()
    worst = last = started
    async for _ in paced(would_see(engine, subject, facts, context)):
        now = time.perf_counter()
        worst, last = max(worst, now - last) if worst != started else now - last, now
    print(f"  paced: {time.perf_counter() - started:.2f} s, longest step {worst * 1e3:.1f} ms")
    other = Engine.of(load_policy(text.replace('"deny"', '"allow"', 5)))
    started = time.perf_counter()
    subjects = [Subject(platform=code) for code in PLATFORMS]
    found = sum(
        len(step)
        for step in changes(
            engine, other, [(who, context) for who in subjects], facts[:5_000], [Action.LIVE]
        )
    )
    spent = time.perf_counter() - started
    print(f"changes, 5,000 channels x 20 subjects: {spent:.2f} s, {found} found")
    started = time.perf_counter()
    told = explain(engine, subject, Action.LIVE, facts[0], context)
    spent = time.perf_counter() - started
    print(f"explain over {len(told.trace):,} rules: {spent * 1e3:.1f} ms")


async def forced_stop(office: Office, listed: list[Channel], streams: int) -> None:
    """Measure how fast everything open is told to stop."""
    await office.apply(
        '[[rule]]\nid = "all"\neffect = "allow"\nsubjects = { outside = true }\nactions = ["live"]\n'
    )
    told: list[float] = []
    for number in range(streams):
        request = AccessRequest(
            subject=Subject(platform=PLATFORMS[number % 20]),
            action=Action.LIVE,
            channel=listed[number],
            object_id=listed[number].channel_id,
            context=AccessContext(at=office.now),
            via="sip",
        )
        office.access.open(request, lambda *_: told.append(time.perf_counter()))
    office.access._now = time.perf_counter
    async with asyncio.TaskGroup() as group:
        running = group.create_task(office.access.run())
        await asyncio.sleep(0)
        started = last = time.perf_counter()
        await office.stops.order(reason="bench", by=BOSS, everything=True)
        worst = time.perf_counter() - started
        while len(told) < streams:
            last = time.perf_counter()
            await asyncio.sleep(0)
            worst = max(worst, time.perf_counter() - last)
        running.cancel()
    print(
        f"forced stop of {streams:,} streams: first told after {(told[0] - started) * 1e3:.1f} ms, "
        f"last after {(told[-1] - started) * 1e3:.0f} ms, loop held {worst * 1e3:.0f} ms at most"
    )


async def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--channels", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=10_000)
    options = parser.parse_args()
    text = policy_text(options.rules)
    started = time.perf_counter()
    policy = load_policy(text)
    loaded = time.perf_counter()
    Engine.of(policy)
    compiled = time.perf_counter()
    print(
        f"{options.rules:,} rules, {len(text) / 1024:.0f} KiB: read in {loaded - started:.2f} s, "
        f"compiled in {(compiled - loaded) * 1e3:.1f} ms"
    )
    office = await Office().load()
    await office.policies.apply(text, BOSS)
    listed = channels(options.channels)
    # As the gateway does once it has loaded everything.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    await decisions(office, listed, options.decisions)
    await dry_runs(office, listed, text)
    await forced_stop(office, listed, min(options.streams, options.channels))


if __name__ == "__main__":
    asyncio.run(main())

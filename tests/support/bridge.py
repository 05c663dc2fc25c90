"""Bridges over real live sessions; media, SIP and policy are scripted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.cascade.bridge import Bridges
from gateway.cascade.ports import UpperRequester
from gateway.domain.bridge import BridgeRecord
from gateway.domain.device import Channel
from gateway.domain.errors import Unavailable
from gateway.domain.platform import PlatformConfig
from gateway.domain.policy import Subject
from gateway.sessions.live import LiveSessions
from gateway.sessions.ports import SessionSettings
from gateway.sharing.identity import IdentityGate
from gateway.sharing.policy.model import Policy
from gb28181.aio.clock import monotonic
from gb28181.aio.tasks import TaskScope
from gb28181.flow.identity import MonitorIdentity
from gb28181.sdp.ssrc import SsrcPool
from tests.support.cascade import UPPER, FakeCall, FakeLeg, FakeLink, OpenPolicy, fixed_now
from tests.support.sessions import (
    ScriptedDirectory,
    ScriptedMedia,
    ScriptedSender,
    ScriptedSignaller,
    device,
)

__all__ = ["CHANNEL", "DEVICE", "OWN", "SHARED", "House", "house", "offer", "until"]


OWN = "37132600002000000001"
DEVICE = "34020000001180000001"
CHANNEL = "34020000001320000001"
SHARED = "37132600001320000009"


def offer(transport: str = "RTP/AVP", *, setup: str = "", y: str = "y=0100000001\r\n") -> bytes:
    lines = f"a=setup:{setup}\r\na=connection:new\r\n" if setup else ""
    return (
        f"v=0\r\no={UPPER} 0 0 IN IP4 127.0.0.1\r\ns=Play\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video 40000 {transport} 96 98\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\n"
        f"a=rtpmap:98 H264/90000\r\n{lines}{y}"
    ).encode()


class House:
    """Bridges over real live sessions; media, SIP and policy are scripted."""

    def __init__(self, scope: TaskScope, config: PlatformConfig) -> None:
        self.signaller = ScriptedSignaller()
        self.media = ScriptedMedia()
        self.access = OpenPolicy()
        self.link = FakeLink(config)
        self.ssrcs = SsrcPool(OWN, quarantine=0.0)
        self.directory = ScriptedDirectory([device()], [CHANNEL])
        self.key_frames: list[tuple[str, str]] = []
        ids = iter(range(1, 100_000))
        self.live = LiveSessions(
            devices=self.directory,
            signaller=self.signaller,
            media=self.media,
            ssrcs=self.ssrcs,
            settings=SessionSettings(platform_id=OWN, no_readers_grace=0.1, close_timeout=1.0),
            scope=scope,
            now=monotonic,
            wall=fixed_now,
            new_id=lambda: f"s{next(ids)}",
        )
        self.bridges = Bridges(
            own_id=OWN,
            identities=IdentityGate(OWN, Policy),
            sources=self.live,
            access=self.access,
            ssrcs=self.ssrcs,
            views=lambda platform_id: self if platform_id == UPPER else None,
            local_host=lambda route: route.local_host,
            scope=scope,
            now=monotonic,
            wall=fixed_now,
            new_id=lambda: f"b{next(ids)}",
            want_key_frame=self.want_key_frame,
        )

    async def want_key_frame(self, device_id: str, channel_id: str) -> None:
        self.key_frames.append((device_id, channel_id))
        raise Unavailable("device_silent", "no answer")

    def resolve(self, shared_id: str) -> Channel | None:
        return self.directory.channel(DEVICE, CHANNEL) if shared_id == SHARED else None

    def why_unknown(self, shared_id: str) -> tuple[str, str]:
        return "not_shared", "never given"

    def invite(
        self, sdp: bytes, *, target: str = SHARED, identity: MonitorIdentity | None = None
    ) -> FakeCall:
        call = FakeCall(target, sdp)
        self.take(call, identity)
        return call

    def take(self, call: FakeCall, identity: MonitorIdentity | None = None) -> None:
        requester = UpperRequester(
            platform_id=UPPER,
            subject=Subject(platform=UPPER),
            source="127.0.0.1",
            identity=identity,
        )
        self.bridges.invite(self.link, call, requester)

    async def accepted(self, call: FakeCall) -> ScriptedSender:
        await until(lambda: call.status is not None)
        assert call.status == 200
        return self.media.relays[-1]

    async def established(
        self, sdp: bytes, *, ack: bytes = b""
    ) -> tuple[FakeCall, FakeLeg, ScriptedSender]:
        """A call that was accepted and acknowledged."""
        call = self.invite(sdp)
        sender = await self.accepted(call)
        assert call.leg is not None
        call.leg.ack(ack)
        return call, call.leg, sender

    async def answered(self, sdp: bytes) -> int | None:
        """The answer to an INVITE that comes to nothing."""
        call = self.invite(sdp)
        await self.over()
        return call.status

    async def over(self) -> BridgeRecord:
        await until(lambda: self.bridges.running_count == 0)
        return self.bridges.bridges()[0]

    def held(self) -> dict[str, int]:
        held = {
            "bridges": self.bridges.running_count,
            "sessions": self.live.running_count,
            "ssrcs": self.ssrcs.in_use,
            "receivers": sum(not item.closed for item in self.media.receivers),
            "relays": len(self.media.senders()),
            "accesses": len(list(self.access.accesses())),
            "dialogs": sum(not dialog.byes for dialog in self.signaller.dialogs),
        }
        return {name: count for name, count in held.items() if count}


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def house(config: PlatformConfig | None = None) -> AsyncIterator[House]:
    crashes: list[str] = []
    async with TaskScope(lambda name, exc: crashes.append(f"{name}: {exc!r}")) as scope:
        made = House(scope, config or PlatformConfig(platform_id=UPPER))
        yield made
        await made.bridges.close()
        await made.live.close()
    assert crashes == []
    assert made.held() == {}

"""The B2BUA: an upper platform's INVITE bridged to our session with the camera (protocol 2.11, 8.2, 8.9).

Each bridge is one task that owns the upper's dialog, a relay of the camera's stream and an SSRC. Callbacks of
SIP, media and policy only leave the first reason to end and wake it; whatever happens, the task gives all three
back. The camera's own session is shared by all bridges and viewers and ends after its last one.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from gateway.cascade.bridge_call import BridgedCall
from gateway.cascade.bridge_ports import ChannelResolver, RelaySource
from gateway.cascade.ports import (
    IdentityPath,
    IncomingCall,
    UpperLink,
    UpperRequester,
)
from gateway.domain.bridge import BridgeEnd, BridgeRecord
from gateway.domain.device import DeviceAddress, MediaTransport
from gateway.domain.errors import GatewayError
from gateway.domain.policy import AccessControl
from gb28181.aio.tasks import TaskScope
from gb28181.sdp.ssrc import SsrcPool

__all__ = ["Bridges"]

log = structlog.get_logger()

HISTORY = 1000
"""Ended bridges kept for diagnosis."""
CLOSE_WAIT = 5.0
"""Seconds for all BYEs at the end."""


class Bridges:
    """All streams given to upper platforms.

    Args:
        own_id: Our code, put into X-RoutePath.
        identities: Puts our code in front of identities that go on.
        sources: The live sessions.
        access: The sharing policy.
        ssrcs: SSRCs of our own domain.
        views: Finds a platform's catalogue.
        local_host: Address to write into SDP towards where a platform is reached.
        scope: Owner of the bridges' tasks.
        now: Monotonic seconds.
        wall: Wall clock, timezone-aware.
        new_id: Makes identifiers.
        late_offer_transport: What is offered to an INVITE without SDP.
        want_key_frame: Asks a camera (device id, channel id) for a key frame; may fail.
    """

    def __init__(
        self,
        *,
        own_id: str,
        identities: IdentityPath,
        sources: RelaySource,
        access: AccessControl,
        ssrcs: SsrcPool,
        views: Callable[[str], ChannelResolver | None],
        local_host: Callable[[DeviceAddress], str],
        scope: TaskScope,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        new_id: Callable[[], str],
        late_offer_transport: MediaTransport = MediaTransport.UDP,
        want_key_frame: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        self._want_key_frame = want_key_frame
        self.own_id = own_id
        self.identities = identities
        self.sources = sources
        self.access = access
        self.views = views
        self.local_host = local_host
        self.now = now
        self.wall = wall
        self.late_offer_transport = late_offer_transport
        self._pool = ssrcs
        self._scope = scope
        self._new_id = new_id
        self._running: dict[str, BridgedCall] = {}
        self._history: OrderedDict[str, BridgeRecord] = OrderedDict()
        self._closed = False

    # Reading

    def bridges(self) -> list[BridgeRecord]:
        """Running ones, then ended ones, newest first."""
        return [
            *(item.record for item in self._running.values()),
            *reversed(self._history.values()),
        ]

    @property
    def running_count(self) -> int:
        """Bridges that hold something."""
        return len(self._running)

    def count_of(self, platform_id: str) -> int:
        """How many a platform has."""
        return sum(item.record.platform_id == platform_id for item in self._running.values())

    # What happens

    def invite(self, link: UpperLink, call: IncomingCall, requester: UpperRequester) -> None:
        """Take an INVITE of an upper platform that has been identified; answers it sooner or later."""
        if self._closed:
            call.refuse(503, headers=[("Retry-After", "60")])
            return
        record = BridgeRecord(
            bridge_id=self._new_id(),
            platform_id=link.config.platform_id,
            shared_id=call.target,
            created_at=self.wall(),
        )
        bridge = BridgedCall(self, record, link, call, requester)
        self._running[record.bridge_id] = bridge
        self._scope.spawn(self._live(bridge), name=f"bridge:{record.bridge_id}")

    def platform_offline(self, platform_id: str, detail: str) -> None:
        """End everything a platform watches: its link is gone (protocol 5.10 b)."""
        for bridge in list(self._running.values()):
            if bridge.record.platform_id == platform_id:
                bridge.finish(BridgeEnd.UPPER_LOST, detail)

    def stop(self, bridge_id: str, detail: str) -> bool:
        """End one; False if it does not run."""
        bridge = self._running.get(bridge_id)
        if bridge is None:
            return False
        bridge.finish(BridgeEnd.STOPPED, detail)
        return True

    async def close(self) -> None:
        """BYE every upper and give everything back."""
        self._closed = True
        running = list(self._running.values())
        for bridge in running:
            bridge.finish(BridgeEnd.SHUTDOWN, "The gateway is stopping")
        try:
            async with asyncio.timeout(CLOSE_WAIT):
                for bridge in running:
                    await bridge.finished.wait()
        except TimeoutError:
            log.warning("bridges_closed_late", bridges=len(self._running), waited_s=CLOSE_WAIT)

    # SSRCs: the upper's own number where it is wanted and free, else one of ours (protocol 8.6)

    def lease_ssrc(self, wanted: int | None) -> int:
        """Return an SSRC no other stream to an upper uses now.

        Raises:
            Gb28181Error: all 10,000 are in use.
        """
        now = self.now()
        if wanted is not None and self._pool.claim(wanted, now):
            return wanted
        return self._pool.lease(now)

    def release_ssrc(self, ssrc: int) -> None:
        """Give an SSRC back."""
        self._pool.release(ssrc, self.now())

    def ask_key_frame(self, record: BridgeRecord) -> None:
        """Ask the camera of a bridge for a key frame: a relay that joins a running stream has none to begin with."""
        if self._want_key_frame is not None:
            self._scope.spawn(self._ask(record), name=f"bridge-key-frame:{record.bridge_id}")

    async def _ask(self, record: BridgeRecord) -> None:
        assert self._want_key_frame is not None
        try:
            await self._want_key_frame(record.device_id, record.channel_id)
        except GatewayError as exc:
            log.debug("key_frame_not_sent", channel_id=record.channel_id, detail=exc.detail)

    async def _live(self, bridge: BridgedCall) -> None:
        record = bridge.record
        try:
            await bridge.run()
        finally:
            self._running.pop(record.bridge_id, None)
            record.ended_at = self.wall()
            self._history[record.bridge_id] = record
            while len(self._history) > HISTORY:
                self._history.popitem(last=False)
            bridge.finished.set()

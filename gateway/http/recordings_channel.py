"""Who may do what with the recordings of a channel."""

import re
from collections.abc import Sequence

from aiohttp import web

from gateway.domain.device import Channel, ChannelKind
from gateway.domain.errors import NotFound
from gateway.domain.policy import AccessContext, Action
from gateway.domain.recording import ChannelUsage
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import Principal, context_of, principal_of
from gateway.http.visible import masked, sliced

__all__ = ["RecordedChannels"]

_CODE = re.compile(r"[A-Za-z0-9_.-]{2,128}")
"""Codes that could ever have been recorded."""


class RecordedChannels:
    """Finds channels by what was recorded of them, and asks the sharing policy.

    Args:
        deps: Clock.
        gate: Asks the sharing policy.
    """

    def __init__(self, deps: HttpDeps, gate: ChannelGate) -> None:
        self._deps = deps
        self._gate = gate

    def find(
        self, request: web.Request, device_id: str, channel_id: str, action: Action
    ) -> tuple[Principal, Channel, AccessContext]:
        """Return who asks, and the channel; one that is gone still has its recordings for our own people.

        Raises:
            NotFound: `channel_unknown`: of nothing that is theirs to know.
        """
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        try:
            channel = self._gate.find(principal, device_id, channel_id, action, context)
        except NotFound:
            if not (principal.is_local and _CODE.fullmatch(device_id + channel_id)):
                raise
            channel = Channel(
                device_id=device_id, channel_id=channel_id, kind=ChannelKind.CAMERA, online=False
            )
        return principal, channel, context

    def check(
        self, request: web.Request, device_id: str, channel_id: str, action: Action, what: str
    ) -> Channel:
        """Return a channel whose recordings they may look at; on record.

        Raises:
            NotFound: `channel_unknown`.
            Forbidden: denied.
        """
        principal, channel, context = self.find(request, device_id, channel_id, action)
        self._gate.check(principal, action, channel, context, what)
        return channel

    def known(self, request: web.Request, device_id: str, channel_id: str) -> Channel:
        """Return a channel of which something new is to be recorded.

        Raises:
            NotFound: `channel_unknown`, `device_unknown`.
        """
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        return self._gate.find(principal, device_id, channel_id, Action.CONFIG, context)

    async def kept(
        self, request: web.Request, usages: Sequence[ChannelUsage]
    ) -> list[ChannelUsage]:
        """Return what is kept of channels whose recordings they may look at; of those that are gone for our own people.

        Nothing is recorded; the loop gets its turn in between.
        """
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)

        def allowed(usage: ChannelUsage) -> bool:
            channel = self._deps.devices.channel(usage.device_id, usage.channel_id)
            if channel is None:
                return principal.is_local
            return all(
                self._gate.allows(principal, action, channel, context)
                for action in (Action.CATALOG, Action.PLAYBACK)
            )

        return await sliced(usages, allowed)

    def name(self, request: web.Request, usage: ChannelUsage) -> str | None:
        """Return how one of what `kept` gave is called for them; None if it was hidden from them meanwhile."""
        principal = principal_of(request)
        channel = self._deps.devices.channel(usage.device_id, usage.channel_id)
        if principal.is_local:
            return "" if channel is None else channel.name
        if channel is None:
            return None
        context = context_of(principal, self._deps.wall, request)
        decision = self._gate.seen(principal, channel, context)
        return masked(channel, decision.obligations).name if decision.allowed else None

    def look(self, request: web.Request, shown: int, total: int) -> None:
        """Put on record that they look at the list.

        Raises:
            Forbidden: nobody outside gets anything while it cannot be recorded.
        """
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        self._gate.look(principal, "recordings/channels", context, f"{shown} of {total} items")

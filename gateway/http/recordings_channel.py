"""Who may do what with the recordings of a channel."""

import re

from aiohttp import web

from gateway.domain.device import Channel, ChannelKind
from gateway.domain.errors import NotFound
from gateway.domain.policy import AccessContext, Action
from gateway.http.deps import HttpDeps
from gateway.http.gate import ChannelGate
from gateway.http.principal import Principal, context_of, principal_of

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

    def allows(self, request: web.Request, device_id: str, channel_id: str) -> Channel | None:
        """Return a channel whose recordings they may look at, None if they may not; nothing is recorded."""
        principal = principal_of(request)
        context = context_of(principal, self._deps.wall, request)
        channel = self._deps.devices.channel(device_id, channel_id)
        if channel is None:
            gone = Channel(
                device_id=device_id, channel_id=channel_id, kind=ChannelKind.CAMERA, online=False
            )
            return gone if principal.is_local else None
        for action in (Action.CATALOG, Action.PLAYBACK):
            if not self._gate.allows(principal, action, channel, context):
                return None
        return channel

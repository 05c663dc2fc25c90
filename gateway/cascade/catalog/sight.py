"""What a platform may see at this very moment, whatever was published: policies change faster than catalogues."""

from collections.abc import Callable
from typing import Final

from gateway.cascade.catalog.codes import CodeTable
from gateway.cascade.catalog.forest import Forest
from gateway.cascade.catalog.item import Placed, Rank
from gateway.cascade.catalog.node import Verdict, verdict_of
from gateway.cascade.ports import ChannelDirectory
from gateway.domain.device import Channel
from gateway.domain.policy import Decision

__all__ = ["Sight"]

_NEVER_GIVEN: Final = "not_shared", "This platform was never given that code"


class Sight:
    """Leads from codes to channels.

    Args:
        directory: Devices and channels.
        codes: Which codes the platform was given.
        forest: What is published.
        decide: The policy, asked about the platform's seeing a channel.
    """

    def __init__(
        self,
        *,
        directory: ChannelDirectory,
        codes: CodeTable,
        forest: Forest,
        decide: Callable[[Channel], Decision],
    ) -> None:
        self._directory = directory
        self._codes = codes
        self._forest = forest
        self._decide = decide

    def resolve(self, shared_id: str) -> Channel | None:
        """Return the channel under a code; None for one never given, or that may not be seen."""
        channel = self._given(shared_id)
        return channel if channel is not None and not self._hidden(channel) else None

    def why_unknown(self, shared_id: str) -> tuple[str, str]:
        """Return why `resolve` gives nothing: a reason and a sentence."""
        channel = self._given(shared_id)
        reason = "" if channel is None else self._hidden(channel)
        if channel is None or not reason:
            return _NEVER_GIVEN
        return reason, f"It may not see {channel.device_id}/{channel.channel_id} any more: {reason}"

    def sees(self, placed: Placed) -> bool:
        """Whether something published may still be seen."""
        if not placed.channel.device_id or placed.rank is Rank.DIVISION:
            return True
        return not self._hidden(self._given(placed.code) or placed.channel)

    def _given(self, shared_id: str) -> Channel | None:
        key = self._codes.find(shared_id)
        if key is None:
            return None
        channel = self._directory.channel(*key)
        if channel is None and key[0] == key[1]:
            node = self._forest.node(*key)
            return node.channel if node is not None else None
        return channel

    def _hidden(self, channel: Channel) -> str:
        """Return the reason why a channel may not be seen; empty if it may."""
        if channel.secrecy:
            return "secrecy"
        decision = self._decide(channel)
        verdict = verdict_of(channel, decision)
        if verdict is Verdict.NEEDED:
            # Above something that may be seen, it is seen as well.
            node = self._forest.node(channel.device_id, channel.channel_id)
            if node is not None and node.placed is not None and node.rank is not Rank.CHANNEL:
                return ""
        return "" if verdict is Verdict.SHOWN else decision.reason

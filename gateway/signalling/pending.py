"""Business answers that somebody waits for, matched by (device, CmdType, SN) as protocol 2.3 says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

__all__ = ["PendingAnswers"]

Fields = dict[str, str]


class PendingAnswers:
    """Answers that come as MESSAGEs of their own; each waiter sets its own deadline."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str, int], asyncio.Future[Fields]] = {}
        self._last_sn: dict[str, int] = {}

    def next_sn(self, device_id: str) -> int:
        """The next SN towards a device: 1 to 2**31 - 1, then 1 again (some keep it in 32 bits)."""
        sn = self._last_sn.get(device_id, 0) % 0x7FFFFFFF + 1
        self._last_sn[device_id] = sn
        return sn

    @asynccontextmanager
    async def expect(
        self, device_id: str, cmd_type: str, sn: int
    ) -> AsyncIterator[Callable[[float], Awaitable[Fields]]]:
        """Listen for an answer before the query goes out; the value waits for it with a timeout.

        The waiter raises TimeoutError when no answer came within its seconds.
        """
        future: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()
        key = (device_id, cmd_type.lower(), sn)
        self._waiting[key] = future

        async def answer(timeout: float) -> Fields:
            async with asyncio.timeout(timeout):
                return await future

        try:
            yield answer
        finally:
            self._waiting.pop(key, None)

    def resolve(self, device_id: str, cmd_type: str, sn: int, answer: Fields) -> bool:
        """Hand over an answer; False when nobody waits for it."""
        future = self._waiting.get((device_id, cmd_type.lower(), sn))
        if future is None or future.done():
            return False
        future.set_result(answer)
        return True

    def forget(self, device_id: str) -> None:
        """Drop the counter of a device that was removed."""
        self._last_sn.pop(device_id, None)

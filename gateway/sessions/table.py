"""Which sessions run, and the records of those that ended last."""

from collections import OrderedDict

from gateway.domain.errors import NotFound
from gateway.domain.session import SessionRecord, SessionState
from gateway.sessions.session import LiveSession

__all__ = ["SessionTable"]


class SessionTable:
    """Running sessions, at most one per stream, and a bounded history.

    Args:
        history: Records of ended sessions kept; the oldest go first.
    """

    def __init__(self, history: int) -> None:
        self._kept = history
        self._running: dict[str, LiveSession] = {}
        self._history: OrderedDict[str, SessionRecord] = OrderedDict()

    def __len__(self) -> int:
        """Sessions that run."""
        return len(self._running)

    def running(self) -> list[LiveSession]:
        """Return all that run, oldest first."""
        return list(self._running.values())

    def of_device(self, device_id: str) -> list[LiveSession]:
        """Return those of a device."""
        return [item for item in self._running.values() if item.record.device_id == device_id]

    def inviting(self, device_id: str) -> int:
        """Return how many INVITEs to a device are unanswered."""
        return sum(
            item.record.state is SessionState.INVITING and not item.record.foreign
            for item in self.of_device(device_id)
        )

    def find(self, stream_id: str) -> LiveSession | None:
        """Return the one of a stream."""
        return self._running.get(stream_id)

    def records(self) -> list[SessionRecord]:
        """Return running sessions, then ended ones, newest first."""
        live = [session.record for session in self._running.values()]
        return [*live, *reversed(self._history.values())]

    def get(self, session_id: str) -> SessionRecord:
        """Return one session's record.

        Raises:
            NotFound: `session_unknown`.
        """
        found = self._history.get(session_id)
        if found is not None:
            return found
        for session in self._running.values():
            if session.record.session_id == session_id:
                return session.record
        raise NotFound(
            "session_unknown",
            f"No session {session_id} runs, nor is it among the last {self._kept}",
        )

    def add(self, session: LiveSession) -> None:
        """Note that a session runs."""
        self._running[session.record.stream_id] = session

    def end(self, session: LiveSession) -> None:
        """Note that a session is over: its stream may be asked for anew."""
        record = session.record
        self._running.pop(record.stream_id, None)
        self._history[record.session_id] = record
        while len(self._history) > self._kept:
            self._history.popitem(last=False)

"""Lets players in and starts their streams."""

from collections.abc import Callable

from gateway.domain.errors import GatewayError, Unauthorized
from gateway.domain.rtp_out import RtpPublisher
from gateway.domain.viewing import StreamDoor, StreamVisit
from gateway.rtsp.digest import DigestOutcome, RtspDigest
from gateway.rtsp.event import OpenStream
from gateway.rtsp.message import Header, RtspResponse
from gateway.rtsp.options import RtspOptions
from gateway.rtsp.ports import StreamSessions
from gateway.rtsp.status import refusal_of
from gateway.rtsp.watch import Watch

__all__ = ["OpenRefused", "StreamOpener"]

KIND = "rtsp"
"""Face and format in counts, logs and records."""


class OpenRefused(Exception):
    """A stream is not opened; carries the answer."""

    def __init__(self, response: RtspResponse) -> None:
        super().__init__(response.status)
        self.response = response


class StreamOpener:
    """Goes with a player from the credential to the first tracks.

    Args:
        door: Tells who it is.
        sessions: Starts cameras.
        outputs: Gives streams as RTP.
        digest: Challenges and checks.
        options: Waits.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        door: StreamDoor,
        sessions: StreamSessions,
        outputs: RtpPublisher,
        digest: RtspDigest,
        options: RtspOptions,
        clock: Callable[[], float],
    ) -> None:
        self._door = door
        self._sessions = sessions
        self._outputs = outputs
        self._digest = digest
        self._options = options
        self._clock = clock

    async def open(
        self,
        event: OpenStream,
        *,
        source: str,
        connection: int,
        on_end: Callable[[str, str], None],
    ) -> Watch:
        """Return a stream whose tracks are known, counted and on record; whoever gets it must release it.

        Args:
            event: What the player asks for.
            source: Host it comes from.
            connection: Number of its connection.
            on_end: Called with (code, words) when the stream is over; not for what is raised here.

        Raises:
            OpenRefused: with what is to be answered.
        """
        visit = self._visit(event, source, connection)
        try:
            return await self._watch(event, visit, on_end)
        except GatewayError as exc:
            raise self._refused(exc, event, source, outside=not visit.is_local) from exc

    async def _watch(
        self, event: OpenStream, visit: StreamVisit, on_end: Callable[[str, str], None]
    ) -> Watch:
        address = event.address
        channel = visit.find(address.device_id, address.channel_id)
        opened = False

        def ended(code: str, detail: str) -> None:
            if opened:
                on_end(code, detail)

        watch = Watch(is_local=visit.is_local, on_end=ended, clock=self._clock)
        entry = visit.enter(channel, via=KIND, format=KIND, stop=watch.forbid)
        watch.entry = entry
        code, detail = "viewer_left", ""
        try:
            _, watch.viewer = await self._sessions.join(
                channel.device_id,
                channel.channel_id,
                lambda record: self._outputs.attach(record.stream_id, watch, KIND),
                stream=entry.stream,
                origin=entry.origin,
            )
            await watch.ready(self._options.output_timeout)
            opened = True
        except GatewayError as exc:
            code, detail = exc.code, exc.detail
            raise
        finally:
            if not opened:
                watch.release(code, detail)
        return watch

    # Who it is

    def _visit(self, event: OpenStream, source: str, connection: int) -> StreamVisit:
        try:
            if event.address.token:
                return self._door.by_token(event.address.token, source)
            return self._by_digest(event, source, connection)
        except GatewayError as exc:
            raise self._refused(exc, event, source, outside=False) from exc

    def _by_digest(self, event: OpenStream, source: str, connection: int) -> StreamVisit:
        if event.authorization is None:
            raise _NotProven(
                "credential_missing",
                "Send ?token= of POST .../play, or the id and the secret of an API key as name and password",
                harmless=True,
            )
        checked = self._digest.check(
            event.authorization,
            event.method,
            event.url,
            source=source,
            connection=connection,
            now=self._clock(),
        )
        match checked.outcome:
            case DigestOutcome.OK:
                return self._door.by_name(checked.name, source)
            case DigestOutcome.STALE:
                detail = "The nonce is used or has expired; try again with this one"
                raise _NotProven(
                    "nonce_stale", detail, claimed=checked.name, harmless=True, stale=True
                )
            case DigestOutcome.WRONG:
                detail = "Name or password is wrong: expected id and secret of an API key"
                raise _NotProven("credential_wrong", detail, claimed=checked.name)
            case DigestOutcome.MALFORMED:
                detail = "Expected Authorization: Digest with username, realm, nonce, uri, response"
                raise _NotProven("invalid_credential", detail, claimed=checked.name)

    def _refused(
        self, error: GatewayError, event: OpenStream, source: str, *, outside: bool
    ) -> OpenRefused:
        claim = error if isinstance(error, _NotProven) else None
        if error.status == 401 and (claim is None or not claim.harmless):
            device, channel = event.address.stream
            error = self._door.refused(
                error,
                source=source,
                claimed=claim.claimed if claim is not None else "",
                what=f"{event.method} /live/{f'{device}/' if device else ''}{channel}",
            )
        headers: tuple[Header, ...] = ()
        if error.status == 401:
            stale = claim is not None and claim.stale
            headers = tuple(self._digest.challenge(source, self._clock(), stale=stale))
        words = self._door.words(error, outside=outside)
        return OpenRefused(refusal_of(error, words, headers=headers))


class _NotProven(Unauthorized):
    def __init__(
        self,
        code: str,
        detail: str,
        *,
        claimed: str = "",
        harmless: bool = False,
        stale: bool = False,
    ) -> None:
        super().__init__(code, detail)
        self.claimed = claimed
        self.harmless = harmless
        """Whether it is how every log-in begins, and nothing to count."""
        self.stale = stale

"""A simulated device: registers, lives, answers queries, obeys controls, sends media when invited."""

import asyncio
import contextlib
import random
import secrets
import ssl
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from gateway.simulator.answer import DeviceAnswers
from gateway.simulator.call import DeviceCalls
from gateway.simulator.control import DeviceControls, ReceivedControl
from gateway.simulator.encoder import EncoderPool
from gateway.simulator.mail import DeviceMail
from gateway.simulator.options import SimulatorOptions
from gateway.simulator.presence import PRIVATE_ADDRESS, DevicePresence
from gateway.simulator.quirk import Quirk
from gateway.simulator.roster import Roster
from gateway.simulator.scene import SimulatedChannel, build_channels, device_id_of, device_name_of
from gateway.simulator.session import DeviceSession
from gateway.simulator.subscription import DeviceSubscriptions
from gb28181.aio.clock import monotonic, utc_now
from gb28181.aio.driver import IncomingRequest, SipDriver
from gb28181.aio.tasks import TaskScope
from gb28181.manscdp.alarm import AlarmNotify
from gb28181.manscdp.control import DeviceControl
from gb28181.manscdp.notify import CatalogEvent
from gb28181.manscdp.response import Response as Answer
from gb28181.sip.message import Response

__all__ = ["DeviceEvent", "Reporter", "SimulatedDevice"]

_USER_AGENT = "GB28181 simulator"
_HANG_UP_TIMEOUT = 1.0
_DEVICE_ALARM = 2
"""Alarm method of a device's own alarm inputs."""


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something that happened to a simulated device, for progress shown to people."""

    device_id: str
    what: str
    """`registered`, `register_failed`, `offline`, `logged_out`, `failed`, `rebooting`; `query_answered`,
    `answer_lost`, `message_unreadable`; `subscribed`, `subscription_refreshed`, `subscription_ended`,
    `notify_lost`; `invited`, `session_started`, `session_ended`; `controlled`; `crashed`."""
    detail: str


Reporter = Callable[[DeviceEvent], None]


class SimulatedDevice:
    """One device with its own sockets, channels and sessions.

    Args:
        options: What to be.
        index: Number among the devices, from 0.
        server: Address of the platform.
        local_host: Own address.
        pool: Encoders shared with the other devices.
        scope: Owner of the device's tasks.
        report: Told what happens.
        tls: For TLS signalling.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        index: int,
        *,
        server: tuple[str, int],
        local_host: str,
        pool: EncoderPool,
        scope: TaskScope,
        report: Reporter,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.device_id = device_id_of(options, index)
        self.name = device_name_of(options, index)
        self.roster = Roster(build_channels(options, index))
        """Its channels, to be changed by whoever wants to see what follows."""
        self.roster.on_change = self._channel_changed
        self._options = options
        self._scope = scope
        self._report = report
        self._random = random.Random(f"{options.seed}/{self.device_id}")  # noqa: S311 - a test device
        self._is_down = False
        self._alarm_sn = 0
        self.controller = DeviceControls(
            options,
            self.device_id,
            self.roster,
            now=monotonic,
            key_frame=self._send_key_frame,
            moved=self._show_motion,
            reboot=lambda: self._spawn(self._reboot(), "reboot"),
        )
        """What it was told to do, and the state that came of it."""
        self._answers = DeviceAnswers(options, self.device_id, self.name, self.channels, self._obey)
        self._presence = DevicePresence(
            options,
            self.device_id,
            server=server,
            local_host=local_host,
            tls=tls,
            new_fraction=self._random.random,
            keepalive=self._keepalive,
            spawn=self._spawn,
            tell=self._tell,
        )
        self._mail = DeviceMail(
            options,
            self.device_id,
            self._answers,
            route=lambda: self._presence.route,
            spawn=self._spawn,
            tell=self._tell,
        )
        self.subscriptions = DeviceSubscriptions(
            options,
            self.device_id,
            self.roster,
            write=self._answers.write,
            spawn=self._spawn,
            tell=self._tell,
            send_outside=self._mail.send_notify,
        )
        """Who subscribed to it."""
        self._calls = DeviceCalls(
            options,
            self.roster,
            pool=pool,
            local_host=local_host,
            new_random=self._random.randrange,
            spawn=self._spawn,
            tell=self._tell,
            view=self.controller.motors.get,
        )

    @property
    def channels(self) -> list[SimulatedChannel]:
        """What its catalogue lists, cameras and others."""
        return self.roster.channels

    @property
    def controls(self) -> list[ReceivedControl]:
        """The controls that came, the latest last; at most 1,000."""
        return list(self.controller.log)

    @property
    def registered(self) -> bool:
        """Whether the device holds a registration as far as it knows."""
        return self._presence.registered

    @property
    def registrations(self) -> int:
        """Times the device became on-line."""
        return self._presence.registrations

    @property
    def sessions(self) -> Mapping[str, DeviceSession]:
        """Running sessions by channel id; that of a sub stream by id and `/1`."""
        return self._calls.sessions

    @property
    def invites_received(self) -> int:
        """INVITEs that came, refused ones included."""
        return self._calls.invites_received

    @property
    def sent_packets(self) -> int:
        """RTP packets sent since the start."""
        return self._calls.sent_packets

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Address and port of the device's signalling; None before it has any."""
        flow = self._presence.flow
        return None if flow is None else flow.local

    async def run(self) -> None:
        """Live until `stop` has done its work or the task is cancelled."""
        if self._presence.stopped.is_set():
            return
        private = self._options.has(Quirk.CONTACT_PRIVATE)
        driver = SipDriver(
            on_request=self._receive_request,
            user_agent=_USER_AGENT,
            new_token=_new_token,
            on_crash=self._crashed,
            methods=("MESSAGE", "INFO", "SUBSCRIBE"),
            advertise=PRIVATE_ADDRESS if private else None,
        )
        self._calls.driver = driver
        driver.on_connection_lost = self._connection_lost
        try:
            await self._presence.run(driver)
        except OSError as error:
            self._tell("failed", f"no local socket: {error}")
        finally:
            self._presence.stopped.set()
            self.subscriptions.forget_all()
            self._calls.end_all("device stopped")
            await driver.close()

    async def stop(self) -> None:
        """Hang up, log out and end `run`; bounded in time, idempotent."""
        if self._presence.driver is None:
            self._presence.stopped.set()
            return
        self._calls.end_all("device stopped")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HANG_UP_TIMEOUT):
                await self._calls.wait_idle()
        await self._presence.log_out()

    async def logout(self) -> None:
        """Log out and stay away."""
        await self.stop()

    def reregister(self) -> None:
        """Register anew as after a reboot: with a new Call-ID."""
        self._presence.register()

    def refresh(self) -> None:
        """Refresh the registration now."""
        self._presence.refresh()

    def send_keepalive(self) -> None:
        """Send a keepalive now."""
        self._presence.send_keepalive()

    def drop_connection(self) -> None:
        """Break the signalling connection (TCP and TLS) without a word."""
        self._presence.drop_connection()

    # What happens at the site, as tests and demos wish it.

    def set_channel_status(self, channel_id: str, online: bool) -> None:  # noqa: FBT001 - reads as said
        """Let a channel fail or work again; whoever subscribed to the catalogue is notified."""
        self.roster.set_status(channel_id, online=online)

    def add_channel(self, channel: SimulatedChannel) -> None:
        """List one more channel; whoever subscribed to the catalogue is notified."""
        self.roster.add(channel)

    def update_channel(self, channel: SimulatedChannel) -> None:
        """Describe a channel otherwise; whoever subscribed to the catalogue is notified."""
        self.roster.update(channel)

    def remove_channel(self, channel_id: str) -> None:
        """List a channel no more; whoever subscribed to the catalogue is notified."""
        self.roster.remove(channel_id)

    def raise_alarm(
        self,
        channel_id: str = "",
        *,
        method: int = 5,
        alarm_type: int | None = 2,
        priority: int = 1,
        description: str = "",
    ) -> bool:
        """Report an alarm: by NOTIFY to whoever subscribed to it, else by MESSAGE.

        Args:
            channel_id: Where; empty for the device itself.
            method: 2 device alarm, 5 video, 6 fault.
            alarm_type: What was found (protocol 4.10).
            priority: 1 (highest) to 4.
            description: In words.

        Returns:
            False if it was held back: after a device alarm a device is silent until AlarmCmd resets it (9.4).
        """
        source = channel_id or self.device_id
        if method == _DEVICE_ALARM:
            if source in self.controller.alarms:
                return False
            self.controller.alarms.add(source)
        self._alarm_sn += 1
        alarm = AlarmNotify(
            sn=self._alarm_sn,
            device_id=source,
            alarm_priority=priority,
            alarm_method=method,
            alarm_time=utc_now(),
            alarm_description=description,
            alarm_type=alarm_type,
        )
        if not self.subscriptions.raise_alarm(alarm):
            self._spawn(self._mail.send_answer(self._answers.write(alarm)), "alarm")
        return True

    async def _keepalive(self, sn: int) -> Response:
        return await self._mail.send(self._answers.keepalive(sn))

    def _receive_request(self, incoming: IncomingRequest) -> None:
        if self._is_down:
            incoming.ignore()
            return
        match incoming.request.method:
            case "INVITE":
                self._calls.receive_invite(incoming)
            case "MESSAGE":
                self._mail.receive(incoming)
            case "SUBSCRIBE":
                self.subscriptions.receive(incoming)
            case _:
                incoming.respond(405)

    async def _reboot(self) -> None:
        """Vanish without a word, forget everything, and register anew after a while."""
        if self._is_down or self._presence.stopped.is_set():
            return
        self._is_down = True
        self._tell("rebooting", f"for {self._options.reboot_time:g} s")
        self.subscriptions.forget_all()
        self._calls.vanish("device rebooted")
        self.controller.restart()
        self._presence.vanish()
        await asyncio.sleep(self._options.reboot_time)
        self._is_down = False
        if not self._presence.stopped.is_set():
            self._presence.register()

    def _obey(self, control: DeviceControl, identity: str) -> Answer | None:
        answer = self.controller.receive(control, identity)
        entry = self.controller.log[-1]
        said = " ".join(
            word for word in (entry.sub_command.value, entry.frame, entry.error) if word
        )
        self._tell("controlled", f"{entry.channel_id}: {said}")
        return answer

    def _send_key_frame(self, channel_id: str) -> None:
        for session in self._calls.of_channel(channel_id):
            session.media.request_keyframe()

    def _show_motion(self, channel_id: str) -> None:
        for session in self._calls.of_channel(channel_id):
            session.media.look_through(channel_id, self.controller.motor(channel_id))

    def _channel_changed(self, event: CatalogEvent, channel: SimulatedChannel) -> None:
        if event is CatalogEvent.DEL or not channel.reachable:
            for session in self._calls.of_channel(channel.channel_id):
                session.end("channel off-line")
        self.subscriptions.changed(event, channel)

    def _connection_lost(self, connection: int, reason: str) -> None:
        if self._presence.connection_lost(connection, reason):
            self._calls.end_all("signalling connection lost")

    def _spawn(self, coro: Coroutine[object, object, None], name: str) -> None:
        self._scope.spawn(coro, name=f"{name}:{self.device_id}")

    def _tell(self, what: str, detail: str) -> None:
        self._report(DeviceEvent(self.device_id, what, detail))

    def _crashed(self, name: str, error: Exception) -> None:
        self._tell("crashed", f"{name}: {error!r}")


def _new_token() -> str:
    return secrets.token_hex(8)

"""What to simulate."""

from dataclasses import dataclass, field

from gateway.simulator.defect import Defect
from gateway.simulator.quirk import Quirk
from gateway.simulator.stream import StreamSpec
from gb28181.es.unit import AUDIO_CODECS, VIDEO_CODECS, Codec
from gb28181.ids import is_region_code

__all__ = ["SimulatorOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """The platform to register with, the devices, what they send and how they misbehave.

    Raises:
        ValueError: a value that cannot be used; the message names the field.
    """

    server_host: str = "127.0.0.1"
    server_port: int = 5060
    server_id: str = "34020000002000000001"
    domain: str = ""
    """Digest and SIP domain; empty for the first ten digits of `server_id`."""
    password: str = ""
    transport: str = "UDP"
    """Signalling: `UDP`, `TCP` or `TLS`."""
    local_host: str = ""
    """Address to bind and to write into Via, Contact and SDP; empty for the one that leads to the server."""

    devices: int = 1
    channels: int = 1
    """Channels of each device; a single camera has exactly one."""
    recorder: bool = True
    """A recorder (type 118) with channels of type 132, or a single camera (132) with one channel of type 131."""
    platform: bool = False
    """A lower platform (type 200) whose catalogue has a tree: itself, divisions, a business group (215) with
    two organisations (216), and the cameras in them."""
    base_id: str = "34020000001180000001"
    """Id of the first device; the type digits are set by `recorder`, the serial counts on."""
    alarm_inputs: int = 0
    """Alarm inputs (134) listed behind the cameras of each device."""
    civil_codes: tuple[str, ...] = ()
    """Divisions the cameras are spread over in turn; empty for one that follows from their ids."""
    defects: frozenset[Defect] = frozenset()
    """Wrong data seeded into each device's catalogue."""

    expires: int = 86_400
    keepalive_interval: float = 60.0
    keepalive_misses: int = 3
    retry_delay: float = 60.0
    """Seconds before another try after a failed registration; up to as much again is added at random."""
    logout_timeout: float = 3.0
    """Seconds to wait for the answer to a logout when the simulator ends."""
    register_rate: float = 100.0
    """First registrations a second, over all devices."""
    gb_version: str = "2.0"
    """X-GB-Ver of REGISTER; empty for none."""
    charset: str = "GB2312"
    catalog_items: int = 2
    """Items in one message of the catalogue."""

    video: Codec = Codec.H264
    audio: Codec | None = Codec.PCM_ALAW
    width: int = 1280
    height: int = 720
    fps: int = 25
    bitrate: int = 2_000_000
    gop: float = 2.0
    own_picture: bool = False
    """Give every channel an encoder of its own that shows its id (costs a core for a dozen 720p channels)."""
    mtu: int = 1400
    """Bytes of an RTP packet at most, header included."""
    segmentation: bool = True
    """Let the kernel cut frames into UDP packets; false sends packet by packet, as cameras do."""

    quirks: frozenset[Quirk] = frozenset()
    max_sessions: int = 0
    """Sessions that a device serves at once; one more is refused with 486. 0 is no limit."""
    refuse_status: int = 486
    answer_delay: float = 5.0
    reboot_time: float = 1.0
    """Seconds for which a device is gone after TeleBoot."""
    subscription_limit: int = 86_400
    """Seconds a subscription is granted at most."""
    drop_after: float = 3.0
    bye_after: float = 3.0
    ghost_time: float = 30.0
    """Seconds for which a lost BYE leaves the channel busy."""
    codec_change_after: float = 3.0
    seed: int = 28181
    """Seed of what may be random: retry delays and a device's own SSRCs."""
    tls_verify: bool = field(default=False)
    """Check the server's certificate; devices in the field do not."""

    def __post_init__(self) -> None:
        problems = [
            (self.transport not in {"UDP", "TCP", "TLS"}, "transport is UDP, TCP or TLS"),
            (not _is_code(self.base_id), "base_id is a code of 20 digits"),
            (not self.server_id, "server_id is not empty"),
            (self.devices < 1 or self.channels < 0, "devices >= 1 and channels >= 0"),
            (self.video not in VIDEO_CODECS, "video is h264 or hevc"),
            (
                self.audio is not None and self.audio not in AUDIO_CODECS,
                "audio is pcm_alaw, pcm_mulaw, aac or nothing",
            ),
            (self.width % 2 or self.height % 2, "width and height are even"),
            (self.width < 160 or self.height < 120, "the picture has at least 160x120 pixels"),
            (not 1 <= self.fps <= 60, "fps is 1 to 60"),
            (self.bitrate < 64_000, "bitrate is at least 64000"),
            (self.register_rate <= 0, "register_rate is above 0"),
            (not 200 <= self.mtu <= 1460, "mtu is 200 to 1460"),
            (not 300 <= self.refuse_status <= 699, "refuse_status is 300 to 699"),
            (self.catalog_items < 1, "catalog_items is at least 1"),
            (self.alarm_inputs < 0, "alarm_inputs is not negative"),
            (self.reboot_time < 0, "reboot_time is not negative"),
            (self.gb_version not in _VERSIONS, f"gb_version is one of {_VERSIONS}"),
            (not all(map(is_region_code, self.civil_codes)), "civil_codes have 2 to 8 digits"),
        ]
        for is_wrong, expected in problems:
            if is_wrong:
                raise ValueError(f"simulator options: {expected}")

    @property
    def sip_domain(self) -> str:
        """The domain to write into From and To."""
        return self.domain or self.server_id[:10]

    def has(self, quirk: Quirk) -> bool:
        """Whether devices have this quirk."""
        return quirk in self.quirks

    @property
    def edition(self) -> str:
        """Edition of the standard the devices are made for; without a version mark it is 2016."""
        return self.gb_version or "2.0"

    @property
    def has_sub_stream(self) -> bool:
        """Whether devices have a sub stream: those of 2022, asked by `a=streamnumber:1`."""
        return self.gb_version == "3.0"

    def stream_spec(self, label: str = "", *, sub: bool = False) -> StreamSpec:
        """What a channel sends; `label` counts only with pictures of their own.

        Args:
            label: Text below the clock.
            sub: The sub stream: half the width and height, a quarter of the bits.
        """
        return StreamSpec(
            video=self.video,
            audio=self.audio,
            width=max(160, self.width // 4 * 2) if sub else self.width,
            height=max(120, self.height // 4 * 2) if sub else self.height,
            fps=self.fps,
            bitrate=max(64_000, self.bitrate // 4) if sub else self.bitrate,
            gop=self.gop,
            label=label if self.own_picture else "",
        )


_VERSIONS = ("", "1.0", "1.1", "2.0", "3.0")


def _is_code(value: str) -> bool:
    return len(value) == 20 and value.isascii() and value.isdigit()

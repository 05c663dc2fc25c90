"""What the gateway writes into timelines, sentence by sentence."""

from gateway.domain.device import CatalogDiff, DeviceSettings, MediaTransport, TimelineKind
from gateway.registry.words import describe_diff, describe_settings
from gb28181.flow.catalog import _DETAILS, CatalogEnd
from gb28181.sip.digest import DigestResult

__all__ = ["PLATFORM_SENTENCES", "device_sentences"]

HERE = "UDP 192.0.2.31:5060"
THERE = "TCP 192.0.2.31:40231"


def catalog_failures() -> list[tuple[str, str]]:
    ends = [CatalogEnd.SHORT, CatalogEnd.TOO_SLOW, CatalogEnd.NO_ANSWER, CatalogEnd.EMPTY]
    ends += [CatalogEnd.TOO_MANY, CatalogEnd.CANCELLED]
    values = {"received": 7, "messages": 3, "limit": 100_000}
    return [
        (TimelineKind.CATALOG_FAILED, _DETAILS[end].format(**values, expected=expected))
        for end in ends
        for expected in (12, "an unknown number of")
    ]


def device_sentences() -> list[tuple[str, str]]:
    """As :mod:`gateway.registry`, :mod:`gateway.signalling` and :mod:`gateway.sessions` word them."""
    shrunk = CatalogDiff(added=("a",), removed=("b", "c"), total=9)
    kept = CatalogDiff(kept_missing=("b",), total=9)
    return [
        *((TimelineKind.AUTH_FAILED, f"{item.value} (from 192.0.2.9:5060)") for item in DigestResult if item is not DigestResult.OK),
        *catalog_failures(),
        describe_diff(CatalogDiff(added=("a",), total=9)),
        describe_diff(shrunk),
        describe_diff(kept),
        (TimelineKind.REGISTERED, f"from {HERE} for 3600 s"),
        (TimelineKind.REFRESHED, "for 3600 s"),
        (TimelineKind.REBOOTED, "for 3600 s"),
        (TimelineKind.ADDRESS_CHANGED, f"{HERE} -> {THERE}"),
        (TimelineKind.ADDRESS_CHANGED, f"{HERE} -> {THERE} (moved)"),
        (TimelineKind.ADDRESS_REFUSED, f"{HERE} -> {THERE}: only a REGISTER may move the device"),
        (TimelineKind.KEEPALIVE_MISSED, "2 of 3 in a row, one is due every 60 s"),
        (TimelineKind.KEEPALIVE_FAULT, "fault reported: the device itself"),
        (TimelineKind.KEEPALIVE_FAULT, "fault reported: 34020000001320000001"),
        (TimelineKind.OFFLINE, "keepalive_missed: 3 of 3 in a row, one is due every 60 s"),
        (TimelineKind.SESSION_ENDED, "34020000001320000001: no_packet after answered: no RTP came"),
        (TimelineKind.SUBSCRIPTION, "Catalog subscribed for 3600 s"),
        (TimelineKind.SUBSCRIPTION, "Alarm failed, again in 60 s: 403 Forbidden"),
        (TimelineKind.SUBSCRIPTION, "Alarm not offered: 405"),
        (TimelineKind.SUBSCRIPTION, "Catalog ended: timeout"),
        (TimelineKind.SETTINGS_CHANGED, "secret set"),
        (TimelineKind.SETTINGS_CHANGED, "secret removed"),
        (TimelineKind.SETTINGS_CHANGED, describe_settings(DeviceSettings())),
        (TimelineKind.SETTINGS_CHANGED, describe_settings(DeviceSettings(media_transport=MediaTransport.UDP))),
        (TimelineKind.SOURCE_CHANGED, "34020000001320000001: a publisher came from 192.0.2.4"),
        (TimelineKind.SOURCE_CHANGED, "34020000001320000001: source_refused: 401"),
    ]  # fmt: skip


PLATFORM_SENTENCES = [
    ("registered", "At UDP 192.0.2.60:5060 for 3600 s"),
    ("register_failed", "wrong_password: REGISTER answered 401 (UDP 192.0.2.60:5060)"),
    ("offline", "keepalive_missed: no answer, 3 of 3"),
    ("failed_over", "UDP 192.0.2.60:5060 -> UDP 192.0.2.61:5060"),
    ("queried", "Catalog of 34020000002000000001: 12 items in 3 messages"),
    ("queried", "RecordInfo of 34020000002000000001: not supported"),
    ("subscribed", "Catalog of 34020000002000000001 for 3600 s"),
    ("unsubscribed", "Catalog of 34020000002000000001: timeout"),
    ("session_ended", "34020000001320000001: no_ack: no ACK within 32 s"),
    ("refused", "34020000001320000001: not shared"),
    ("refused", "SUBSCRIBE Presence: not supported"),
    ("refused", "SUBSCRIBE Catalog: too many subscriptions"),
    ("refused", "A body of 70000 bytes"),
    ("refused", "Catalog left alone: 60 a minute are answered"),
    ("refused", "Catalog of 3402 not answered: 16 other parts are waiting"),
    ("refused", "DeviceControl 34020000001320000001: device_offline: Device x is offline"),
    ("message_failed", "Catalogue changes: UDP 192.0.2.60:5060 gave no answer"),
    ("message_failed", "Catalog of 3402, 90 items: given up after 2 messages: no answer"),
    ("keepalive_missed", "1 of 3: no answer to MESSAGE"),
    ("changed", "The configuration was changed"),
    ("remark", "Sent on to 192.0.2.61:5060"),
    ("remark", "It grants 5 s, taken as 60 s"),
    ("remark", "Its clock is 12.5 s behind ours"),
]

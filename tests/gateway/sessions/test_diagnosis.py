"""Every way to fail is explained, in both languages."""

from datetime import UTC, datetime

import pytest

from gateway.domain.session import Ended, EndReason, SessionKind, SessionRecord, SessionState, Stage
from gateway.sessions.diagnosis import explain, failed_stage, latest_failure

FAILURES = [reason for reason in EndReason if reason.is_failure]
ORDINARY = [reason for reason in EndReason if not reason.is_failure]


def ended(
    reason: EndReason, *stages: Stage, status: int | None = None, minute: int = 0
) -> SessionRecord:
    return SessionRecord(
        session_id=f"s{minute}",
        kind=SessionKind.LIVE,
        device_id="d",
        channel_id="c",
        transport="udp",
        created_at=datetime(2026, 1, 1, 0, minute, tzinfo=UTC),
        state=SessionState.ENDED,
        stages={Stage.REQUESTED: 0.0, **{stage: 0.5 * n for n, stage in enumerate(stages, 1)}},
        ended=Ended(reason, "what happened", status),
        ended_at=datetime(2026, 1, 1, 0, minute, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize("reason", FAILURES)
def test_every_failure_has_a_stage_causes_and_remedies(reason: EndReason) -> None:
    found = explain(ended(reason))
    assert found.failed_stage is not None
    assert found.causes
    for cause in found.causes:
        assert all((cause.cause.zh, cause.cause.en, cause.remedy.zh, cause.remedy.en))
        assert cause.cause.en.isascii()
    assert not found.summary.zh.isascii()


@pytest.mark.parametrize("reason", ORDINARY)
def test_an_ordinary_end_is_not_explained_as_a_failure(reason: EndReason) -> None:
    found = explain(ended(reason))
    assert (found.failed_stage, found.causes) == (None, [])


@pytest.mark.parametrize(
    ("reason", "stages", "failed"),
    [
        (EndReason.PORTS_EXHAUSTED, (), Stage.PORT_LEASED),
        (EndReason.INVITE_TIMEOUT, (Stage.INVITED,), Stage.ANSWERED),
        (EndReason.CONNECT_FAILED, (Stage.INVITED, Stage.ANSWERED), Stage.CONNECTED),
        (EndReason.NO_PACKET, (Stage.INVITED, Stage.ANSWERED), Stage.FIRST_PACKET),
        (EndReason.NOT_DECODABLE, (Stage.ANSWERED, Stage.FIRST_PACKET), Stage.DECODABLE),
        (
            EndReason.DEVICE_BYE,
            (Stage.PORT_LEASED, Stage.INVITED, Stage.ANSWERED),
            Stage.FIRST_PACKET,
        ),
        (EndReason.SOURCE_LOST, tuple(Stage)[1:], None),
        (EndReason.DEVICE_BYE, tuple(Stage)[1:-1], None),
    ],
)
def test_the_failed_stage_is_the_one_that_was_not_reached(
    reason: EndReason, stages: tuple[Stage, ...], failed: Stage | None
) -> None:
    assert failed_stage(ended(reason, *stages)) is failed


def test_the_refusing_status_puts_its_own_causes_first() -> None:
    found = explain(ended(EndReason.INVITE_REFUSED, status=486))
    assert "limit" in found.causes[0].cause.en
    assert found.summary.en.endswith("(SIP 486)")


def test_an_unexpected_ssrc_and_a_silent_device_are_pointed_out() -> None:
    record = ended(EndReason.NO_PACKET, Stage.INVITED)
    record.ssrc.offered, record.ssrc.received = "0200000001", "0200009999"
    record.remarks.append("answered without y=")
    words = " ".join(item.en for item in explain(record).observations)
    assert "0200009999" in words
    assert "not even 100 Trying" in words
    assert "without y=" in words


def test_the_latest_failure_ignores_ordinary_ends() -> None:
    records = [
        ended(EndReason.NO_PACKET, minute=1),
        ended(EndReason.INVITE_TIMEOUT, minute=3),
        ended(EndReason.STOPPED, minute=5),
    ]
    latest = latest_failure(records)
    assert latest is not None
    assert latest.session_id == "s3"
    assert latest_failure(records[2:]) is None

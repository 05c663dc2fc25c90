"""Reports in both directions, by the numbers."""

from datetime import UTC, datetime

import pytest

from gateway.media.reports import ReceptionReports, RelayReports
from gb28181.errors import RtpError
from gb28181.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    parse_rtcp,
    serialize_rtcp,
)

WALL = datetime(2024, 5, 17, 8, 30, 0, 500_000, tzinfo=UTC)


def block(ssrc: int) -> ReportBlock:
    return ReportBlock(
        ssrc=ssrc,
        fraction_lost=1,
        packets_lost=2,
        highest_sequence=3,
        jitter=4,
        last_sr=5,
        delay_since_sr=6,
    )


def test_a_sender_report_pairs_the_present_with_the_time_stamp_it_would_have() -> None:
    reports = RelayReports(9, interval=5.0, wall=lambda: WALL)
    assert reports.next_report(0.0, packets=0, octets=0) == b"", "nothing was sent yet"
    reports.note_sent(2**32 - 45_000, 10.0)
    data = reports.next_report(11.0, packets=2**32 + 7, octets=1234)
    report, names = parse_rtcp(data)
    # 1970 is 2,208,988,800 s after 1900.
    seconds = int(datetime(2024, 5, 17, 8, 30, tzinfo=UTC).timestamp()) + 2_208_988_800
    assert report == SenderReport(
        ssrc=9,
        ntp_time=seconds << 32 | 1 << 31,
        rtp_time=45_000,
        packet_count=7,
        octet_count=1234,
    )
    assert isinstance(names, SourceDescription)
    assert names.names[0][0] == 9


def test_sender_reports_come_at_their_interval() -> None:
    reports = RelayReports(9, interval=5.0, wall=lambda: WALL)
    reports.note_sent(0, 10.0)
    due = [now for now in range(10, 30) if reports.next_report(float(now), packets=1, octets=1)]
    assert due == [10, 15, 20, 25]


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (serialize_rtcp(ReceiverReport(ssrc=1, reports=(block(9),))), 1),
        (serialize_rtcp(ReceiverReport(ssrc=1)), 1),
        (serialize_rtcp(ReceiverReport(ssrc=1, reports=(block(8),))), 0),
        (serialize_rtcp(Bye(sources=(1,))), 0),
        (b"\x80\xc9", 0),
        (b"", 0),
    ],
)
def test_only_reports_about_this_relay_show_that_somebody_is_there(data: bytes, count: int) -> None:
    reports = RelayReports(9, interval=5.0, wall=lambda: WALL)
    reports.receive(data, 3.0)
    assert reports.received == count
    assert reports.last_report == (3.0 if count else None)


def test_a_source_is_told_at_intervals_how_it_is_received() -> None:
    reports = ReceptionReports(8, interval=5.0)
    assert reports.next_report(0.0) == b""
    reports.stats.receive_fields(7, 100, 3600, 1.0)
    sent = SenderReport(ssrc=7, ntp_time=5 << 32, rtp_time=0, packet_count=1, octet_count=1)
    reports.receive(serialize_rtcp(sent), 7, 2.0)
    assert reports.next_report(4.0) == b""
    report, _ = parse_rtcp(reports.next_report(6.0))
    assert isinstance(report, ReceiverReport)
    assert (report.ssrc, report.reports[0].ssrc, report.reports[0].last_sr) == (8, 7, 5 << 16)
    with pytest.raises(RtpError):
        reports.receive(b"\x80\xc8\x00\x09", 7, 2.0)

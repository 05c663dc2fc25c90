"""Why there is no picture: from a session's record to likely causes and what to do, in Chinese and English."""

from dataclasses import dataclass

from gateway.domain.session import Ended, EndReason, SessionRecord, SessionState, Stage
from gateway.sessions.remedy import BY_REASON, BY_SIP_STATUS, SUMMARY, Cause, Words

__all__ = ["Cause", "Diagnosis", "Words", "explain", "failed_stage", "latest_failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What a person wants to know of a session without a picture."""

    session: SessionRecord
    failed_stage: Stage | None
    """The stage that was not reached; None if nothing failed."""
    summary: Words
    observations: list[Words]
    """Facts of this very session that point somewhere."""
    causes: list[Cause]
    """Most likely first."""


_FAILED_AT = {
    EndReason.PORTS_EXHAUSTED: Stage.PORT_LEASED,
    EndReason.INVITE_TIMEOUT: Stage.ANSWERED,
    EndReason.INVITE_REFUSED: Stage.ANSWERED,
    EndReason.ANSWER_UNUSABLE: Stage.ANSWERED,
    EndReason.CONNECT_FAILED: Stage.CONNECTED,
    EndReason.SOURCE_UNREACHABLE: Stage.CONNECTED,
    EndReason.SOURCE_REFUSED: Stage.CONNECTED,
    EndReason.NO_PUBLISHER: Stage.CONNECTED,
    EndReason.TOO_MANY_PULLS: Stage.CONNECTED,
    EndReason.NO_PACKET: Stage.FIRST_PACKET,
    EndReason.NOT_DECODABLE: Stage.DECODABLE,
    EndReason.CODEC_UNSUPPORTED: Stage.DECODABLE,
}


_INVITE_ONLY = frozenset({Stage.PORT_LEASED, Stage.INVITED, Stage.TRYING, Stage.ANSWERED})
"""What a foreign source never reaches."""


def explain(record: SessionRecord) -> Diagnosis:
    """Return what happened and, if it failed, the likely causes."""
    ended = record.ended
    if ended is None or not ended.reason.is_failure:
        return Diagnosis(
            session=record,
            failed_stage=None,
            summary=_running_summary(record),
            observations=_observations(record),
            causes=[],
        )
    causes = list(BY_REASON.get(ended.reason, ()))
    if ended.sip_status is not None:
        causes = [*BY_SIP_STATUS.get(ended.sip_status, ()), *causes]
    return Diagnosis(
        session=record,
        failed_stage=failed_stage(record),
        summary=_summary(ended),
        observations=_observations(record),
        causes=list(dict.fromkeys(causes)),
    )


def failed_stage(record: SessionRecord) -> Stage | None:
    """Return the stage a failed session did not reach; None if it broke off after them all."""
    ended = record.ended
    if ended is None or not ended.reason.is_failure:
        return None
    stage = _FAILED_AT.get(ended.reason)
    if stage is not None and not (record.foreign and stage in _INVITE_ONLY):
        return stage
    optional = set(_INVITE_ONLY) if record.foreign else {Stage.TRYING, Stage.CONNECTED}
    if record.first_reader is None:
        # Nobody watched, so nothing was to be put out.
        optional.add(Stage.FIRST_OUTPUT)
    for stage in Stage:
        if stage not in record.stages and stage not in optional:
            return stage
    return None


def latest_failure(records: list[SessionRecord]) -> SessionRecord | None:
    """Return the session that failed last."""
    failed = [record for record in records if record.ended and record.ended.reason.is_failure]
    return max(failed, key=lambda record: record.ended_at or record.created_at, default=None)


def _running_summary(record: SessionRecord) -> Words:
    if record.state is SessionState.ENDED:
        return Words(
            "会话正常结束, 没有失败", "The session ended in the ordinary way; nothing failed"
        )
    return Words(
        f"会话尚未结束, 目前到达阶段 {record.stage_reached.value}",
        f"The session has not ended; it has reached the stage {record.stage_reached.value}",
    )


def _summary(ended: Ended) -> Words:
    words = SUMMARY[ended.reason]
    status = f" (SIP {ended.sip_status})" if ended.sip_status is not None else ""
    return Words(f"{words.zh}{status}", f"{words.en}{status}")


def _observations(record: SessionRecord) -> list[Words]:
    found: list[Words] = []
    ssrc = record.ssrc
    if ssrc.received and ssrc.received not in {ssrc.offered, ssrc.answered}:
        found.append(
            Words(
                f"设备发送的 SSRC {ssrc.received} 与请求的 {ssrc.offered} 不同 (已自动适应)",
                f"The device sent SSRC {ssrc.received}, not the offered {ssrc.offered} (followed)",
            )
        )
    elif ssrc.answered and ssrc.answered != ssrc.offered:
        found.append(
            Words(
                f"设备应答的 y={ssrc.answered} 与请求的 {ssrc.offered} 不同",
                f"The device answered y={ssrc.answered} to the offered {ssrc.offered}",
            )
        )
    if Stage.INVITED in record.stages and not {Stage.TRYING, Stage.ANSWERED} & set(record.stages):
        found.append(
            Words(
                "设备对 INVITE 没有任何回应, 连 100 Trying 也没有",
                "The device gave no sign of life after the INVITE, not even 100 Trying",
            )
        )
    answered = record.stages.get(Stage.ANSWERED)
    invited = record.stages.get(Stage.INVITED)
    if answered is not None and invited is not None and answered - invited > 3:
        found.append(
            Words(
                f"设备用了 {answered - invited:.1f} 秒才应答 INVITE",
                f"The device took {answered - invited:.1f} s to answer the INVITE",
            )
        )
    found += [
        Words(f"设备偏离标准: {remark}", f"Deviation of the device: {remark}")
        for remark in record.remarks
    ]
    return found

"""What an upper is told: every reason of ours has its words."""

from gateway.cascade.refusal import farewell, refusal_of
from gateway.domain.bridge import BridgeEnd
from gateway.domain.errors import SessionFailed
from gateway.domain.session import Ended, EndReason


def test_every_reason_to_end_a_session_has_an_answer_for_the_upper() -> None:
    for reason in EndReason:
        refused = refusal_of(SessionFailed("s1", Ended(reason, "why")))
        assert 400 <= refused.status < 600


def test_every_end_that_is_ours_to_tell_has_its_reason() -> None:
    told = {end for end in BridgeEnd if farewell(end) is not None}
    assert told == set(BridgeEnd) - {
        BridgeEnd.UPPER_BYE,
        BridgeEnd.UPPER_CANCELLED,
        BridgeEnd.REFUSED,
    }

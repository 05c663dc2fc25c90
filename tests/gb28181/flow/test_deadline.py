"""Deadlines of many objects."""

from hypothesis import given
from hypothesis import strategies as st

from gb28181.flow.deadline import Deadlines


def test_deadlines_come_in_order_and_once() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("b", 2.0)
    deadlines.set("a", 1.0)
    deadlines.set("c", 3.0)
    deadlines.remove("c")
    deadlines.remove("unknown")
    assert len(deadlines) == 2
    assert deadlines.pop_due(0.5) is None
    assert [deadlines.pop_due(5.0) for _ in range(3)] == ["a", "b", None]
    assert deadlines.earliest() is None


def test_moving_deadlines_later_does_not_pile_up() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for step in range(10_000):
        deadlines.set(step % 10, float(step))
    assert len(deadlines._heap) == 10
    for step in range(10_000):
        deadlines.set(step, float(step))
        deadlines.remove(step)
    assert len(deadlines._heap) <= 100


STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "remove", "pop"]), st.integers(0, 5), st.integers(0, 20)),
    max_size=60,
)


@given(STEPS)
def test_it_behaves_as_a_plain_mapping(steps: list[tuple[str, int, int]]) -> None:
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, int] = {}
    for action, key, at in steps:
        match action:
            case "set":
                deadlines.set(key, at)
                model[key] = at
            case "remove":
                deadlines.remove(key)
                model.pop(key, None)
            case _:
                earliest = min(model.values(), default=None)
                popped = deadlines.pop_due(at)
                assert (popped is None) is (earliest is None or earliest > at)
                assert popped is None or model.pop(popped) == earliest
        assert deadlines.earliest() == min(model.values(), default=None)
        assert len(deadlines) == len(model)

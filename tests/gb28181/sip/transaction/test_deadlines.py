"""The queue of deadlines: what is armed comes up in time, once."""

from hypothesis import given
from hypothesis import strategies as st

from gb28181.sip.transaction.deadlines import DeadlineQueue


class Item:
    def __init__(self) -> None:
        self.armed: float | None = None


def test_items_come_up_in_the_order_of_their_deadlines() -> None:
    queue: DeadlineQueue[Item] = DeadlineQueue()
    early, late = Item(), Item()
    queue.arm(late, 2.0)
    queue.arm(early, 1.0)
    assert queue.next_timer() == 1.0
    assert queue.pop_due(0.9) is None
    assert queue.pop_due(5.0) is early
    assert queue.pop_due(5.0) is late
    assert queue.next_timer() is None


def test_a_deadline_that_moves_nearer_counts_once() -> None:
    queue: DeadlineQueue[Item] = DeadlineQueue()
    item = Item()
    queue.arm(item, 2.0)
    queue.arm(item, 1.0)
    queue.arm(item, 3.0)
    queue.arm(item, None)
    assert queue.pop_due(5.0) is item
    assert queue.pop_due(5.0) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100)), max_size=40))
def test_each_item_comes_up_at_its_earliest_deadline(arms: list[tuple[int, float]]) -> None:
    queue: DeadlineQueue[Item] = DeadlineQueue()
    items = [Item() for _ in range(5)]
    earliest: dict[int, float] = {}
    for index, deadline in arms:
        queue.arm(items[index], deadline)
        earliest[index] = min(deadline, earliest.get(index, deadline))
    order = []
    while (item := queue.pop_due(100.0)) is not None:
        order.append(items.index(item))
    assert sorted(order) == sorted(earliest)
    assert [earliest[index] for index in order] == sorted(earliest.values())


def test_a_disarmed_item_does_not_come_up_unless_armed_again() -> None:
    queue: DeadlineQueue[Item] = DeadlineQueue()
    item, other = Item(), Item()
    queue.arm(item, 1.0)
    queue.arm(other, 2.0)
    queue.disarm(item)
    queue.disarm(item)
    assert queue.pop_due(5.0) is other
    queue.arm(item, 1.0)
    assert queue.pop_due(5.0) is item
    assert queue.pop_due(5.0) is None


def test_disarmed_items_do_not_pile_up() -> None:
    queue: DeadlineQueue[Item] = DeadlineQueue()
    kept = [Item() for _ in range(10)]
    for item in kept:
        queue.arm(item, 500.0)
    for number in range(10_000):
        item = Item()
        queue.arm(item, 180.0 + number)
        queue.disarm(item)
    assert len(queue) < 200
    assert {queue.pop_due(1e6) for _ in kept} == set(kept)

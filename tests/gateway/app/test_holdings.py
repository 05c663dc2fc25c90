"""Counts of what is held."""

from gateway.app.holdings import Holdings


def test_figures_and_leftovers_are_read_when_asked_for() -> None:
    held = Holdings()
    streams: list[str] = []
    held.add("streams", lambda: len(streams))
    held.show("devices", lambda: 7)
    held.give_back("ports", lambda: len(streams))
    assert held.counts() == {"streams": 0, "devices": 7}
    assert held.leftovers() == {}
    streams.append("a")
    assert held.counts() == {"streams": 1, "devices": 7}
    assert held.leftovers() == {"streams": 1, "ports": 1}


def test_a_part_may_show_one_number_and_give_back_another_by_the_same_name() -> None:
    held = Holdings()
    held.show("rtsp", lambda: 3)
    held.give_back("rtsp", lambda: 1)
    assert (held.counts(), held.leftovers()) == ({"rtsp": 3}, {"rtsp": 1})

"""How long guessing waits."""

from gateway.sharing.users_throttle import FORGET, MAX_REMEMBERED, GrowingDelay, LoginThrottle


def test_the_wait_doubles_after_the_free_failures_up_to_the_longest() -> None:
    delay, now, waits = GrowingDelay(free=2, longest=10.0, leak=900.0), 0.0, []
    for _ in range(8):
        waits.append(delay.wait("x", now))
        now += waits[-1]
        delay.fail("x", now)
    assert waits == [0, 0, 1, 2, 4, 8, 10, 10]


def test_failures_are_forgotten_after_an_hour_without_one() -> None:
    delay = GrowingDelay(free=1, longest=900.0, leak=900.0)
    for _ in range(30):
        delay.fail("x", 0.0)
    delay.fail("x", FORGET + 1)
    assert delay.wait("x", FORGET + 1) == 1.0
    assert delay.wait("other", 0.0) == 0.0


def test_only_so_many_names_are_remembered() -> None:
    delay = GrowingDelay(free=1, longest=900.0, leak=900.0)
    for number in range(MAX_REMEMBERED + 5):
        delay.fail(str(number), 0.0)
    assert len(delay._failures) == MAX_REMEMBERED
    assert delay.wait("0", 0.0) == 0.0
    assert delay.wait(str(MAX_REMEMBERED), 0.0) == 1.0


def test_whoever_guesses_from_elsewhere_locks_nobody_out_for_more_than_a_minute() -> None:
    throttle, now = LoginThrottle(), 0.0
    for number in range(2_000):
        throttle.begin("boss", f"10.0.{number % 250}.{number // 250}", now)
        now += 0.2
    wait = throttle.begin("boss", "192.168.0.5", now)
    assert 0 < wait <= 60


def test_a_success_forgets_the_mistakes_of_that_place_only() -> None:
    throttle = LoginThrottle()
    for _ in range(4):
        assert throttle.begin("boss", "here", 0.0) == 0
        assert throttle.begin("boss", "there", 0.0) == 0
    assert throttle.begin("boss", "here", 0.0) == 0
    throttle.succeed("boss", "here")
    assert [throttle.begin("boss", "here", 0.0) > 0 for _ in range(6)] == [False] * 5 + [True]
    assert [throttle.begin("boss", "there", 0.0) > 0 for _ in range(2)] == [False, True]


def test_an_account_of_ones_own_does_not_wash_an_address_clean() -> None:
    throttle, tries = LoginThrottle(), 0
    for number in range(200):
        if throttle.begin(f"name{number}", "here", 0.0) == 0:
            tries += 1
        if throttle.begin("mine", "here", 0.0) == 0:
            throttle.succeed("mine", "here")
    assert tries == 30


def test_what_was_not_decided_counts_for_nothing() -> None:
    throttle = LoginThrottle()
    for _ in range(100):
        assert throttle.begin("boss", "here", 0.0) == 0
        throttle.take_back("boss", "here")


def test_people_behind_one_proxy_who_mistype_now_and_then_wait_for_nothing() -> None:
    throttle, now = LoginThrottle(), 0.0
    for number in range(2_000):
        assert throttle.begin(f"name{number}", "proxy", now) == 0
        now += 31


def test_guessing_on_and_on_from_one_address_goes_as_slowly_as_it_forgets() -> None:
    throttle, tries = LoginThrottle(), 0
    for second in range(4 * 3600):
        if throttle.begin(f"name{second}", "here", float(second)) == 0:
            tries += 1
    assert tries < 30 + 4 * 3600 / 30 + 5

"""One endpoint's lane: what is taken for it, what waits, and when the rest is looked at again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from remit.webhooks.lanes import (
    FIRST_ROOM,
    LEAST_LEFT,
    LEAST_PARKED,
    LEFT_SECONDS,
    Lane,
    Parked,
)
from tests.support.clock import ManualClock

CONCURRENCY = 4


class Started(list[str]):
    """What a lane has had sent."""

    def __call__(self, item: str) -> None:
        self.append(item)


@pytest.fixture
def started() -> Started:
    return Started()


@pytest.fixture
def lane(started: Started) -> Lane[str, str]:
    return Lane(CONCURRENCY, started)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def hold(lane: Lane[str, str], *items: str) -> None:
    for item in items:
        lane.held += 1
        lane.put(item)


def answers(lane: Lane[str, str], clock: ManualClock, count: int) -> None:
    for n in range(count):
        hold(lane, f"answered-{n}")
        lane.done(clock(), answered=True)


def park(lane: Lane[str, str], clock: ManualClock, count: int) -> None:
    lane.parked.extend(Parked(str(n), clock()) for n in range(count))


def seconds_until(lane: Lane[str, str], clock: ManualClock, count: int = 1) -> list[float]:
    now = clock()
    return [round((lane.put_off(now) - now).total_seconds(), 3) for _ in range(count)]


def test_no_more_are_started_than_it_may_have_at_once(
    lane: Lane[str, str], started: Started, clock: ManualClock
) -> None:
    hold(lane, *"abcdef")
    assert started == list("abcd")
    lane.done(clock(), answered=True)
    assert started == list("abcde")
    for _ in range(5):
        lane.done(clock(), answered=True)
    assert (started, lane.held) == (list("abcdef"), 0)
    hold(lane, *"ghijk")
    assert started == list("abcdefghij")


def test_what_was_not_started_can_be_taken_out(
    lane: Lane[str, str], started: Started, clock: ManualClock
) -> None:
    hold(lane, *"abcdef")
    assert lane.take_waiting() == ["e", "f"]
    assert lane.held == 4
    lane.done(clock(), answered=False)
    assert started == list("abcd")


def test_one_that_has_not_answered_gets_few(lane: Lane[str, str], clock: ManualClock) -> None:
    assert lane.room(clock()) == FIRST_ROOM
    hold(lane, "a", "b")
    assert lane.room(clock()) == FIRST_ROOM - 2


def test_one_that_answers_gets_twice_what_it_may_have_at_once(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    answers(lane, clock, 1)
    assert lane.room(clock()) == 2 * CONCURRENCY


def test_a_quick_one_gets_what_it_answers_in_a_quarter_of_a_second(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    answers(lane, clock, 400)
    assert lane.room(clock()) == 100


def test_a_request_without_an_answer_says_nothing_of_its_speed(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    hold(lane, "a")
    lane.done(clock(), answered=False)
    assert not lane.answered
    assert not lane.moves(clock())


@pytest.mark.parametrize(("later", "speed"), [(0, 50), (0.9, 50), (1.0, 50), (1.9, 50), (2.0, 0)])
def test_its_speed_is_what_it_answered_in_this_second_or_the_one_before(
    lane: Lane[str, str], clock: ManualClock, later: float, speed: int
) -> None:
    answers(lane, clock, 50)
    clock.advance(later)
    assert lane.speed(clock()) == speed


def test_a_new_one_parks_a_hundred(lane: Lane[str, str], clock: ManualClock) -> None:
    park(lane, clock, LEAST_PARKED - 1)
    assert lane.parks(clock())
    park(lane, clock, 1)
    assert not lane.parks(clock())


def test_a_quick_one_parks_what_it_answers_in_half_a_second(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    answers(lane, clock, 1000)
    park(lane, clock, 499)
    assert lane.parks(clock())
    park(lane, clock, 1)
    assert not lane.parks(clock())


def test_one_that_answers_no_more_parks_nothing(lane: Lane[str, str], clock: ManualClock) -> None:
    answers(lane, clock, 10)
    clock.advance(2)
    assert not lane.parks(clock())


def test_of_what_is_parked_a_slow_one_is_sent_little_soon(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    park(lane, clock, 100)
    assert lane.soon(clock()) == 0
    answers(lane, clock, 20)
    assert lane.soon(clock()) == 10


def test_what_is_parked_for_five_seconds_is_overdue(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    park(lane, clock, 2)
    clock.advance(4)
    park(lane, clock, 1)
    assert list(lane.overdue(clock())) == []
    clock.advance(1)
    assert list(lane.overdue(clock())) == ["0", "1"]
    assert len(lane.parked) == 1


def test_of_each_pass_a_slow_one_leaves_five_hundred_in_the_queue(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    answers(lane, clock, 1)
    for number in (1, 2):
        left = [lane.leaves(clock(), number) for _ in range(LEAST_LEFT + 2)]
        assert left == [True] * LEAST_LEFT + [False] * 2


def test_a_quick_one_leaves_what_it_answers_in_ten_seconds(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    answers(lane, clock, 100)
    left = [lane.leaves(clock(), 1) for _ in range(2000)]
    assert sum(left) == 100 * LEFT_SECONDS


@pytest.mark.parametrize("answered_before", [0, 10])
def test_one_that_does_not_answer_for_two_seconds_leaves_nothing(
    lane: Lane[str, str], clock: ManualClock, answered_before: int
) -> None:
    assert lane.room(clock())
    answers(lane, clock, answered_before)
    assert lane.leaves(clock(), 1)
    clock.advance(2.1)
    assert not lane.leaves(clock(), 2)


def test_what_is_put_off_comes_one_after_the_other_at_its_speed(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    assert lane.room(clock())
    clock.advance(1)
    answers(lane, clock, 10)
    assert seconds_until(lane, clock, 3) == [1.0, 1.1, 1.2]


def test_the_pace_is_not_taken_for_slow_because_a_second_has_just_begun(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    assert lane.room(clock())
    clock.advance(0.2)
    answers(lane, clock, 4)  # in 0.2 s: twenty a second
    assert seconds_until(lane, clock, 3) == [1.0, 1.05, 1.1]


@pytest.mark.parametrize(
    ("waited", "step"), [(0, 0.025), (0.05, 0.025), (1, 0.25), (4, 1), (3600, 2)]
)
def test_the_longer_one_does_not_answer_the_later_the_next_comes(
    lane: Lane[str, str], clock: ManualClock, waited: float, step: float
) -> None:
    """As many as can be out at once, each of which takes as long as none was answered."""
    assert lane.room(clock())
    clock.advance(waited)
    assert seconds_until(lane, clock, 3) == [1.0, 1 + step, 1 + 2 * step]


def test_nothing_is_put_off_for_more_than_ten_minutes(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    assert lane.room(clock())
    clock.advance(60)
    assert max(seconds_until(lane, clock, 1000)) == 600


def test_something_is_expected_while_it_answers_and_what_was_put_off_comes_due(
    lane: Lane[str, str], clock: ManualClock
) -> None:
    assert not lane.expects(clock())
    answers(lane, clock, 10)
    lane.put_off(clock())
    assert lane.expects(clock() + timedelta(seconds=1))
    assert not lane.expects(clock() + timedelta(seconds=3))

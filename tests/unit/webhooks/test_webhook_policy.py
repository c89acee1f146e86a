from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.webhooks.backoff import RETRY_AFTER_CAP, RetrySchedule, parse_retry_after
from remit.webhooks.policy import MOVES, RULES, Action, Decision, Reason, Status, action_for, decide

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FAR = NOW + timedelta(hours=24)
SCHEDULE = RetrySchedule()


def decision(answer: int | None, **changes) -> Decision:
    arguments = {
        "status": Status.PENDING,
        "attempts": 1,
        "deliver_before": FAR,
        "now": NOW,
        "schedule": SCHEDULE,
        "random": 0.0,
    } | changes
    return decide(answer, arguments.pop("retry_after", None), **arguments)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.first}-{rule.last}")
def test_each_row_of_the_table_decides_what_it_says(rule) -> None:
    outcome = {
        Action.DELIVERED: Decision(Status.DELIVERED),
        Action.RETRY: Decision(Status.PENDING, NOW + timedelta(seconds=2)),
        Action.RETRY_AFTER: Decision(Status.PENDING, NOW + timedelta(seconds=77)),
    }
    made = decision(rule.first, retry_after=timedelta(seconds=77))
    if rule.action is Action.DISABLE:
        assert (made.status, made.next_attempt) == (Status.FAILED, None)
        assert made.reason is Reason.GONE
        assert str(rule.first) in made.detail
    else:
        assert made == outcome[rule.action]


@pytest.mark.parametrize("answer", [None, 100, 302, 308, 404, 500, 504, 600, 999])
def test_everything_else_is_retried(answer: int | None) -> None:
    assert action_for(answer) is Action.RETRY


def test_the_fifth_failure_makes_it_failed_and_still_retried() -> None:
    statuses = [decision(500, attempts=n).status for n in range(1, 8)]
    assert statuses == [Status.PENDING] * 4 + [Status.FAILED] * 3
    assert all(decision(500, attempts=n).next_attempt for n in range(1, 8))


def test_what_is_final_stays_final() -> None:
    assert MOVES[Status.DELIVERED] == MOVES[Status.EXPIRED] == frozenset()


@given(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from([status for status in Status if MOVES[status]]),
            "attempts": st.integers(1, 10_000),
            "deliver_before": st.integers(1, 90_000).map(lambda s: NOW + timedelta(seconds=s)),
            "retry_after": st.none() | st.integers(0, 100_000).map(lambda s: timedelta(seconds=s)),
            "random": st.floats(0, 1, exclude_max=True),
        }
    ),
    st.none() | st.integers(100, 999),
)
def test_every_decision_is_an_allowed_move_within_the_lifetime(case, answer) -> None:
    wait = case["retry_after"]
    made = decision(answer, **case)
    assert made.status in MOVES[case["status"]]
    if made.next_attempt is None:
        assert made.status is Status.DELIVERED or made.reason
    else:
        assert NOW < made.next_attempt < case["deliver_before"]
        if answer in {429, 503} and wait is not None:
            assert made.next_attempt >= NOW + wait
            assert made.next_attempt <= NOW + max(wait, timedelta(hours=1)) * 1.2


def test_a_retry_after_beyond_the_lifetime_expires_it() -> None:
    made = decision(429, retry_after=timedelta(hours=1), deliver_before=NOW + timedelta(minutes=59))
    assert made.status is Status.EXPIRED
    assert made.reason is Reason.EXPIRED
    assert made.detail == "not delivered in 1 attempts"


def test_the_burst_doubles_and_the_tail_doubles_up_to_an_hour() -> None:
    waits = [SCHEDULE.wait(n, 0).total_seconds() for n in range(1, 14)]
    assert waits == [2, 4, 8, 16, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_an_endpoints_own_waits_are_used_and_the_last_one_is_repeated() -> None:
    own = RetrySchedule(waits=(timedelta(seconds=5), timedelta(minutes=5)))
    assert [own.wait(n, 0).total_seconds() for n in (1, 2, 3, 10**6)] == [5, 300, 300, 300]


@pytest.mark.parametrize(
    ("given", "waits"),
    [((1,), (1, 60, 60)), ((5, 59), (5, 59, 60)), ((300, 5), (300, 5, 60)), ((61,), (61, 61, 61))],
    ids=str,
)
def test_own_waits_however_they_were_stored_are_repeated_once_a_minute_at_the_most(
    given: tuple[int, ...], waits: tuple[int, ...]
) -> None:
    own = RetrySchedule(waits=tuple(timedelta(seconds=seconds) for seconds in given))
    assert tuple(own.wait(n, 0).total_seconds() for n in (1, 2, 3)) == waits


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50))
def test_in_a_day_no_schedule_makes_more_than_1490_attempts(seconds: list[int]) -> None:
    own = RetrySchedule(waits=tuple(timedelta(seconds=one) for one in seconds))
    age, attempts = timedelta(), 1
    while (age := age + own.wait(attempts, 0)) < timedelta(days=1):
        attempts += 1
    assert attempts <= 1490  # 51 in the first 50 seconds, and one a minute then


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_jitter_lengthens_by_at_most_a_fifth(attempts: int, random: float) -> None:
    base, wait = SCHEDULE.wait(attempts, 0), SCHEDULE.wait(attempts, random)
    assert base <= wait <= base * 1.2
    if attempts < SCHEDULE.burst_attempts:
        assert wait <= SCHEDULE.longest_burst_wait


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("00000000000000000060", 60),
        ("0000000000000000", 0),
        ("99999999999999999999", RETRY_AFTER_CAP.total_seconds()),
        ("Mon, 23 Nov 2026 12:02:00 GMT", 120),
        ("Monday, 23-Nov-26 12:02:00 GMT", 120),
        ("Mon Nov 23 12:02:00 2026", 120),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Wed, 25 Nov 2026 12:00:00 GMT", RETRY_AFTER_CAP.total_seconds()),
    ],
)
def test_retry_after_in_both_forms(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "1.5", "Mon, 99 Foo 2026", "²"])
def test_a_retry_after_that_says_nothing_is_ignored(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None


@given(st.text())
def test_no_retry_after_is_an_error(value: str) -> None:
    wait = parse_retry_after(value, NOW)
    assert wait is None or timedelta() <= wait <= RETRY_AFTER_CAP

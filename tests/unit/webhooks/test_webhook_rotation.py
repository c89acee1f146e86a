from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.clock import format_instant, parse_instant
from remit.errors import Conflict
from remit.webhooks.rotation import MAX_SECRETS, check_overlap, rotated
from tests.support.webhooks import NOW

HOUR = timedelta(hours=1)
FRESH = {"id": "fresh", "sealed": "f"}


def secret(id: str, ends_in: timedelta | None = None) -> dict[str, Any]:
    """A secret as stored."""
    end = {} if ends_in is None else {"expiresAt": format_instant(NOW + ends_in)}
    return {"id": id, "sealed": id, "createdAt": "2026-11-01T00:00:00.000000Z", **end}


def test_the_current_secret_gets_an_end_and_keeps_all_else() -> None:
    assert rotated([secret("1")], FRESH, NOW, HOUR) == [secret("1", HOUR), FRESH]


def test_a_shorter_overlap_holds_for_all_and_a_longer_one_gives_no_more_time() -> None:
    before = [secret("1", 2 * HOUR), secret("2", 9 * HOUR), secret("3")]
    after = rotated(before, FRESH, NOW, 3 * HOUR)
    assert after == [secret("1", 2 * HOUR), secret("2", 3 * HOUR), secret("3", 3 * HOUR), FRESH]


def test_what_has_ended_is_left_out() -> None:
    before = [secret("1", -HOUR), secret("2", timedelta()), secret("3")]
    assert [one["id"] for one in rotated(before, FRESH, NOW, HOUR)] == ["3", "fresh"]


def test_no_overlap_leaves_the_fresh_one_alone() -> None:
    before = [secret(str(number), HOUR) for number in range(9)]
    assert rotated([*before, secret("9")], FRESH, NOW, timedelta()) == [FRESH]


def test_too_many_are_a_conflict_that_says_when_the_next_one_ends() -> None:
    before = [secret("1", 4 * HOUR), secret("2", HOUR), secret("3", HOUR), secret("4", HOUR)]
    assert len(rotated(before, FRESH, NOW, 4 * HOUR)) == MAX_SECRETS
    with pytest.raises(Conflict, match="2026-11-23T13:00:00"):
        rotated([*before, secret("5")], FRESH, NOW, 4 * HOUR)


@given(
    ends=st.lists(st.none() | st.integers(-9, 9).map(lambda n: n * HOUR), max_size=8),
    overlap=st.integers(0, 9).map(lambda n: n * HOUR),
)
def test_no_old_secret_signs_longer_than_before_or_than_the_overlap(
    ends: list[timedelta | None], overlap: timedelta
) -> None:
    before = {str(number): end for number, end in enumerate(ends)}
    try:
        *old, last = rotated([secret(i, end) for i, end in before.items()], FRESH, NOW, overlap)
    except Conflict:
        assert overlap > timedelta()
        return
    assert last == FRESH
    assert len(old) < MAX_SECRETS
    for one in old:
        end = parse_instant(one["expiresAt"])
        assert NOW < end <= NOW + min(overlap, before[one["id"]] or overlap)


@pytest.mark.parametrize("overlap", [timedelta(), HOUR, timedelta(days=7)])
def test_an_overlap_of_up_to_seven_days_is_allowed(overlap: timedelta) -> None:
    assert list(check_overlap(overlap)) == []


@pytest.mark.parametrize("overlap", [timedelta(days=7, seconds=1), timedelta(seconds=-1)])
def test_another_one_is_not(overlap: timedelta) -> None:
    (error,) = check_overlap(overlap)
    assert (error.field, error.allowed) == ("overlap", "0 (the old ones end now) to 604800 seconds")

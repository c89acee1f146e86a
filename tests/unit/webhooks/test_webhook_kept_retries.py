"""What a task makes the next attempt of itself, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from remit.webhooks.chunk import Held
from remit.webhooks.kept import Kept
from remit.webhooks.retries import Retries

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ENDPOINT = ("m-1", "ep-1")


def held(key: str, seconds: int) -> Held:
    return Held(key, f"token of {key}", NOW + timedelta(seconds=seconds))


def keep(kept: Kept, one: Held) -> None:
    assert kept.reserve(ENDPOINT)
    kept.keep(one, ENDPOINT)


def test_each_comes_up_when_its_time_has_come_the_earliest_first() -> None:
    retries = Retries([held("c", 3), held("a", 1), held("b", 2)], Kept(10))
    assert retries.due(NOW, 10) == {}
    assert list(retries.due(NOW + timedelta(seconds=2), 10)) == ["a", "b"]
    assert retries.due(NOW + timedelta(seconds=9), 10) == {"c": "token of c"}
    assert retries.due(NOW + timedelta(seconds=9), 10) == {}


def test_no_more_come_up_than_there_is_room_for() -> None:
    retries = Retries([held("a", 0), held("b", 0), held("c", 0)], Kept(10))
    assert [list(retries.due(NOW, 2)) for _ in range(2)] == [["a", "b"], ["c"]]


def test_what_is_kept_since_comes_up_too_and_gives_its_place_back() -> None:
    kept = Kept(1)
    retries = Retries([held("a", 2)], kept)
    keep(kept, held("b", 1))
    assert not kept.reserve(ENDPOINT)
    assert list(retries.due(NOW + timedelta(seconds=2), 10)) == ["b", "a"]
    assert kept.reserve(ENDPOINT)


def test_what_could_not_begin_comes_up_again_and_is_left_to_the_next_try_until_then() -> None:
    retries = Retries([held("a", 0)], Kept(10))
    tokens = retries.due(NOW, 10)
    assert retries.all() == [held("a", 0)]
    retries.again(tokens)
    assert retries.due(NOW, 10) == tokens
    retries.begin(tokens)
    assert (retries.all(), bool(retries)) == ([], False)


def test_what_is_given_back_does_not_come_up_any_more() -> None:
    kept = Kept(10)
    retries = Retries([held("a", 0)], kept)
    keep(kept, held("b", 0))
    assert retries.take_all() == [held("a", 0), held("b", 0)]
    assert (retries.due(NOW, 10), retries.all()) == ({}, [])

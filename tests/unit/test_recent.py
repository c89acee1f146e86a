"""A bounded memory of keys."""

from __future__ import annotations

from remit.recent import Recent


def test_a_key_is_remembered_for_so_many_seconds() -> None:
    recent = Recent(most=10, seconds=2.0)
    recent.note("a", 100.0)
    assert recent.has("a", 101.9)
    assert not recent.has("a", 102.0)
    assert not recent.has("b", 100.0)


def test_what_was_noted_longest_ago_makes_room() -> None:
    recent = Recent(most=2)
    for now, key in enumerate(["a", "b", "a", "c"]):
        recent.note(key, now)
    assert [key for key in "abc" if recent.has(key, 9)] == ["a", "c"]


def test_a_key_can_be_forgotten() -> None:
    recent = Recent(most=2)
    recent.note("a", 1.0)
    recent.forget("a")
    recent.forget("b")
    assert not recent.has("a", 1.0)

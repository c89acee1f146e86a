from __future__ import annotations

import gc
import weakref

import pytest

from remit.garbage import THRESHOLDS, rarely_collected


class Knot:
    """Refers to itself: only the search finds it."""

    def __init__(self) -> None:
        self.me = self


def test_what_is_there_already_is_left_out_of_the_search_for_a_while() -> None:
    before = gc.get_threshold()
    with rarely_collected():
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() == THRESHOLDS
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)


def test_what_becomes_garbage_meanwhile_is_found() -> None:
    with rarely_collected():
        ref = weakref.ref(Knot())
        kept = [[] for _ in range(THRESHOLDS[0] + 1000)]
        assert ref() is None
        assert kept


def test_what_is_wrong_inside_changes_nothing_outside() -> None:
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), rarely_collected():
        _ = 1 / 0
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)


def test_a_process_that_has_frozen_its_objects_keeps_them_so() -> None:
    gc.freeze()
    try:
        with rarely_collected():
            pass
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()

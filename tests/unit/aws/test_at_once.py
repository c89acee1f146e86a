from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from remit.aws import at_once as module
from remit.aws.at_once import at_once

PATIENCE = 5


class _Lost(Exception):
    pass


def nothing() -> None:
    pass


@pytest.fixture
def hangs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """A task that ends after the test."""
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.01)
    over = threading.Event()
    yield lambda: over.wait(PATIENCE) and 1
    over.set()


def test_the_results_come_in_the_order_of_the_tasks() -> None:
    second = threading.Event()

    def first() -> int:
        assert second.wait(PATIENCE), "they do not run at once"
        return 1

    def other() -> int:
        second.set()
        return 2

    assert at_once([first, other], nothing) == [1, 2]


def test_the_first_error_ends_the_wait_for_the_others(hangs: Callable[[], int]) -> None:
    def fails() -> int:
        raise OSError("reset")

    with pytest.raises(OSError, match="reset"):
        at_once([hangs, fails, hangs], nothing)


def test_what_the_check_raises_ends_the_wait_for_all(hangs: Callable[[], int]) -> None:
    looks = iter(range(3))

    def check() -> None:
        if next(looks, None) is None:
            raise _Lost

    with pytest.raises(_Lost):
        at_once([hangs, lambda: 1], check)


def test_without_a_task_there_is_nothing_to_wait_for() -> None:
    assert at_once([], nothing) == []

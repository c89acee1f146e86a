from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from remit.aws import prefetch
from remit.aws.prefetch import prefetched


def test_order_is_kept() -> None:
    assert list(prefetched(range(100))) == list(range(100))


def test_an_error_comes_where_its_element_would_have_come() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("reset")

    elements = prefetched(source())
    assert next(elements) == 1
    with pytest.raises(OSError, match="reset"):
        next(elements)
    with pytest.raises(StopIteration):
        next(elements)


def test_it_reads_ahead_by_its_depth_and_no_further() -> None:
    produced = threading.Semaphore(0)
    count = 0

    def source() -> Iterator[int]:
        nonlocal count
        for n in range(10):
            count += 1
            produced.release()
            yield n

    elements = prefetched(source(), depth=2)
    for _ in range(3):  # two in the queue, one waiting for its place
        assert produced.acquire(timeout=5)
    assert not produced.acquire(timeout=0.05)
    assert count == 3
    assert list(elements) == list(range(10))


def test_closing_early_ends_the_thread_and_does_not_wait_for_it() -> None:
    slow = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        slow.wait(30)
        yield 2

    elements = prefetched(source(), depth=1)
    next(elements)
    elements.close()
    assert elements._thread.is_alive(), "close has waited"
    slow.set()
    elements._thread.join(10)
    assert not elements._thread.is_alive()
    assert list(elements) == []


class _Lost(Exception):
    pass


def test_a_check_ends_the_wait_for_a_slow_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "CHECK_SECONDS", 0.01)
    slow, checks = threading.Event(), 0

    def source() -> Iterator[int]:
        yield 1
        slow.wait(30)

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            raise _Lost

    elements = prefetched(source(), check=check)
    assert next(elements) == 1
    with pytest.raises(_Lost):
        next(elements)
    assert checks == 3
    elements.close()
    slow.set()
    elements._thread.join(10)
    assert not elements._thread.is_alive()


def test_nothing_is_checked_while_elements_are_ready() -> None:
    def check() -> None:
        raise _Lost

    assert list(prefetched(range(1000), check=check)) == list(range(1000))


def test_a_source_that_is_empty_ends() -> None:
    elements = prefetched(())
    assert list(elements) == []
    assert list(elements) == []

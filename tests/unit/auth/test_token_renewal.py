from __future__ import annotations

import logging
import threading

import pytest

from remit.auth.renewal import Outdated, Pace, Renewed
from remit.errors import ConfigurationError, StoreUnavailable

PACE = Pace(period=300, least=30, most_age=3600)


class Source:
    """What is read: it counts how often, and fails as told."""

    def __init__(self) -> None:
        self.reads = 0
        self.error: Exception | None = None
        self.now = 1000.0

    def __call__(self) -> int:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.reads

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def renewed(source: Source) -> Renewed[int]:
    return Renewed("a number", source, PACE, source.monotonic)


def test_before_it_was_read_there_is_no_value(renewed: Renewed[int]) -> None:
    with pytest.raises(Outdated, match="a number: not read yet"):
        renewed.get()
    assert renewed.wait() == 0


def test_a_value_is_given_out_as_it_was_read_last(renewed: Renewed[int], source: Source) -> None:
    renewed.renew()
    assert [renewed.get(), renewed.get()] == [1, 1]
    renewed.renew()
    assert renewed.get() == 2


def test_it_is_read_again_after_a_period(renewed: Renewed[int], source: Source) -> None:
    renewed.renew()
    source.now += 100
    assert renewed.wait() == 200
    source.now += 250
    assert renewed.wait() == 0


def test_while_it_cannot_be_read_the_last_value_stays(
    renewed: Renewed[int], source: Source
) -> None:
    renewed.renew()
    source.error = StoreUnavailable("down")
    source.now += 3600
    renewed.renew()
    assert renewed.get() == 1
    assert renewed.wait() == 30
    source.now += 1
    with pytest.raises(Outdated, match="not read for 3601 seconds"):
        renewed.get()
    source.error = None
    renewed.renew()
    assert renewed.get() == 3


def test_a_failure_is_told_once_and_so_is_its_end(
    renewed: Renewed[int], source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        source.error = StoreUnavailable("down")
        renewed.renew()
        renewed.renew()
        source.error = None
        renewed.renew()
        renewed.renew()
    assert [record.getMessage() for record in caplog.records] == [
        "a number: cannot be read: down",
        "a number: read again",
    ]


def test_a_bug_does_not_end_the_thread(
    renewed: Renewed[int], source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    source.error = KeyError("a bug")
    renewed.renew()
    assert "a number: cannot be read" in caplog.text
    assert "KeyError" in caplog.text


def test_who_reads_it_at_once_is_told_of_a_failure(renewed: Renewed[int], source: Source) -> None:
    source.error = ConfigurationError("wrong")
    with pytest.raises(ConfigurationError, match="wrong"):
        renewed.load()


def test_an_early_renewal_is_made_once_for_a_while(renewed: Renewed[int], source: Source) -> None:
    renewed.renew()
    renewed.hasten()
    assert not renewed._early.is_set()
    source.now += 30
    renewed.hasten()
    assert renewed._early.is_set()


def test_a_thread_reads_it_and_ends() -> None:
    read = threading.Event()

    def load() -> str:
        read.set()
        return "value"

    renewed = Renewed("text", load, PACE)
    renewed.start()
    renewed.start()
    assert read.wait(10)
    assert [thread.name for thread in threading.enumerate()].count("text") == 1
    renewed.stop()
    assert "text" not in [thread.name for thread in threading.enumerate()]
    assert renewed.get() == "value"


def test_a_thread_that_is_gone_is_started_again() -> None:
    """As in the child of a fork, which has the object and not its thread."""
    reads: list[int] = []
    read = threading.Event()

    def load() -> None:
        reads.append(1)
        read.set()

    renewed = Renewed("again", load, Pace(period=3600, least=0, most_age=3600))
    for times in (1, 2):
        renewed.start()
        renewed.hasten()
        assert read.wait(10)
        renewed.stop()
        read.clear()
        assert len(reads) == times


def test_the_thread_reads_early_when_asked() -> None:
    reads: list[int] = []
    twice = threading.Event()

    def load() -> int:
        reads.append(1)
        if len(reads) == 2:
            twice.set()
        return len(reads)

    renewed = Renewed("numbers", load, Pace(period=3600, least=0, most_age=3600))
    renewed.load()
    renewed.start()
    renewed.hasten()
    assert twice.wait(10)
    renewed.stop()
    assert len(reads) == 2


def test_what_was_read_before_the_thread_began_is_not_read_at_once() -> None:
    reads: list[int] = []
    renewed = Renewed("once", lambda: reads.append(1), PACE)
    renewed.load()
    renewed.start()
    renewed.stop()
    assert len(reads) == 1

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from demo.signals import Interrupted, raise_on_signals, uninterrupted


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {signum: signal.getsignal(signum) for signum in signals}
    raise_on_signals()
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(
    ("signum", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_signal_raises_with_the_exit_code_of_shells(signum: int, exit_code: int) -> None:
    with pytest.raises(Interrupted) as interrupted:
        signal.raise_signal(signum)
    assert interrupted.value.exit_code == exit_code


def test_a_signal_waits_for_the_end_of_the_block() -> None:
    reached = []

    def work() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(Interrupted):
        work()
    assert reached == ["the end"]


def test_the_first_of_several_signals_counts() -> None:
    def work() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted) as interrupted:
        work()
    assert interrupted.value.exit_code == 143


def test_a_quiet_block_changes_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_need_no_protection() -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with uninterrupted():
                pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []

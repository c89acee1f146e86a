"""Ctrl-C and its relatives: they end the program, but never half-way through starting a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """The program was told to end; `exit_code` is what shells expect then (130 for Ctrl-C)."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


def raise_on_signals() -> None:
    """Make SIGINT, SIGTERM and SIGHUP raise `Interrupted`, so that `finally` blocks run."""
    for signum in _ENDING:
        signal.signal(signum, _raise)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold these signals back for the length of the block; the first one then takes effect."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs signal handlers in the main thread only
        return
    arrived: list[int] = []
    previous = {
        signum: signal.signal(signum, lambda number, _: arrived.append(number))
        for signum in _ENDING
    }
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
        for number in arrived[:1]:
            signal.raise_signal(number)


def _raise(signum: int, _: FrameType | None) -> NoReturn:
    raise Interrupted(signum)

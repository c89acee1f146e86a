"""Values that come from outside and change: they are read again on a thread of their own.

Whoever needs one has it at once, as it was when it was last read, so that no request and no event
loop ever waits for a file, a server or a table. How old it may be is bounded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from remit.errors import RemitError, Transient

log = logging.getLogger(__name__)

T = TypeVar("T")


class Outdated(Transient):
    """A value has not been read for too long, or not yet."""


@dataclass(frozen=True)
class Pace:
    """How often a value is read, in seconds."""

    period: float
    """From one time to the next."""
    least: float
    """The same after a failure, and if somebody asks for it early."""
    most_age: float
    """A value that is older is no longer given out."""


class Renewed(Generic[T]):
    """A value and the thread that renews it. `load` reads it, and may take its time.

    The thread ends with the process. After a fork the child's own is started when it is needed.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], T],
        pace: Pace,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._load = load
        self._pace = pace
        self._monotonic = monotonic
        self._held: tuple[T, float] | None = None  # replaced as a whole: readers take no lock
        self._asked_at = float("-inf")
        self._failed = False
        self._early = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = False

    def get(self) -> T:
        """The value. Waits for nothing.

        Raises:
            Outdated: it could not be read for too long, or has not been read yet.
        """
        held = self._held
        if held is None:
            raise Outdated(f"{self._name}: not read yet")
        value, read_at = held
        if (age := self._monotonic() - read_at) > self._pace.most_age:
            raise Outdated(f"{self._name}: not read for {age:.0f} seconds")
        return value

    def start(self) -> None:
        """Let the thread run, if it does not. Costs next to nothing if it does."""
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._ended = False
                    self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for a reading that is under way. It can be started again."""
        self._ended = True
        self._early.set()
        if self._thread is not None:
            self._thread.join()

    def hasten(self) -> None:
        """Ask for an early renewal. However often: one for each `least` seconds is made."""
        if self._monotonic() - self._asked_at >= self._pace.least:
            self._early.set()

    def load(self) -> None:
        """Read the value now, and wait for it.

        Raises:
            Exception: whatever reading it raises; the old value stays.
        """
        self._asked_at = self._monotonic()
        try:
            value = self._load()
        except BaseException:
            self._failed = True
            raise
        self._held = (value, self._asked_at)
        if self._failed:
            log.info("%s: read again", self._name)
        self._failed = False

    def renew(self) -> None:
        """Read the value now. A failure goes into the log, once until it can be read again."""
        had_failed = self._failed
        try:
            self.load()
        except (RemitError, OSError) as error:
            if not had_failed:
                log.error("%s: cannot be read: %s", self._name, error)  # noqa: TRY400 - no stack
        except Exception:
            # The thread has to go on: nobody would start another.
            if not had_failed:
                log.exception("%s: cannot be read", self._name)

    def wait(self) -> float:
        """Seconds until the value is to be read again."""
        if self._held is None and not self._failed:
            return 0.0
        period = self._pace.least if self._failed else self._pace.period
        return max(0.0, self._asked_at + period - self._monotonic())

    def _run(self) -> None:
        while True:
            self._early.wait(self.wait())
            self._early.clear()
            if self._ended:
                return
            self.renew()

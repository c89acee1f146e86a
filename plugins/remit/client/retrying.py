"""How often the client tries, and how long it waits in between.

Full jitter: a wait is anything between nothing and a bound that doubles, so that clients that
failed together do not come back together
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from remit.clock import Clock, system_clock


@dataclass(frozen=True)
class Timing:
    """Time and chance, as the client sees them."""

    # The process is the merchant's own: SIGTERM ends a sleep in it.
    sleep: Callable[[float], None] = time.sleep  # noqa: TID251
    monotonic: Callable[[], float] = time.monotonic
    clock: Clock = system_clock
    random: Callable[[], float] = random.random


@dataclass(frozen=True)
class RetryPolicy:
    """Bounds of the tries of one operation. All times are in seconds."""

    tries: int = 8
    longest_total: float = 180.0
    """No wait begins that would end later than this after the first try began."""
    first_wait: float = 0.5
    """The bound of the wait after the first try. It doubles with every try."""
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0
    """The server may ask for so much patience; if for more, it is asked again after this."""

    def wait(self, tries: int, random: float, retry_after: float | None = None) -> float:
        """The wait after so many tries (at least 1); `random` is in [0, 1). Never before what the
        server asked for, and a little after it, as others were told the same."""
        if retry_after is not None:
            return min(retry_after, self.longest_retry_after) + random * self.first_wait
        doubled = self.first_wait * 2.0 ** min(tries - 1, 32)
        return random * min(doubled, self.longest_wait)


@dataclass(frozen=True)
class Polling:
    """Pauses between looks at an export: they grow, because a small one takes seconds and a large
    one many minutes. In seconds."""

    first: float = 0.2
    growth: float = 1.4
    longest: float = 5.0

    def pause(self, looks: int) -> float:
        """The pause after so many looks (at least 1)."""
        return min(self.first * self.growth ** min(looks - 1, 100), self.longest)


class Tries:
    """The tries of one operation, counted from now on."""

    def __init__(self, policy: RetryPolicy, timing: Timing) -> None:
        self._policy = policy
        self._timing = timing
        self.begin()

    def begin(self) -> None:
        """Count from now on: the operation is new, or has got on."""
        self.failed = 0
        self._end = self._timing.monotonic() + self._policy.longest_total

    def again(self, retry_after: float | None = None) -> bool:
        """One has failed. Wait for the next; False, at once, if there is none any more."""
        self.failed += 1
        if self.failed >= self._policy.tries:
            return False
        wait = self._policy.wait(self.failed, self._timing.random(), retry_after)
        if self._timing.monotonic() + wait > self._end:
            return False
        self._timing.sleep(wait)
        return True

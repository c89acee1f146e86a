"""How fast to read: a budget of capacity units per second, and less than that while throttled."""

from __future__ import annotations

import time
from collections.abc import Callable

_SLOWER = 0.5
_FASTER = 1.1
_NO_LIMIT = float("inf")
_LEAST = 128.0
"""Units per second that throttling leaves: a full page, of 1 MB at half a unit per 4 KB."""


class Pace:
    """Tells how long to wait before the next page.

    A page's units are known when it has arrived, so it is the next page that waits for them. Being
    throttled halves the rate that was reached; every page that passes afterwards raises it by a
    tenth, up to the budget (the way TCP shares a line).
    """

    def __init__(
        self, budget: float | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._budget = budget or _NO_LIMIT
        self._rate = self._budget
        self._monotonic = monotonic
        self._started = monotonic()
        self._due = self._started
        self._taken = 0.0

    def wait_seconds(self) -> float:
        """How long the next page has to wait."""
        return max(0.0, self._due - self._monotonic())

    def took(self, units: float) -> None:
        """A page has arrived, and has consumed so many capacity units."""
        self._taken += units
        if self._rate < _NO_LIMIT:
            self._due = max(self._due, self._monotonic()) + units / self._rate
            self._rate = min(self._rate * _FASTER, self._budget)

    def throttled(self) -> None:
        """DynamoDB asked to slow down. Before anything was read there is no rate to halve: to back
        off is enough then."""
        if not self._taken:
            return
        reached = self._taken / max(self._monotonic() - self._started, 0.001)
        self._rate = min(max(min(self._rate, reached) * _SLOWER, _LEAST), self._budget)

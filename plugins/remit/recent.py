"""A bounded memory of keys."""

from __future__ import annotations

import math
from collections import OrderedDict


class Recent:
    """Keys that were noted lately: the last `most` of them, each for so many `seconds`."""

    def __init__(self, most: int, seconds: float = math.inf) -> None:
        self._most = most
        self._seconds = seconds
        # A plain dictionary looks for its first key among all that were taken out before.
        self._noted: OrderedDict[str, float] = OrderedDict()

    def note(self, key: str, now: float) -> None:
        """Remember a key; `now` is in seconds of a monotonic clock."""
        self._noted[key] = now
        self._noted.move_to_end(key)
        if len(self._noted) > self._most:
            self._noted.popitem(last=False)

    def forget(self, key: str) -> None:
        """Forget a key, if it is there."""
        self._noted.pop(key, None)

    def has(self, key: str, now: float) -> bool:
        """Whether a key was noted, and not too long ago."""
        noted = self._noted.get(key)
        return noted is not None and now - noted < self._seconds

"""Webhooks that a deliverer keeps claimed until their next attempt, which is soon.

A few of each endpoint: one that refuses everything at once, and quickly, would else have all the
places, and its retries would be all that a task does. The others go back to the queue.
"""

from __future__ import annotations

from collections import Counter

from remit.webhooks.chunk import Held
from remit.webhooks.endpoint import EndpointKey

MOST_OF_ONE = 16
"""Of one endpoint."""


class Kept:
    """What is kept, up to `most` webhooks."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[str, tuple[Held, EndpointKey]] = {}
        self._news: list[Held] = []
        self._places: Counter[EndpointKey] = Counter()

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def reserve(self, endpoint: EndpointKey) -> bool:
        """Take a place for one whose outcome is about to be written; False: there is none."""
        if self._places[endpoint] >= MOST_OF_ONE or self._places.total() >= self._most:
            return False
        self._places[endpoint] += 1
        return True

    def keep(self, held: Held, endpoint: EndpointKey) -> None:
        """It is written, and takes the place that was reserved."""
        self._held[held.id] = (held, endpoint)
        self._news.append(held)

    def cancel(self, endpoint: EndpointKey) -> None:
        """It is another's, or not written: the place is free."""
        self._places[endpoint] -= 1
        if not self._places[endpoint]:
            del self._places[endpoint]

    def take(self, key: str) -> Held | None:
        """Take one out, for its next attempt."""
        if (found := self._held.pop(key, None)) is None:
            return None
        held, endpoint = found
        self.cancel(endpoint)
        return held

    def take_all(self) -> list[Held]:
        """Take all out, to give them back."""
        taken = [self.take(key) for key in list(self._held)]
        return [held for held in taken if held is not None]

    def all(self) -> list[Held]:
        """Everything that is kept."""
        return [held for held, _ in self._held.values()]

    def news(self) -> list[Held]:
        """What was kept since this was asked last."""
        news, self._news = self._news, []
        return news

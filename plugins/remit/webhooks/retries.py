"""The webhooks that a task makes the next attempt of itself: what the try before it left to this
one, and what was kept since. Each comes up when its time has come."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime

from remit.webhooks.chunk import Held
from remit.webhooks.kept import Kept


class Retries:
    """The earliest first. `kept` is where those of this try are put."""

    def __init__(self, held: Iterable[Held], kept: Kept) -> None:
        self._kept = kept
        self._awaited = {one.id: one for one in held}
        self._order = [(one.next_attempt, one.id) for one in self._awaited.values()]
        heapq.heapify(self._order)

    def __bool__(self) -> bool:
        """Whether the try before left something that has not begun yet."""
        return bool(self._awaited)

    def due(self, now: datetime, most: int) -> dict[str, str]:
        """Those whose next attempt has come, each with its token: either they begin, or they come
        up `again`."""
        for held in self._kept.news():
            heapq.heappush(self._order, (held.next_attempt, held.id))
        tokens: dict[str, str] = {}
        while self._order and self._order[0][0] <= now and len(tokens) < most:
            _, key = heapq.heappop(self._order)
            if (kept := self._kept.take(key)) is not None:
                self._awaited[key] = kept
            if (awaited := self._awaited.get(key)) is not None:
                tokens[key] = awaited.token
        return tokens

    def again(self, keys: Iterable[str]) -> None:
        """They could not begin."""
        for key in keys:
            heapq.heappush(self._order, (self._awaited[key].next_attempt, key))

    def begin(self, keys: Iterable[str]) -> None:
        """They are looked at: attempted, or not ours any more."""
        for key in keys:
            self._awaited.pop(key, None)

    def all(self) -> list[Held]:
        """What the next try shall go on with."""
        return [*self._awaited.values(), *self._kept.all()]

    def take_all(self) -> list[Held]:
        """Take all out, to give them back."""
        taken = [*self._awaited.values(), *self._kept.take_all()]
        self._awaited.clear()
        return taken

"""Which webhooks are due, page by page over all shards, again and again as long as work comes."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from remit.aws.items import Item
from remit.clock import Clock, format_instant
from remit.webhooks.reader import Reader

PAGE = 100  # entries of one shard at a time
_AFTER_WORK_SECONDS = 0.05
_TIMES_AS_LONG = 2  # as the first pages of a pass took, between it and the next one
_AFTER_LEAVING_SECONDS = 0.5
_AFTER_NOTHING_SECONDS = 1.0


class Feed:
    """What is due in some shards. A pass goes through all of them to their end.

    The shards come in another order every time: deliverers that begin together meet seldom. Within
    a shard the longest due come first.
    """

    def __init__(
        self,
        reader: Reader,
        shards: Iterable[int],
        clock: Clock,
        monotonic: Callable[[], float],
        shuffle: Callable[[list[int]], None] = random.shuffle,
    ) -> None:
        self._reader = reader
        self._shards = list(shards)
        self._clock = clock
        self._monotonic = monotonic
        self._shuffle = shuffle
        self._items: deque[Item] = deque()
        self._next: dict[int, Mapping[str, Any]] = {}
        self._until = ""
        self._next_pass_at = float("-inf")
        self.passes = 0
        """The number of the pass under way, or of the last one."""

    async def take(self, limit: int, is_news: Callable[[str], bool]) -> list[Item]:
        """Up to so many entries of the index that are news; none while the next pass is not due.

        What waits in a lane, for one, is still in the index and found by every pass: what is news
        must not come in dribs and drabs because of it.

        Raises:
            StoreUnavailable: the index could not be read.
        """
        if not self._items:
            await self._refill()
        taken: list[Item] = []
        while self._items and len(taken) < limit:
            entry = self._items.popleft()
            if is_news(entry["id"]):
                taken.append(entry)
        return taken

    def wait_seconds(self) -> float:
        """How long until there is something to take, or to look for; 0: now."""
        if self._items or self._next:
            return 0.0
        return max(0.0, self._next_pass_at - self._monotonic())

    def leave(self) -> None:
        """Something that was taken is left as it is: it will be there in the next pass, which need
        not begin at once."""
        wait = self._monotonic() + _AFTER_LEAVING_SECONDS
        self._next_pass_at = max(self._next_pass_at, wait)

    async def _refill(self) -> None:
        if self._next:
            pages, self._next = self._next, {}
            await self._query(pages)
        elif self._monotonic() >= self._next_pass_at:
            self._until = format_instant(self._clock())
            self._shuffle(self._shards)
            self.passes += 1
            began = self._monotonic()
            await self._query(dict.fromkeys(self._shards))
            ended = self._monotonic()
            # A store that is slow has better to do than to be asked the same again and again.
            soon = max(_AFTER_WORK_SECONDS, (ended - began) * _TIMES_AS_LONG)
            wait = min(soon, _AFTER_NOTHING_SECONDS) if self._items else _AFTER_NOTHING_SECONDS
            self._next_pass_at = ended + wait

    async def _query(self, starts: Mapping[int, Mapping[str, Any] | None]) -> None:
        pages = await asyncio.gather(
            *(self._reader.due(shard, self._until, PAGE, start) for shard, start in starts.items())
        )
        for shard, page in zip(starts, pages, strict=True):
            self._items += page.items
            if page.next is not None:
                self._next[shard] = page.next

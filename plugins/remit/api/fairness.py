"""No merchant holds all threads: each has some at a time, and waits for them by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from anyio import Semaphore

EACH = 8
"""Threads that the requests of one merchant may hold at a time: a quarter of all."""

MERCHANT: ContextVar[str | None] = ContextVar("remit_merchant", default=None)
"""Whose request is served; None: nobody's."""


@dataclass
class _Places:
    free: Semaphore
    users: int = 0


class Fairness:
    """Remembers the merchants that have requests under way, and no others."""

    def __init__(self, each: int = EACH) -> None:
        self._each = each
        self._places: dict[str, _Places] = {}

    def __len__(self) -> int:
        """How many merchants are remembered."""
        return len(self._places)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the places of the merchant that is served, once one is free."""
        merchant = MERCHANT.get()
        if merchant is None:
            yield
            return
        places = self._places.get(merchant)
        if places is None:
            places = self._places[merchant] = _Places(Semaphore(self._each, fast_acquire=True))
        places.users += 1
        try:
            async with places.free:
                yield
        finally:
            places.users -= 1
            if not places.users:
                del self._places[merchant]

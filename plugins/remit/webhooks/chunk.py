"""A chunk: the webhooks that one delivery task holds from its first try to its last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from remit.clock import format_instant, parse_instant
from remit.errors import Transient

if TYPE_CHECKING:  # a DAG file imports this module, and botocore is slow to import
    from remit.queue import DueQueue


@dataclass(frozen=True)
class Held:
    """One webhook of a chunk. Without a `token` it is only known to be due and not claimed yet."""

    id: str
    token: str | None
    next_attempt: datetime


@dataclass(frozen=True)
class Chunk:
    """What the next try of the same task goes on with; about 90 bytes of JSON per webhook."""

    held: tuple[Held, ...] = ()

    @classmethod
    def due(cls, queue: DueQueue, limit: int, shards: Iterable[int], now: datetime) -> Chunk:
        """A chunk of up to `limit` webhooks that are due, the longest due first."""
        return cls(tuple(Held(key, None, now) for key in queue.due(limit, shards)))

    def waves(self, now: datetime) -> Iterator[tuple[datetime, list[Held]]]:
        """The webhooks grouped by the moment of their attempt: at once, or on a full second.

        Full seconds, rounded up and so never early, because every wave reads its records together.
        """

        def moment(held: Held) -> datetime:
            return now if held.next_attempt <= now else _next_second(held.next_attempt)

        for start, wave in groupby(sorted(self.held, key=moment), key=moment):
            yield start, list(wave)

    def to_json(self) -> dict[str, Any]:
        """The chunk as plain JSON values."""
        return {
            "held": [[held.id, held.token, format_instant(held.next_attempt)] for held in self.held]
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Chunk:
        """The chunk that `to_json` wrote."""
        return cls(tuple(Held(key, token, parse_instant(at)) for key, token, at in saved["held"]))


class DeliveryPending(Transient):
    """Webhooks of the chunk are to be tried again, the first of them at `next_attempt`."""

    def __init__(self, chunk: Chunk) -> None:
        self.next_attempt = min(held.next_attempt for held in chunk.held)
        super().__init__(
            f"{len(chunk.held)} webhooks are to be tried again, "
            f"the first at {format_instant(self.next_attempt)}"
        )


def _next_second(instant: datetime) -> datetime:
    return instant.replace(microsecond=0) + timedelta(seconds=1 if instant.microsecond else 0)

"""A chunk: the webhooks that a delivery task holds from one try to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remit.clock import format_instant, parse_instant
from remit.errors import Transient


@dataclass(frozen=True)
class Held:
    """One webhook of a chunk, and the token of its claim."""

    id: str
    token: str
    next_attempt: datetime


@dataclass(frozen=True)
class Chunk:
    """What the next try of the same task goes on with; about 90 bytes of JSON per webhook."""

    held: tuple[Held, ...] = ()

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

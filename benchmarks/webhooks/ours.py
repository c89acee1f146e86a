"""The one place where the benchmark calls Remit's delivery."""

from __future__ import annotations

from collections.abc import Mapping

from remit.services import Services
from remit.stop import Stop
from remit.webhooks.chunk import Chunk
from remit.webhooks.delivery import deliver


def one_try(services: Services, stop: Stop) -> Mapping[str, int]:
    """One try of a delivery task, which keeps nothing for another; what became of how many."""
    return deliver(services, stop, save=lambda _: None, last_try=True).counts


class Task:
    """A delivery task of many tries, none of them the last: each keeps what is to be sent again
    soon, and goes on with what the one before has kept, as a deployment's tasks do."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._chunk = Chunk()

    def one_try(self, stop: Stop) -> Mapping[str, int]:
        """One of its tries; what became of how many."""
        chunk, self._chunk = self._chunk, Chunk()
        return deliver(self._services, stop, chunk, save=self._save, last_try=False).counts

    def _save(self, chunk: Chunk) -> None:
        self._chunk = Chunk.from_json(chunk.to_json())

"""The receiver's process from the other side: what has arrived there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.figures import BenchmarkFailed
from benchmarks.processes import serving

_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that arrived: the webhook's id, the endpoint's path, when (seconds since 1970) and
    how many bytes its body had."""

    id: str
    path: str
    at: float
    bytes: int


@dataclass(frozen=True)
class Sample:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


class Inbox:
    """What the receiver at a URL has received."""

    def __init__(self, url: str) -> None:
        self.url = url

    def count(self) -> int:
        """How many requests."""
        return int(self._get("count")["count"])

    def arrivals(self) -> list[Arrival]:
        """All of them, in order."""
        found = self._get("arrivals")
        paths = found["paths"]
        return [Arrival(key, paths[n], at, size) for key, n, at, size in found["arrivals"]]

    def samples(self) -> list[Sample]:
        """The latest request of each path."""
        return [
            Sample(one["path"], one["headers"], one["body"].encode())
            for one in self._get("samples")
        ]

    def reset(self) -> None:
        """Forget all of them."""
        self._get("reset", "POST")

    def await_webhooks(
        self, ids: set[str], timeout: float, *, pause: float = _PAUSE_SECONDS
    ) -> None:
        """Wait until each of these webhooks has arrived. Looking costs the receiver something for
        each arrival: a longer `pause` is for many.

        Raises:
            BenchmarkFailed: one has not after so many seconds.
        """
        deadline = time.monotonic() + timeout
        while self.count() < len(ids) or ids - {arrival.id for arrival in self.arrivals()}:
            if time.monotonic() >= deadline:
                missing = len(ids - {arrival.id for arrival in self.arrivals()})
                raise BenchmarkFailed(
                    f"{missing:,} of {len(ids):,} webhooks did not arrive in {timeout:.0f} s"
                )
            time.sleep(pause)

    def _get(self, what: str, method: str = "GET") -> Any:
        request = Request(f"{self.url}/-/{what}", method=method)  # noqa: S310 - our own server
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)


@contextmanager
def inbox() -> Iterator[Inbox]:
    """A receiver in a process of its own, for the length of the block."""
    with serving("benchmarks.webhooks.receiver") as ready:
        yield Inbox(ready["url"])

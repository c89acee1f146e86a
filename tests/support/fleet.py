"""Webhooks by the thousand: a store and a receiver as processes, merchants with several endpoints,
and what has become of all of it."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.webhooks.inbox import Inbox, inbox
from benchmarks.webhooks.store import Store, empty_store
from remit.services import Services
from remit.webhooks.outbox import Outbox
from tests.support.deliverer import short_lease_services
from tests.support.process import worker
from tests.support.webhooks import SECRET, add_endpoint, add_merchant, event

LIVE = {"id": "s-1", "sealed": SECRET}


@dataclass
class Fleet:
    """A deployment with its store and a receiver, each a process."""

    store: Store
    inbox: Inbox
    services: Services
    webhooks: set[str] = field(default_factory=set)
    """The ids of all that were published."""
    events: int = 0

    def add_merchant(self, merchant: str, path: str = "") -> None:
        """A merchant whose default endpoint is a path of the receiver; by default, its own name."""
        add_merchant(self.services, f"{self.inbox.url}/{path or merchant}", id=merchant)

    def add_endpoint(self, merchant: str, id: str, path: str = "", **changes: Any) -> None:
        """One more endpoint of a merchant's; the path is `merchant-id` unless told otherwise."""
        url = f"{self.inbox.url}/{path or f'{merchant}-{id}'}"
        add_endpoint(self.services, id, merchant, url=url, secrets=[LIVE], **changes)

    def publish(self, merchant: str, count: int) -> set[str]:
        """Publish so many events; returns the ids of their webhooks."""
        numbers = range(self.events, self.events + count)
        self.events += count
        published = Outbox(self.services).publish_many(event(n, merchant) for n in numbers)
        keys = {key for one in published for key in one.webhook_ids}
        self.webhooks |= keys
        return keys

    def records(self) -> dict[str, dict[str, Any]]:
        """All webhooks as they are stored."""
        return {item["id"]: item for item in self.store.items("Webhooks")}

    def claims(self) -> set[tuple[str, str]]:
        """The webhooks that are claimed, with their claims."""
        records = self.records().values()
        return {(one["id"], one["claim"]) for one in records if "claim" in one}

    def times(self) -> Counter[str]:
        """How often each webhook has arrived."""
        return Counter(arrival.id for arrival in self.inbox.arrivals())

    def statuses(self, keys: set[str]) -> Counter[str]:
        """How many of these webhooks have which status."""
        return Counter(one["status"] for key, one in self.records().items() if key in keys)

    @contextmanager
    def deliverer(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """A deliverer that has begun; killed at the end of the block if it is still there."""
        with worker("tests.support.deliverer", self.store.url, *options) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"delivering\n"
            yield process


@contextmanager
def fleet(**settings: Any) -> Iterator[Fleet]:
    """A deployment of its own for the length of the block."""
    with empty_store() as store, inbox() as received:
        yield Fleet(store, received, short_lease_services(store.url, **settings))


def left_the_queue(record: Mapping[str, Any]) -> bool:
    """Whether nothing of a place in the queue is left in a record."""
    return {"claim", "dueShard", "dueAt", "waitingFor", "nextRetry"}.isdisjoint(record)


def arrivals_at(received: Inbox, paths: Sequence[str]) -> list[str]:
    """The webhooks that have arrived at these paths, in order."""
    wanted = {f"/{path}" for path in paths}
    return [arrival.id for arrival in received.arrivals() if arrival.path in wanted]

"""Receivers with a behaviour per path, and what is published to them and becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from remit.services import Services
from remit.webhooks.outbox import Outbox
from tests.support.webhooks import Answer, Received, Receiver, event


@dataclass
class Paths:
    """A receiver with a behaviour per path; what has no behaviour is answered with 200 at once."""

    status: dict[str, int] = field(default_factory=dict)
    hang: set[str] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, received: Received, _: int) -> Answer:
        if received.path in self.hang:
            self.let_go.wait(20)
        if received.path in self.seconds:
            threading.Event().wait(self.seconds[received.path])
        return Answer(self.status.get(received.path, 200))


def publish_many(
    services: Services, count: int, merchant: str = "merchant-1", first: int = 1
) -> list[str]:
    """The ids of the webhooks of so many events."""
    events = (event(n, merchant) for n in range(first, first + count))
    published = Outbox(services).publish_many(events)
    return [key for one in published for key in one.webhook_ids]


def records(services: Services, keys: list[str]) -> list[dict[str, Any]]:
    """The webhooks as they are stored."""
    return list(services.tables.webhooks.get_many(keys).values())


def arrived(receiver: Receiver, path: str) -> list[str]:
    """The ids of what has arrived at a path, in order."""
    return [one.id for one in receiver.received if one.path == path]


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until it is true."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        pause.wait(0.02)

"""Builders for tests of replays: dead letters of merchant-1, and a run of what is due."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from remit.audit import Actor
from remit.clock import format_instant
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.outbox import Outbox
from remit.webhooks.replay_filter import ReplayFilter
from remit.webhooks.replay_job import request_replay
from remit.webhooks.replays import run_replays
from tests.support.aws import put_many
from tests.support.webhooks import NOW, event

MERCHANT = "merchant-1"
ACTOR = Actor("ada")
HOUR = timedelta(hours=1)
OUT_OF_QUEUE = dict.fromkeys(("dueShard", "dueAt", "waitingFor"))


def record(services: Services, key: str) -> dict[str, Any]:
    """A webhook's record."""
    found = services.tables.webhooks.get(key)
    assert found is not None
    return found


def change(services: Services, key: str, **changes: Any) -> None:
    """Attributes of a webhook as somebody may have written them; None: without."""
    changed = {**record(services, key), **changes}
    services.tables.webhooks.put({k: v for k, v in changed.items() if v is not None})


def dead_letters(services: Services, numbers: Iterable[int], **changes: Any) -> list[str]:
    """One webhook per number, set aside after its endpoint answered 410; their ids as the index has
    them. Each was created a second after the one before."""
    numbers = list(numbers)
    published = Outbox(services).publish_many([event(number) for number in numbers])
    keys = [key for one in published for key in one.webhook_ids]
    ended = {"status": "failed", "reasonCode": "gone", "reason": "the endpoint answered 410"}
    found = services.tables.webhooks.get_many(keys)
    records = [
        {
            **found[key],
            "createdAt": format_instant(NOW + timedelta(seconds=at)),
            "attempts": 7,
            **ended,
            **OUT_OF_QUEUE,
            **changes,
        }
        for at, key in enumerate(keys)
    ]
    put_many(
        services,
        "Webhooks",
        ({k: v for k, v in one.items() if v is not None} for one in records),
    )
    return sorted(keys)


def window(since: datetime = NOW - HOUR, **changes: Any) -> ReplayFilter:
    """All dead letters, unless told otherwise."""
    return ReplayFilter(since, **changes)


def request(services: Services, wanted: ReplayFilter | None = None, rate: int = 50) -> str:
    """Ask for a replay; returns its id."""
    asked = request_replay(services, MERCHANT, wanted or window(), actor=ACTOR, rate=rate)
    return str(asked["id"])


def run(services: Services, stop: Stop | None = None, seconds: float = 20) -> int:
    """Go on with what is due, in time that stands still."""
    return run_replays(services, stop or Stop(), seconds, monotonic=lambda: 0.0)


def ticking() -> Any:
    """A clock for budgets that moves by a second whenever it is read."""
    return itertools.count().__next__


def job(services: Services, key: str) -> dict[str, Any]:
    """The record of a replay."""
    found = services.tables.replays.get(key)
    assert found is not None
    return found


def counts(services: Services, key: str) -> tuple[int, int, dict[str, int]]:
    """What a replay has matched, replayed and skipped."""
    found = job(services, key)
    return found["matched"], found["replayed"], found["skipped"]

"""A replay of many webhooks as it is stored in `WebhookReplays`: what is asked for, and how far it
is. It waits in a queue of its own; the next minute's survey goes on with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from remit.audit import Actor, AuditLog
from remit.aws.items import Item
from remit.aws.transactions import FAILED_CONDITION, TransactionCanceled, transact
from remit.clock import epoch_seconds, format_instant, parse_instant
from remit.errors import NotFound, RemitError
from remit.ids import ulid
from remit.queue import queued
from remit.services import Services
from remit.webhooks.endpoint import DEFAULT_ENDPOINT
from remit.webhooks.endpoint_records import EndpointRecords, check_merchant
from remit.webhooks.endpoint_request import shown
from remit.webhooks.replay_filter import DEFAULT_RATE, ReplayFilter, check_filter
from remit.webhooks.replay_pages import COUNTED_PAGES, Count, count

_REPLAY_ID = re.compile(r"replay-[0-9a-z]{1,64}")


class JobStatus(StrEnum):
    """What the `status` of a replay may be."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    """Its record cannot be read; it says why."""


class Unreadable(RemitError):
    """The record of a replay was written by others."""


@dataclass
class Progress:
    """How far a replay is: `cursor` is the place that it goes on after, None at the beginning, and
    `last_due_at` when the last webhook that it has put into the queue is due."""

    cursor: Item | None = None
    matched: int = 0
    replayed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    last_due_at: datetime | None = None

    def attributes(self) -> dict[str, Any]:
        """As it is stored; the cursor apart, which is taken away in the end."""
        last = {} if self.last_due_at is None else {"lastDueAt": format_instant(self.last_due_at)}
        counts = {"matched": self.matched, "replayed": self.replayed, "skipped": dict(self.skipped)}
        return {**counts, **last}


@dataclass(frozen=True)
class Job:
    """One replay. `rate` is in webhooks per second."""

    id: str
    merchant_id: str
    wanted: ReplayFilter
    rate: int
    progress: Progress


def job_in(record: Mapping[str, Any]) -> Job:
    """Read a record.

    Raises:
        Unreadable: something is missing or of the wrong type.
    """
    try:
        last = record.get("lastDueAt")
        return Job(
            id=str(record["id"]),
            merchant_id=str(record["merchantID"]),
            wanted=ReplayFilter.from_document(record["filter"]),
            rate=max(int(record["rate"]), 1),
            progress=Progress(
                cursor=record.get("cursor"),
                matched=int(record["matched"]),
                replayed=int(record["replayed"]),
                skipped=Counter(record["skipped"]),
                last_due_at=None if last is None else parse_instant(last),
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"the replay cannot be read: {error!r}") from None


def request_replay(
    services: Services,
    merchant_id: str,
    wanted: ReplayFilter,
    *,
    actor: Actor,
    rate: int = DEFAULT_RATE,
    new_id: Callable[[datetime], str] = ulid,
) -> Item:
    """Ask for a replay of many webhooks, so many per second; returns its document.

    A request whose `new_id` gives the same id twice asks once: the document is then of the replay
    that is there.

    Raises:
        InvalidRequest: fields are wrong; all of them are named, and nothing is stored.
        NotFound: the merchant has no such endpoint.
        StoreUnavailable: nothing is stored.
    """
    wanted = _checked(services, merchant_id, wanted, rate)
    now, replays, settings = services.clock(), services.tables.replays, services.settings
    key = f"replay-{new_id(now)}"
    record = {
        "id": key,
        "merchantID": merchant_id,
        "filter": wanted.document(),
        "rate": rate,
        "actor": actor.name,
        "status": JobStatus.QUEUED.value,
        "createdAt": format_instant(now),
        # What it is about is gone by then, should it never come to an end.
        "expiresAt": epoch_seconds(now + settings.webhook_lifetime + settings.webhook_retention),
        **Progress().attributes(),
        **queued(key, now),
    }
    entry = AuditLog(services).entry(
        merchant_id,
        "webhooks.replay.requested",
        actor=actor,
        target=key,
        details={**wanted.document(), "rate": rate},
    )
    try:
        transact(services.tables.client, [{"Put": replays.create_action(record)}, entry])
    except TransactionCanceled as canceled:
        if canceled.reasons[0] != FAILED_CONDITION:
            raise
        return find_replay(services, merchant_id, key)
    return job_document(record)


def count_replay(
    services: Services,
    merchant_id: str,
    wanted: ReplayFilter,
    *,
    rate: int = DEFAULT_RATE,
    pages: int = COUNTED_PAGES,
) -> Count:
    """What such a replay would do if it was asked for now; nothing is changed. So many pages of a
    thousand webhooks, or a megabyte of them, are looked at for it.

    Raises:
        InvalidRequest, NotFound: as of `request_replay`.
        StoreUnavailable: it could not be counted.
    """
    return count(services, merchant_id, _checked(services, merchant_id, wanted, rate), pages)


def find_replay(services: Services, merchant_id: str, replay_id: str) -> Item:
    """The document of a replay: how far it is, or what became of it.

    Raises:
        NotFound: the merchant has no such replay, or it was removed at the end of its time.
    """
    record = services.tables.replays.get(replay_id) if _REPLAY_ID.fullmatch(replay_id) else None
    if record is None or record.get("merchantID") != merchant_id:
        raise NotFound(f"there is no replay {shown(replay_id)}")
    return job_document(record)


def job_document(record: Mapping[str, Any]) -> Item:
    """A replay as it is shown."""
    hidden = {"cursor", "claim", "dueShard", "dueAt", "merchantID"}
    return {name: value for name, value in record.items() if name not in hidden}


def _checked(services: Services, merchant_id: str, wanted: ReplayFilter, rate: int) -> ReplayFilter:
    check_merchant(merchant_id)
    checked = check_filter(wanted, rate, services.clock(), services.settings)
    # The default endpoint may be none by now: records of the platform's own are replayed still.
    if checked.endpoint_id not in (None, DEFAULT_ENDPOINT):
        EndpointRecords(services).read((merchant_id, checked.endpoint_id))
    return checked

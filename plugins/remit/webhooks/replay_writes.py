"""One page of a replay, put into the queue: each webhook once, however often the page is done."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from remit.errors import ConditionFailed, RecordRefused
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.record import Lifespan
from remit.webhooks.replay import Candidate, Refused, Skip, extension, requeue
from remit.webhooks.replay_job import Job
from remit.webhooks.replay_pages import Found


class Put(Enum):
    """What became of a webhook that was not skipped."""

    NOW = auto()
    BEFORE = auto()
    """This replay had put it into the queue already."""
    NOT_TRIED = auto()
    """The stop was requested."""


@dataclass(frozen=True)
class Slot:
    """A webhook of a page with the lifespan that it gets."""

    found: Found
    lifespan: Lifespan


class PageWriter:
    """Writes pages of one replay. Any worker may be at the same page, and nothing is done twice."""

    def __init__(self, services: Services, stop: Stop, job: Job, pool: Executor) -> None:
        self._services = services
        self._webhooks = services.tables.webhooks
        self._events = services.tables.events
        self._stop = stop
        self._job = job
        self._pool = pool

    def slots(self, found: Sequence[Found], last_due_at: datetime | None) -> list[Slot]:
        """When each is due: the first one a step after the last one of the page before, and not
        before now. One that is skipped takes no time; one that was put there before takes its own
        again."""
        step = timedelta(seconds=1 / self._job.rate)
        now = self._services.clock()
        due_at = now if last_due_at is None else max(now, last_due_at + step)
        slots = []
        for one in found:
            slots.append(Slot(one, Lifespan.of(due_at, self._services.settings)))
            if not isinstance(one.verdict, Refused):
                due_at += step
        return slots

    def write(self, slots: Sequence[Slot]) -> list[Put | Skip]:
        """What became of each, in their order.

        Raises:
            StoreUnavailable: not all are written.
        """
        faults = self._extend_events(slots)
        return list(self._pool.map(lambda slot: self._one(slot, faults), slots))

    def _extend_events(self, slots: Sequence[Slot]) -> dict[str, Skip]:
        """Let events outlive their webhooks; those for which that failed, with what it means. An
        event of many webhooks is written once, for the last of them."""
        wanted = {}
        for slot in slots:
            verdict = slot.found.verdict
            if not isinstance(verdict, Candidate) or verdict.webhook.event_id is None:
                continue
            if (changes := extension(verdict, slot.lifespan)) is not None:
                wanted[verdict.webhook.event_id] = changes
        results = self._pool.map(self._extend, wanted, wanted.values())
        return {key: fault for key, fault in zip(wanted, results, strict=True) if fault is not None}

    def _extend(self, key: str, changes: dict[str, Any]) -> Skip | None:
        try:
            self._events.update(key, **changes)
        except ConditionFailed:
            return Skip.PAYLOAD_GONE
        except RecordRefused:
            return Skip.REFUSED
        return None

    def _one(self, slot: Slot, faults: dict[str, Skip]) -> Put | Skip:
        match slot.found.verdict:
            case Refused(why=why):
                return why
            case Candidate() as candidate:
                if (fault := faults.get(candidate.webhook.event_id or "")) is not None:
                    return fault
                return self._requeue(candidate, slot.lifespan)
            case _:
                return Put.BEFORE

    def _requeue(self, candidate: Candidate, lifespan: Lifespan) -> Put | Skip:
        if self._stop.requested:
            return Put.NOT_TRIED
        key, replay = candidate.webhook.id, self._job.id
        changes = requeue(candidate, self._services.clock(), lifespan)
        changes["set"]["replayedBy"] = replay
        try:
            self._webhooks.update(key, **changes)
        except ConditionFailed:
            record = self._webhooks.get(key) or {}
            return Put.BEFORE if record.get("replayedBy") == replay else Skip.CHANGED
        except RecordRefused:
            return Skip.REFUSED
        return Put.NOW

"""Replay: a webhook that has left the queue goes into it once more, with the same id.

Its attempts and its lifetime begin anew. The records of its earlier attempts stay; those of the new
ones have later instants. Its event has to be there still, and to outlive it: only an event that
would go before is written again, which bills its payload again.

`replay_one` is here; `replays` does the same to many.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from remit.audit import Actor, AuditLog
from remit.aws.items import Item
from remit.aws.transactions import FAILED_CONDITION, TransactionCanceled, transact
from remit.clock import epoch_seconds
from remit.errors import Conflict, NotFound, RecordRefused, Refusal, StoreUnavailable
from remit.services import Services
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import EVENT_ID
from remit.webhooks.listing import webhook_of
from remit.webhooks.moves import Changes, redelivery
from remit.webhooks.policy import Status
from remit.webhooks.record import Lifespan, Unsendable, Webhook, read_record

log = logging.getLogger(__name__)

_TRIES = 8  # of a replay that meets other writes of its webhook

ENDED = (Status.DELIVERED, Status.FAILED, Status.EXPIRED)
"""What can be replayed, once it is out of the queue."""


class Skip(StrEnum):
    """Why a webhook is not replayed; the keys of a job's counts."""

    DISABLED = "endpoint_disabled"
    DELETED = "endpoint_deleted"
    PAYLOAD_GONE = "payload_gone"
    """Its event was removed at the end of its own time."""
    UNREADABLE = "unreadable"
    """An attribute is missing or of the wrong type."""
    CHANGED = "changed"
    """It was written by others since it was found."""
    REFUSED = "refused"
    """DynamoDB does not take the write: the record has no room, or a wrong type."""


_ERRORS: Mapping[Skip, type[Refusal]] = MappingProxyType(
    {
        Skip.DISABLED: Conflict,
        Skip.DELETED: NotFound,
        Skip.PAYLOAD_GONE: NotFound,
        Skip.UNREADABLE: Conflict,
    }
)
"""What it means for who asked for one webhook."""


@dataclass(frozen=True)
class Refused:
    """A webhook that cannot be replayed as things are."""

    why: Skip
    detail: str


@dataclass(frozen=True)
class Candidate:
    """A webhook that can be replayed, and its record as it was seen.

    `payload_until` is when its event goes (seconds since 1970); None: it never does, or the payload
    is in the record.
    """

    record: Item = field(repr=False)
    webhook: Webhook
    payload_until: int | None

    @property
    def condition(self) -> tuple[str, dict[str, Any]]:
        """The record is out of the queue, and as it was seen."""
        condition = "attribute_not_exists(#dueShard) AND #status = :seen AND #merchantID = :owner"
        values = {"seen": self.webhook.status.value, "owner": self.webhook.merchant_id}
        if "updatedAt" not in self.record:
            return f"{condition} AND attribute_not_exists(#updatedAt)", values
        return f"{condition} AND #updatedAt = :updated", {
            **values,
            "updated": self.record["updatedAt"],
        }


class Judge:
    """Says of records of one merchant whether they can be replayed. Endpoints are read once."""

    def __init__(self, services: Services, merchant_id: str) -> None:
        self._tables = services.tables
        self._lifetime: timedelta = services.settings.webhook_lifetime
        self._endpoints: dict[str, Endpoint] = {
            endpoint.id: endpoint for endpoint in endpoints_of(services.tables, merchant_id)
        }

    def judge(self, records: Sequence[Item]) -> list[Candidate | Refused]:
        """A verdict per record, in their order; their events are read in batches.

        Raises:
            StoreUnavailable: the events could not be read.
        """
        read = [self._read(record) for record in records]
        events = self._tables.events.get_many(
            _event_ids(read), attributes=("merchantID", "expiresAt")
        )
        return [
            one if isinstance(one, Refused) else _candidate(record, one, events)
            for record, one in zip(records, read, strict=True)
        ]

    def _read(self, record: Item) -> Webhook | Refused:
        try:
            webhook = read_record(record, self._lifetime)
        except Unsendable as error:
            return Refused(Skip.UNREADABLE, error.reason)
        except Exception as error:  # a record of another's may be anything
            log.exception("webhook=%r cannot be read", record.get("id"))
            return Refused(Skip.UNREADABLE, f"it cannot be read: {type(error).__name__}")
        if webhook.event_id is not None and EVENT_ID.fullmatch(webhook.event_id) is None:
            return Refused(Skip.UNREADABLE, "eventID is no id of an event")
        return self._refused(webhook) or webhook

    def _refused(self, webhook: Webhook) -> Refused | None:
        endpoint = self._endpoints.get(webhook.endpoint_id)
        if endpoint is None:
            if webhook.payload is not None:  # it has a URL of its own
                return None
            return Refused(Skip.DELETED, f"there is no endpoint {webhook.endpoint_id!r} any more")
        if endpoint.enabled:
            return None
        detail = f"endpoint {endpoint.id!r} is disabled ({endpoint.disabled_reason})"
        return Refused(Skip.DISABLED, f"{detail}: enable it first")


def _event_ids(read: Iterable[Webhook | Refused]) -> list[str]:
    return [one.event_id for one in read if isinstance(one, Webhook) and one.event_id is not None]


def _candidate(record: Item, webhook: Webhook, events: Mapping[str, Item]) -> Candidate | Refused:
    if webhook.event_id is None:
        return Candidate(record, webhook, None)
    event = events.get(webhook.event_id)
    if event is None or event.get("merchantID") != webhook.merchant_id:
        detail = f"the payload is gone: event {webhook.event_id} was removed at the end of its time"
        return Refused(Skip.PAYLOAD_GONE, detail)
    expires_at = event.get("expiresAt")
    return Candidate(record, webhook, expires_at if isinstance(expires_at, int) else None)


def requeue(candidate: Candidate, now: datetime, lifespan: Lifespan) -> Changes:
    """The write that replays a webhook, on the condition that its record is as it was seen."""
    condition, values = candidate.condition
    changes = redelivery(candidate.webhook, now, lifespan)
    before = candidate.record.get("replays")
    changes["set"]["replays"] = before + 1 if isinstance(before, int) else 1
    return {**changes, "condition": condition, "values": values}


def extension(candidate: Candidate, lifespan: Lifespan) -> Changes | None:
    """The write that lets an event outlive its webhook, if it could be gone before the deadline."""
    until = candidate.payload_until
    if until is None or until >= epoch_seconds(lifespan.deliver_before):
        return None
    return {
        "set": {"expiresAt": epoch_seconds(lifespan.expires_at)},
        "condition": "attribute_exists(#payload)",
    }


def replayable(services: Services, merchant_id: str, webhook_id: str) -> Candidate:
    """One webhook, if it can be replayed as things are.

    Raises:
        InvalidRequest: no merchant can have such an id.
        NotFound: the merchant has no such webhook, or its payload or its endpoint is gone.
        Conflict: it is in the queue still, its endpoint is disabled, or no attempt can help.
    """
    return _replayable(services, webhook_of(services, merchant_id, webhook_id))


def _replayable(services: Services, record: Item) -> Candidate:
    name = f"webhook {record['id']}"
    if "dueShard" in record:
        raise Conflict(f"{name} is still in the queue: its next attempt is due {record['dueAt']}")
    (verdict,) = Judge(services, record["merchantID"]).judge([record])
    if isinstance(verdict, Refused):
        raise _ERRORS[verdict.why](f"{name} cannot be replayed: {verdict.detail}")
    if (status := verdict.webhook.status) not in ENDED:
        raise Conflict(f"{name} is {status}: only what was {', '.join(ENDED)} can be replayed")
    return verdict


def replay_one(
    services: Services,
    merchant_id: str,
    webhook_id: str,
    *,
    actor: Actor,
    request_id: str | None = None,
) -> Webhook:
    """Put one webhook into the queue once more, due now; returns it as it was.

    A request that has an id replays it once, however often it is made: what it has replayed before
    is returned as it is now.

    Raises:
        InvalidRequest, NotFound, Conflict: see `replayable`.
        RecordRefused: DynamoDB does not take the write of this record.
        StoreUnavailable: others write it all the time, or nothing was written.
    """
    for _ in range(_TRIES):
        record = webhook_of(services, merchant_id, webhook_id)
        if request_id is not None and record.get("replayedBy") == request_id:
            return read_record(record, services.settings.webhook_lifetime)
        candidate = _replayable(services, record)
        if _write(services, candidate, actor, request_id):
            log.info("webhook=%s of %s is replayed, by %r", webhook_id, merchant_id, actor.name)
            return candidate.webhook
    raise StoreUnavailable(f"could not replay webhook {webhook_id}: others write it all the time")


def _write(services: Services, candidate: Candidate, actor: Actor, request_id: str | None) -> bool:
    """Replay and tell the audit log, both or neither. False: the record was changed, or its event
    removed, since they were read."""
    now, tables, webhook = services.clock(), services.tables, candidate.webhook
    lifespan = Lifespan.of(now, services.settings)
    changes = requeue(candidate, now, lifespan)
    if request_id is not None:
        changes["set"]["replayedBy"] = request_id
    actions = [{"Update": tables.webhooks.update_action(webhook.id, **changes)}]
    if webhook.event_id is not None and (extended := extension(candidate, lifespan)) is not None:
        actions.append({"Update": tables.events.update_action(webhook.event_id, **extended)})
    entry = AuditLog(services).entry(
        webhook.merchant_id,
        "webhooks.webhook.replayed",
        actor=actor,
        target=webhook.id,
        details={"status": webhook.status.value, "endpoint": webhook.endpoint_id},
    )
    try:
        transact(tables.client, [*actions, entry])
    except TransactionCanceled as canceled:
        if FAILED_CONDITION not in canceled.reasons:
            raise RecordRefused(f"webhook {webhook.id}: {canceled}") from canceled
        return False
    return True

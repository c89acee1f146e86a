"""What is to be written of an event, and how that goes into transactions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from remit.aws.items import Item
from remit.aws.transactions import FAILED_CONDITION, TRANSACTION_LIMIT
from remit.clock import epoch_seconds
from remit.errors import Conflict
from remit.services import Services
from remit.settings import Settings
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.event import Event
from remit.webhooks.record import Lifespan, new_record, skipped_record

TRANSACTION_BYTES = 4_000_000
"""DynamoDB takes 4 MB of items in one transaction."""

Action = dict[str, Any]
"""One of the actions of a `TransactWriteItems`."""


@dataclass(frozen=True)
class Draft:
    """An event with its records, as actions, the event's own first; none if nobody wants it.

    `number` is its place among those that are published together, `waiting` how many of its
    webhooks go into the queue.
    """

    number: int
    event: Event
    webhook_ids: tuple[str, ...]
    waiting: int
    actions: list[Action] = field(repr=False)

    @cached_property
    def size(self) -> int:
        """Bytes of the items, at most: an item is smaller than its JSON."""
        return sum(len(msgspec.json.encode(action["Put"]["Item"])) for action in self.actions)


def draft_of(
    event: Event, endpoints: Iterable[Endpoint], services: Services, number: int = 0
) -> Draft:
    """The draft of an event for those of a merchant's endpoints that want it.

    Raises:
        Conflict: there are more of them than a transaction can serve.
    """
    now, tables, settings = services.clock(), services.tables, services.settings
    records = webhook_records(event.id, event.type, endpoints, now, settings)
    actions = [{"Put": tables.webhooks.create_action(record)} for record in records]
    if actions:
        actions.insert(0, {"Put": tables.events.create_action(event_record(event, now, settings))})
    waiting = sum("dueShard" in record for record in records)
    return Draft(number, event, tuple(record["id"] for record in records), waiting, actions)


def webhook_records(
    event_id: str,
    event_type: str,
    endpoints: Iterable[Endpoint],
    now: datetime,
    settings: Settings,
) -> list[Item]:
    """The records of one event: one per endpoint that wants its type. Those of disabled endpoints
    are not in the queue.

    Raises:
        Conflict: there are more of them than a transaction with the event can hold.
    """
    wanting = [endpoint for endpoint in endpoints if endpoint.wants(event_type)]
    if len(wanting) >= TRANSACTION_LIMIT:
        raise Conflict(
            f"merchant {wanting[0].merchant_id!r} has {len(wanting)} endpoints for {event_type}: "
            f"an event and its webhooks are one transaction, which takes {TRANSACTION_LIMIT - 1}"
        )
    lifespan = Lifespan.of(now, settings)
    return [
        new_record(event_id, event_type, endpoint, lifespan)
        if endpoint.enabled
        else skipped_record(event_id, event_type, endpoint, now, settings.webhook_retention)
        for endpoint in wanting
    ]


def event_record(event: Event, now: datetime, settings: Settings) -> Item:
    """The record of an event, which is stored now."""
    return {**event.attributes(), "expiresAt": event_expiry(now, settings)}


def event_expiry(now: datetime, settings: Settings) -> int:
    """When an event goes whose webhooks are made now: not before the last of them, which is kept
    for a while after its lifetime."""
    return epoch_seconds(now + settings.webhook_lifetime + settings.webhook_retention)


def batches(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    """Drafts by transactions: as many as the limits allow, and no event id twice in one."""
    batch: dict[str, Draft] = {}
    actions = size = 0
    for draft in drafts:
        if not draft.actions:
            continue
        actions, size = actions + len(draft.actions), size + draft.size
        if batch and (
            actions > TRANSACTION_LIMIT or size > TRANSACTION_BYTES or draft.event.id in batch
        ):
            yield [*batch.values()]
            batch, actions, size = {}, len(draft.actions), draft.size
        batch[draft.event.id] = draft
    if batch:
        yield [*batch.values()]


def taken(drafts: Iterable[Draft], reasons: Sequence[str | None]) -> list[Draft]:
    """The drafts of which a record is there already, by the reasons of a canceled transaction."""
    found, at = [], 0
    for draft in drafts:
        if FAILED_CONDITION in reasons[at : at + len(draft.actions)]:
            found.append(draft)
        at += len(draft.actions)
    return found

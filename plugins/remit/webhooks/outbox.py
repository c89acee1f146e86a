"""The outbox: an event and one record per endpoint, written in one transaction.

A producer whose own change and its announcement must happen together puts `actions_for(...)` into
its own `TransactWriteItems`; one that has nothing to change calls `publish`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from remit.aws.items import Item
from remit.aws.table import TransactionCanceled, transact
from remit.aws.tables import Tables
from remit.clock import epoch_seconds, format_instant
from remit.services import Services
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import Event
from remit.webhooks.record import new_record

log = logging.getLogger(__name__)

DEAD_LETTER_RETENTION = timedelta(days=7)
"""How long a webhook that was not delivered, and every event, can still be looked at."""


def actions_for(
    event: Event,
    endpoints: Sequence[Endpoint],
    tables: Tables,
    *,
    now: datetime,
    lifetime: timedelta,
) -> list[dict[str, Any]]:
    """The actions for `TransactWriteItems` that publish an event; the event's own comes first.

    Every one is a conditional create. An event that was published before cancels the transaction
    with `ConditionalCheckFailed` on the first of them. A merchant without an endpoint needs none.
    """
    if not endpoints:
        return []
    webhooks = (new_record(event, endpoint, now, lifetime) for endpoint in endpoints)
    return [
        {"Put": tables.events.create_action(_event_record(event, now, lifetime))},
        *({"Put": tables.webhooks.create_action(webhook)} for webhook in webhooks),
    ]


def publish(event: Event, services: Services) -> bool:
    """Publish an event to the merchant's endpoints; False if there are none, or it was done before.

    Raises:
        StoreUnavailable: nothing was written.
    """
    actions = actions_for(
        event,
        endpoints_of(services.tables, event.merchant_id),
        services.tables,
        now=services.clock(),
        lifetime=services.settings.webhook_lifetime,
    )
    if not actions:
        return False
    try:
        transact(services.tables.client, actions)
    except TransactionCanceled as canceled:
        if canceled.reasons[0] is None:
            raise
        log.info("event %s was published before", event.id)
        return False
    return True


def _event_record(event: Event, now: datetime, lifetime: timedelta) -> Item:
    """The event outlives its webhooks and their dead letters, which refer to it."""
    return {
        "id": event.id,
        "merchantID": event.merchant_id,
        "type": event.type,
        "payload": event.payload(),
        "createdAt": format_instant(event.created_at),
        "expiresAt": epoch_seconds(now + lifetime + DEAD_LETTER_RETENTION),
    }

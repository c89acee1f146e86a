"""A test event: one endpoint alone is sent an `endpoint.test`, whatever its filter, by the way that
every other event goes."""

from __future__ import annotations

from datetime import datetime

from remit.audit import Actor, AuditLog
from remit.aws.transactions import FAILED_CONDITION, TransactionCanceled, transact
from remit.errors import Conflict
from remit.services import Services
from remit.webhooks.endpoint_records import EndpointRecords
from remit.webhooks.event import Event
from remit.webhooks.outbox import Outbox
from remit.webhooks.record import webhook_id

TEST_EVENT = "endpoint.test"


def send_test(
    services: Services,
    outbox: Outbox,
    merchant_id: str,
    endpoint_id: str,
    *,
    actor: Actor,
    event_id: str,
    at: datetime,
) -> str:
    """Publish a test event to an endpoint, and return the id of its webhook. Again with the same
    id, nothing is added.

    Raises:
        InvalidRequest: no merchant can have such an id.
        NotFound: the merchant has no such endpoint.
        Conflict: it is disabled.
        QueueFull: the merchant's queue has no room for it.
        StoreUnavailable: nothing is stored.
    """
    endpoint = EndpointRecords(services).read((merchant_id, endpoint_id)).endpoint
    if not endpoint.enabled:
        raise Conflict(
            f"endpoint {endpoint.id} is disabled ({endpoint.disabled_reason}): enable it first"
        )
    event = Event(
        id=event_id,
        type=TEST_EVENT,
        merchant_id=merchant_id,
        created_at=at,
        data={"endpoint_id": endpoint.id, "message": "A test: nothing has happened."},
    )
    entry = AuditLog(services).entry(
        merchant_id,
        "webhooks.endpoint.tested",
        actor=actor,
        target=endpoint.id,
        details={"event": event.id},
    )
    try:
        transact(services.tables.client, [*outbox.items_to(event, endpoint), entry])
    except TransactionCanceled as canceled:
        if canceled.reasons[0] != FAILED_CONDITION:  # the event's own action is the first
            raise
    return webhook_id(event.id, endpoint.id)

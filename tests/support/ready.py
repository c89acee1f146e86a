"""Webhooks that are ready to be sent, all to one endpoint, for tests of what becomes of them."""

from __future__ import annotations

from datetime import datetime

from remit.webhooks.backoff import RetrySchedule
from remit.webhooks.directory import Known
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.moves import Seen
from remit.webhooks.policy import Status
from remit.webhooks.prepare import Ready
from remit.webhooks.record import Webhook

KNOWN = Known(
    ("m-1", "ep-1"),
    Endpoint("ep-1", "m-1", "https://example.com/", ()),
    (),
    RetrySchedule(),
    RetrySchedule(),
    (),
)


def ready_webhook(number: int, deliver_before: datetime, payload: str | None = None) -> Ready:
    """One of Remit's own, or, with a payload, of the platform's."""
    webhook = Webhook(
        id=f"wh-{number}",
        merchant_id="m-1",
        endpoint_id="ep-1",
        event_type="payment.succeeded",
        url=KNOWN.endpoint.url,
        status=Status.PENDING,
        attempts=0,
        deliver_before=deliver_before,
        event_id="ev-1" if payload is None else None,
        payload=payload,
    )
    return Ready(Seen(webhook.id, "2026-01-01T00:00:00.000000Z", "pending", 0), webhook, KNOWN)

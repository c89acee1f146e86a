from __future__ import annotations

from datetime import timedelta

import pytest

from remit.clock import format_instant
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.adoption import adopt
from remit.webhooks.delivery import deliver
from tests.support.webhooks import NOW, Receiver, add_merchant, foreign_webhook

URL = "http://127.0.0.1:1/hook"
IDLE = "2026-11-23T13:49:59+02:00"
RECENT = "2026-11-23T13:50:01+02:00"
GO_ZERO = "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("changes", "adopted"),
    [
        ({"status": "failed", "updatedAt": RECENT}, True),
        ({"status": "pending", "createdAt": IDLE, "updatedAt": IDLE}, True),
        ({"status": "pending", "createdAt": IDLE, "updatedAt": RECENT}, False),
        ({"status": "pending", "updatedAt": None, "lastAttempt": RECENT}, False),
        ({"status": "pending", "updatedAt": None, "lastAttempt": GO_ZERO, "createdAt": IDLE}, True),
        ({"status": "pending", "updatedAt": "?", "createdAt": None}, True),
        ({"status": "failed", "expiresAt": None}, True),
        ({"status": "failed", "expiresAt": int(NOW.timestamp())}, False),
        ({"status": "failed", "reason": "set aside by delivery"}, False),
        ({"status": "delivered"}, False),
        ({"status": "expired"}, False),
    ],
    ids=str,
)
def test_adopts_what_is_failed_or_pending_and_idle(
    services: Services, changes: dict, adopted: bool
) -> None:
    before = foreign_webhook("wh-1", URL, **changes)
    services.tables.webhooks.put(before)
    assert adopt(services, Stop()) == int(adopted)
    assert services.webhook_queue.due(10) == (["wh-1"] if adopted else [])
    after = services.tables.webhooks.get("wh-1")
    assert after is not None
    place = {"dueShard", "dueAt", "waitingFor"}
    assert {k: v for k, v in after.items() if k not in place} == before
    assert after.get("waitingFor") == ("merchant-1" if adopted else None)


@pytest.mark.parametrize("merchant", [None, "a\nb"], ids=ascii)
def test_one_without_a_merchants_id_is_adopted_to_be_set_aside(
    services: Services, merchant: str | None
) -> None:
    services.tables.webhooks.put(foreign_webhook("wh-1", URL, merchantID=merchant))
    assert adopt(services, Stop()) == 1
    record = services.tables.webhooks.get("wh-1")
    assert record is not None
    assert "waitingFor" not in record
    assert services.webhook_queue.due(10) == ["wh-1"]


def test_a_failed_one_is_due_at_its_next_retry(services: Services) -> None:
    services.tables.webhooks.put(
        foreign_webhook("wh-1", URL, nextRetry="2026-11-23T14:05:00.25+02:00")
    )
    adopt(services, Stop())
    record = services.tables.webhooks.get("wh-1")
    assert record is not None
    assert record["dueAt"] == format_instant(NOW + timedelta(seconds=300.25))


def test_adopted_once_and_not_after_a_stop(services: Services) -> None:
    services.tables.webhooks.put(foreign_webhook("wh-1", URL))
    stopped = Stop()
    stopped.request()
    assert adopt(services, stopped) == 0
    assert adopt(services, Stop()) == 1
    assert adopt(services, Stop()) == 0


def test_an_adopted_webhook_is_delivered_with_its_own_payload(services: Services) -> None:
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        services.tables.webhooks.put(foreign_webhook("wh-1", receiver.url()))
        adopt(services, Stop())
        report = deliver(services, Stop(), save=lambda _: None, last_try=True)
        assert report.counts == {"delivered": 1}
        assert receiver.received[0].body == b'{"payment_id": "pay-9"}'
    record = services.tables.webhooks.get("wh-1")
    assert record is not None
    assert (record["status"], record["attempts"]) == ("delivered", 6)

from __future__ import annotations

import pytest

from remit.aws.table import TransactionCanceled, transact
from remit.services import Services
from remit.webhooks import outbox
from remit.webhooks.endpoint import Endpoint, Secret
from remit.webhooks.endpoints import endpoints_of
from tests.support.webhooks import NOW, add_merchant, event, publish


def webhooks(services: Services) -> list[dict]:
    return list(
        services.tables.webhooks.scan("#attempts >= :n", {"n": 0}, attributes=["id", "url"])
    )


def test_publishing_stores_the_payload_once_and_a_record_in_the_queue(services: Services) -> None:
    add_merchant(services, "https://example.com/hook")
    key = publish(services)
    record = services.tables.webhooks.get(key)
    assert record is not None
    assert record.pop("dueShard") in range(16)
    assert record == {
        "id": key,
        "merchantID": "merchant-1",
        "eventType": "payment.succeeded",
        "eventID": "evt-1",
        "endpointID": "default",
        "url": "https://example.com/hook",
        "status": "pending",
        "attempts": 0,
        "createdAt": "2026-11-23T12:00:00.000000Z",
        "updatedAt": "2026-11-23T12:00:00.000000Z",
        "dueAt": "2026-11-23T12:00:00.000000Z",
        "expiresAt": int(NOW.timestamp()) + 86_400,
    }
    stored = services.tables.events.get("evt-1")
    assert stored is not None
    assert stored["payload"] == event().payload()
    assert stored["expiresAt"] > record["expiresAt"]
    assert services.webhook_queue.due(10) == [key]


def test_an_event_id_given_twice_creates_nothing_twice(services: Services) -> None:
    add_merchant(services, "https://example.com/hook")
    assert outbox.publish(event(), services)
    assert not outbox.publish(event(amount=1), services)
    assert len(webhooks(services)) == 1
    stored = services.tables.events.get("evt-1")
    assert stored is not None
    assert '"amount":1999' in stored["payload"]


def test_without_an_endpoint_nothing_is_written(services: Services) -> None:
    add_merchant(services, "", id="no-url")
    for merchant in ("no-url", "unknown"):
        assert not outbox.publish(event(merchant=merchant), services)
    assert services.tables.events.get("evt-1") is None


def test_a_producer_writes_them_together_with_its_own_change(services: Services) -> None:
    add_merchant(services, "https://example.com/hook")
    endpoints = [*endpoints_of(services.tables, "merchant-1")]
    endpoints.append(Endpoint("second", "merchant-1", "https://example.org/", (Secret("1", "s"),)))

    def together(key: str) -> None:
        own = {"Put": services.tables.export_jobs.create_action({"id": key})}
        announcement = outbox.actions_for(
            event(),
            endpoints,
            services.tables,
            now=NOW,
            lifetime=services.settings.webhook_lifetime,
        )
        transact(services.tables.client, [own, *announcement])

    together("export-1")
    assert len(webhooks(services)) == 2
    with pytest.raises(TransactionCanceled) as canceled:
        together("export-2")
    assert canceled.value.reasons[:2] == [None, "ConditionalCheckFailed"]
    assert services.tables.export_jobs.get("export-2") is None

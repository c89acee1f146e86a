"""From an event that is published to what its receiver gets and its merchant sees of it."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.services import Services
from remit.stop import Stop
from remit.webhooks import verify
from tests.support.api import bearer, token
from tests.support.clock import ManualClock
from tests.support.deliverer import deliver_due
from tests.support.webhooks import Answer, Receiver


@pytest.fixture
def header(clock: ManualClock) -> dict[str, str]:
    """Of a token that may do all that is done here."""
    return bearer(token(clock, "merchant-1", "webhooks", "events"))


def endpoint_at(
    client: TestClient, header: dict[str, str], receiver: Receiver, **fields: Any
) -> dict[str, Any]:
    """An endpoint of the merchant's, with its secret."""
    body = {"url": receiver.url(), **fields}
    found: dict[str, Any] = client.post("/webhooks/endpoints", json=body, headers=header).json()
    return found


def test_an_event_arrives_signed_and_is_told_of(
    client: TestClient, services: Services, header: dict[str, str], clock: ManualClock
) -> None:
    with Receiver().running() as receiver:
        endpoint = endpoint_at(client, header, receiver)
        event = {"id": "evt-1", "type": "payment.succeeded", "data": {"amount": 1999}}
        (key,) = client.post("/events", json=event, headers=header).json()["webhook_ids"]
        deliver_due(services, Stop())

    (received,) = receiver.received
    assert received.id == key
    assert verify(received.headers, received.body, endpoint["secret"], now=clock()) == key
    found = client.get(f"/webhooks/{key}", headers=header).json()
    assert (found["status"], found["attempt_count"], found["response_status"]) == (
        "delivered",
        1,
        200,
    )
    assert found["payload"].encode() == received.body
    (attempt,) = found["attempts"]
    assert (attempt["number"], attempt["response_status"], attempt["error"]) == (1, 200, None)
    assert attempt["response_excerpt"] == "ok"
    assert (found["next_attempt_at"], attempt["next_attempt_at"]) == (None, None)


def test_a_test_event_is_tried_again_as_all_others_are(
    client: TestClient, services: Services, header: dict[str, str], clock: ManualClock
) -> None:
    with Receiver(lambda _, times: Answer(503 if times == 1 else 200)).running() as receiver:
        endpoint = endpoint_at(client, header, receiver, events=["refund.*"])
        path = f"/webhooks/endpoints/{endpoint['id']}/test"
        key = client.post(path, headers=header).json()["webhook_id"]
        deliver_due(services, Stop())
        waits = client.get(f"/webhooks/{key}", headers=header).json()
        clock.advance(seconds=60)
        deliver_due(services, Stop())

    assert receiver.ids() == [key, key]
    assert (waits["status"], waits["response_status"]) == ("pending", 503)
    assert waits["next_attempt_at"] == waits["attempts"][0]["next_attempt_at"]
    assert waits["next_attempt_at"] > "2026-11-23T12:00:00"
    found = client.get(f"/webhooks/{key}", headers=header).json()
    assert found["status"] == "delivered"
    assert [attempt["response_status"] for attempt in found["attempts"]] == [503, 200]


def test_what_a_receiver_lost_is_replayed_with_the_same_id_and_body(
    client: TestClient, services: Services, header: dict[str, str], clock: ManualClock
) -> None:
    with Receiver().running() as receiver:
        endpoint_at(client, header, receiver)
        event = {"type": "payment.succeeded", "data": {"rate": 1.5}}
        (key,) = client.post("/events", json=event, headers=header).json()["webhook_ids"]
        deliver_due(services, Stop())
        clock.advance(seconds=60)
        client.post(f"/webhooks/{key}/replay", headers=header)
        deliver_due(services, Stop())

    first, again = receiver.received
    assert (first.id, first.body) == (again.id, again.body)
    found = client.get(f"/webhooks/{key}", headers=header).json()
    assert (found["status"], found["attempt_count"], found["replay_count"]) == ("delivered", 1, 1)
    assert len(found["attempts"]) == 2

"""A request with a key that was broken off after its work was done is done again by the next one:
the same operation, to no further effect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remit.api.backend import Backend
from remit.api.call import Call
from remit.api.endpoints import EndpointApi
from remit.api.events import EventApi
from remit.api.idempotency import Operation
from remit.api.replays import ReplayApi
from remit.api.webhooks import WebhookApi
from remit.auth import Caller
from remit.errors import Conflict
from remit.services import Services
from remit.webhooks.endpoint import MAX_ENDPOINTS
from tests.support.api import NotedRuns
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.replays import dead_letters, record
from tests.support.webhooks import NOW, add_merchant

URL = "http://127.0.0.1:9/hook"
OPERATION = Operation("0f5d2c7f1b9a4e370f5d2c7f1b9a4e37", NOW)
OTHER = replace(OPERATION, id="1f5d2c7f1b9a4e370f5d2c7f1b9a4e37")
CALL = Call(Caller("merchant-1", frozenset()), "request-1", "127.0.0.1")


@pytest.fixture
def backend(services: Services, runs: NotedRuns) -> Backend:
    """What the routes stand on."""
    return Backend(lambda: services, runs)


def actions(services: Services) -> list[str]:
    """What is in the audit log."""
    return sorted(entry.action.rpartition(".")[2] for entry in entries_of(services, "merchant-1"))


def test_an_endpoint_is_the_same_with_the_same_secret(
    backend: Backend, services: Services, clock: ManualClock
) -> None:
    api = EndpointApi(backend)
    first = api.create(CALL, {"url": URL}, "/remit", OPERATION)
    clock.advance(seconds=60)
    again = api.create(CALL, {"url": URL}, "/remit", OPERATION)
    assert again == first
    assert len(api.list(CALL).document["data"]) == 1
    assert actions(services) == ["created"]
    other = api.create(CALL, {"url": URL}, "/remit", OTHER)
    assert other.document["id"] != first.document["id"]
    assert other.document["secret"] != first.document["secret"]


def test_the_last_endpoint_that_there_can_be_is_no_conflict(
    backend: Backend, services: Services
) -> None:
    api = EndpointApi(backend)
    services.tables.endpoints.put(
        {
            "merchantID": "merchant-1",
            "id": "#roster",
            "endpoints": frozenset(f"ep-{number}" for number in range(MAX_ENDPOINTS - 1)),
        }
    )
    first = api.create(CALL, {"url": URL}, "", OPERATION)
    assert api.create(CALL, {"url": URL}, "", OPERATION) == first
    with pytest.raises(Conflict, match="the most that a merchant can have"):
        api.create(CALL, {"url": URL}, "", OTHER)


def test_a_secret_that_has_been_replaced_since_is_not_shown(
    backend: Backend, services: Services
) -> None:
    api = EndpointApi(backend)
    endpoint = api.create(CALL, {"url": URL}, "", OPERATION).document["id"]
    api.rotate(CALL, endpoint, {"overlap_seconds": 0}, OTHER)
    with pytest.raises(Conflict, match="another secret since"):
        api.create(CALL, {"url": URL}, "", OPERATION)


def test_a_secret_is_rotated_once(backend: Backend, services: Services, clock: ManualClock) -> None:
    api = EndpointApi(backend)
    endpoint = api.create(CALL, {"url": URL}, "", OTHER).document["id"]
    first = api.rotate(CALL, endpoint, {}, OPERATION)
    clock.advance(seconds=60)
    again = api.rotate(CALL, endpoint, {}, OPERATION)
    assert again == first
    assert len(first.document["secrets"]) == 2
    assert actions(services) == ["created", "secret_rotated"]


def test_a_test_event_is_sent_once(
    backend: Backend, services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    api = EndpointApi(backend)
    first = api.test(CALL, "default", {}, OPERATION)
    clock.advance(seconds=60)
    assert api.test(CALL, "default", {}, OPERATION) == first
    assert services.webhook_queue.due(10) == [first.document["webhook_id"]]
    assert actions(services) == ["tested"]


def test_a_webhook_is_replayed_once(
    backend: Backend, services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    (key,) = dead_letters(services, [1])
    api = WebhookApi(backend)
    first = api.replay(CALL, key, {}, OPERATION)
    clock.advance(seconds=60)
    assert api.replay(CALL, key, {}, OPERATION) == first
    assert record(services, key)["replays"] == 1
    assert actions(services) == ["replayed"]
    with pytest.raises(Conflict, match="still in the queue"):
        api.replay(CALL, key, {}, OTHER)


def test_a_replay_is_asked_for_once(
    backend: Backend, services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    dead_letters(services, [1])
    clock.advance(seconds=60)
    values, api = {"since": "2026-11-23T11:00:00Z"}, ReplayApi(backend)
    first = api.request(CALL, values, OPERATION)
    clock.advance(seconds=60)
    assert api.request(CALL, values, OPERATION) == first
    assert actions(services) == ["requested"]


def test_events_without_ids_are_published_once(
    backend: Backend, services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    api = EventApi(backend)
    one = b'{"type":"payment.succeeded","data":{}}'
    first = api.publish(CALL, one, OPERATION).document
    batch = b'{"events":[%b,%b]}' % (one, one)
    many = api.publish_batch(CALL, batch, OPERATION).document["events"]
    clock.advance(seconds=60)
    assert api.publish(CALL, one, OPERATION).document == {**first, "duplicate": True}
    again = api.publish_batch(CALL, batch, OPERATION).document["events"]
    assert [event["webhook_ids"] for event in again] == [event["webhook_ids"] for event in many]
    assert {event["status"] for event in again} == {"duplicate"}
    assert len(services.webhook_queue.due(10)) == 3
    # A batch is told of before it is written: each attempt is.
    assert sorted(entry.action for entry in entries_of(services, "merchant-1")) == [
        "events.batch.published",
        "events.batch.published",
        "events.event.published",
    ]

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from remit.client import Conflict, NotFound, NotPermitted
from remit.services import Services
from tests.integration.client.conftest import ClientFor
from tests.support.clock import ManualClock
from tests.support.replays import dead_letters
from tests.support.webhooks import add_merchant

URL = "http://127.0.0.1:9/hook"


def test_an_endpoint_from_its_creation_to_its_end(client_for: ClientFor) -> None:
    endpoints = client_for().endpoints
    created = endpoints.create(URL, description="books", events=["payment.*"], rate=5)
    assert created["secret"].startswith("whsec_")
    key = created["id"]

    assert "secret" not in endpoints.get(key)
    assert [one["id"] for one in endpoints.list()] == [key]
    assert endpoints.change(key, rate=None, description="tea")["rate"] is None
    assert endpoints.disable(key, "maintenance")["disabled_reason"] == "maintenance"
    with pytest.raises(Conflict):
        endpoints.test(key)
    assert endpoints.enable(key)["enabled"]
    rotated = endpoints.rotate_secret(key, overlap=timedelta(hours=1))
    assert rotated["secret"] != created["secret"]
    assert len(rotated["secrets"]) == 2
    assert endpoints.test(key)["webhook_id"]
    endpoints.delete(key)
    with pytest.raises(NotFound):
        endpoints.get(key)


def test_events_become_webhooks(client_for: ClientFor, services: Services) -> None:
    add_merchant(services, URL)
    client = client_for()
    data = {"amount": 1999, "rate": Decimal("1.10")}
    first = client.events.publish("payment.succeeded", data, id="evt-1")
    again = client.events.publish("payment.succeeded", data, id="evt-1")
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert again["webhook_ids"] == first["webhook_ids"]

    (webhook_id,) = first["webhook_ids"]
    webhook = client.webhooks.get(webhook_id)
    assert webhook["type"] == "payment.succeeded"
    assert '"rate":1.10' in webhook["payload"]
    assert [one["id"] for one in client.webhooks.list(type="payment.*")] == [webhook_id]
    assert list(client.webhooks.list(status="delivered")) == []


def test_many_events_are_published_and_each_is_told_of(
    client_for: ClientFor, services: Services
) -> None:
    add_merchant(services, URL)
    client = client_for()
    client.events.publish("a.b", {"n": -1}, id="evt-5")
    events = [{"id": f"evt-{n}", "type": "a.b", "data": {"n": n}} for n in range(620)]
    results = client.events.publish_many(events)
    assert [result["event_id"] for result in results] == [event["id"] for event in events]
    assert {r["event_id"] for r in results if r["status"] == "conflict"} == {"evt-5"}
    assert sum(result["status"] == "accepted" for result in results) == 619


def test_dead_letters_are_counted_and_replayed(
    client_for: ClientFor, services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    keys = dead_letters(services, range(3))
    webhooks, since = client_for().webhooks, clock.now - timedelta(days=1)
    clock.advance(60)
    assert webhooks.replay_many(since, dry_run=True)["replayable"] == 3
    assert webhooks.replay(keys[0])["status"] == "pending"
    asked = webhooks.replay_many(since, until=clock.now, type=["payment.*"], rate=10)
    assert webhooks.replay_status(asked["id"])["rate"] == 10


def test_a_token_without_the_permission_is_refused(client_for: ClientFor) -> None:
    client = client_for("merchant-1", "payments")
    with pytest.raises(NotPermitted):
        client.endpoints.list()
    with pytest.raises(NotPermitted):
        client.events.publish("a.b", {})
    with pytest.raises(NotPermitted):
        list(client.webhooks.list())
    with pytest.raises(NotPermitted):
        list(client.audit())


def test_a_schedule_from_its_creation_to_its_end(client_for: ClientFor) -> None:
    schedules = client_for().schedules
    created = schedules.create("daily", name="nightly", timezone="Asia/Kathmandu", format="csv")
    key = created["id"]
    assert created["next_period"]["export_id"]
    assert schedules.pause(key)["paused"]
    assert not schedules.resume(key)["paused"]
    version = schedules.get(key)["version"]
    assert schedules.change(key, name="every night", version=version)["name"] == "every night"
    with pytest.raises(Conflict):
        schedules.change(key, name="nightly", version=version)
    assert [one["id"] for one in schedules.list()] == [key]
    schedules.delete(key)
    assert list(schedules.list()) == []


def test_the_audit_log_has_what_was_done(client_for: ClientFor) -> None:
    client = client_for()
    export = client.export("2026-01-01", "2026-01-31")
    export.cancel()
    actions = {entry["action"]: entry["target"] for entry in client.audit(action="exports.*")}
    assert actions == {
        "exports.export.requested": export.id,
        "exports.export.canceled": export.id,
    }

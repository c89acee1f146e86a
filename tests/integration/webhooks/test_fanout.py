from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from remit.aws.transactions import transact
from remit.clock import format_instant
from remit.errors import StoreUnavailable
from remit.queue import DueQueue, queued
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.fanout import PAUSE, fan_out
from remit.webhooks.outbox import Outbox, actions_for
from remit.webhooks.record import webhook_id
from tests.support.clock import ManualClock
from tests.support.webhooks import NOW, add_endpoint, add_merchant, event, with_settings

URL = "https://example.com/hook"


def alone(services: Services, *numbers: int, merchant: str = "merchant-1") -> None:
    """Write events alone."""
    outbox = Outbox(services)
    for number in numbers:
        transact(services.tables.client, [outbox.alone(event(number, merchant))])


def put_alone(services: Services, id: str = "evt-9", **changes: Any) -> None:
    """An event alone as somebody may have written it."""
    record = {
        "id": id,
        "merchantID": "merchant-1",
        "type": "payment.succeeded",
        "payload": "{}",
        **queued(id, NOW - timedelta(minutes=1)),
        **changes,
    }
    services.tables.events.put({k: v for k, v in record.items() if v is not None})


def waiting_events(services: Services) -> list[str]:
    return DueQueue(services.tables.events, services.clock).due(100)


def stored_event(services: Services, key: str = "evt-1") -> dict[str, Any]:
    stored = services.tables.events.get(key)
    assert stored is not None
    return stored


def test_an_event_gets_the_records_that_publishing_would_have_made(services: Services) -> None:
    add_merchant(services, URL)
    add_endpoint(services, "down", disabledReason="by hand")
    add_endpoint(services, "refunds", events=["refund.*"])
    alone(services, 1)
    assert fan_out(services, Stop(), 10) == 1
    keys = [webhook_id("evt-1", endpoint) for endpoint in ("default", "down")]
    made = services.tables.webhooks.get_many(keys)
    assert services.tables.webhooks.get(webhook_id("evt-1", "refunds")) is None
    services.tables.client.delete_item(
        TableName=services.tables.events.name, Key={"id": {"S": "evt-1"}}
    )
    for key in keys:
        services.tables.client.delete_item(
            TableName=services.tables.webhooks.name, Key={"id": {"S": key}}
        )
    Outbox(services).publish(event())
    assert services.tables.webhooks.get_many(keys) == made


def test_the_event_leaves_the_queue_and_outlives_webhooks_that_are_late(
    services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    alone(services, 1)
    clock.advance(3600)
    fan_out(services, Stop(), 10)
    stored = stored_event(services)
    assert not stored.keys() & {"claim", "dueShard", "dueAt", "waitingFor", "reason"}
    assert stored["expiresAt"] == int((clock() + timedelta(days=8)).timestamp())
    assert waiting_events(services) == []
    assert fan_out(services, Stop(), 10) == 0


def test_the_time_of_its_webhooks_begins_when_the_event_is_written(
    services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    transact(services.tables.client, Outbox(services).items_for(event(1)))
    alone(services, 2)
    clock.advance(3600)
    fan_out(services, Stop(), 10)
    first, second = (
        services.tables.webhooks.get(webhook_id(f"evt-{number}", "default")) or {}
        for number in (1, 2)
    )
    times = ("createdAt", "dueAt", "expiresAt", "deliverBefore")
    assert [second.get(name) for name in times] == [first.get(name) for name in times]


@pytest.mark.parametrize("published", [None, "yesterday", 5, "2027-01-01T00:00:00Z"], ids=str)
def test_a_time_of_writing_that_is_none_counts_as_now(services: Services, published: Any) -> None:
    add_merchant(services, URL)
    put_alone(services, publishedAt=published)
    assert fan_out(services, Stop(), 10) == 1
    record = services.tables.webhooks.get(webhook_id("evt-9", "default")) or {}
    assert record["createdAt"] == format_instant(NOW)


def test_without_an_endpoint_the_event_leaves_the_queue(services: Services) -> None:
    add_merchant(services, "")
    alone(services, 1)
    assert fan_out(services, Stop(), 10) == 1
    assert "reason" not in stored_event(services)
    assert waiting_events(services) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "payment"}, "type is 'payment'"),
        ({"type": None}, "type is None"),
        ({"type": 5}, "type is 5"),
        ({"payload": None}, "payload is not there"),
        ({"payload": {"a": 1}}, "payload is not there, or not text"),
        ({"payload": ""}, "payload is not there"),
        ({"merchantID": None}, "merchantID is None"),
        ({"merchantID": 7}, "merchantID is 7"),
        ({"merchantID": "a\nb"}, r"merchantID is 'a\nb'"),
        ({"merchantID": "nobody"}, "there is no merchant 'nobody'"),
        ({"id": "a b"}, "its id is not"),
        ({"id": "x" * 129}, "its id is not"),
    ],
    ids=str,
)
def test_a_poison_event_leaves_the_queue_with_a_reason_and_blocks_nobody(
    services: Services, changes: dict[str, Any], reason: str
) -> None:
    add_merchant(services, URL)
    put_alone(services, **changes)
    alone(services, 1)
    assert fan_out(services, Stop(), 10) == 2
    assert stored_event(services, changes.get("id", "evt-9"))["reason"].startswith(reason)
    assert waiting_events(services) == []
    assert services.webhook_queue.due(10) == [webhook_id("evt-1", "default")]


def test_a_merchant_with_too_many_endpoints_blocks_nobody(services: Services) -> None:
    add_merchant(services, URL)
    for number in range(100):
        add_endpoint(services, f"ep-{number}", merchant="many")
    put_alone(services, merchantID="many")
    alone(services, 1)
    assert fan_out(services, Stop(), 10) == 2
    assert "has 100 endpoints" in stored_event(services, "evt-9")["reason"]


def test_records_that_are_there_already_stay_as_they_are(services: Services) -> None:
    add_merchant(services, URL)
    add_endpoint(services, "second")
    alone(services, 1)
    there = webhook_id("evt-1", "second")
    services.tables.webhooks.put({"id": there, "status": "delivered"})
    assert fan_out(services, Stop(), 10) == 1
    assert services.tables.webhooks.get(there) == {"id": there, "status": "delivered"}
    assert services.webhook_queue.due(10) == [webhook_id("evt-1", "default")]
    assert waiting_events(services) == []


def test_two_workers_make_every_record_once(services: Services) -> None:
    add_merchant(services, URL)
    alone(services, *range(20))
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: fan_out(services, Stop(), 100), range(2)))
    assert sum(done) == 20
    assert len(services.webhook_queue.due(100)) == 20


def test_a_worker_that_was_overtaken_writes_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    alone(services, 1, 2)
    overtaking: list[bool] = [True]

    def slow(*arguments: Any) -> Any:
        found = endpoints_of(*arguments)
        if overtaking and overtaking.pop():
            assert fan_out(services, Stop(), 10) == 2
            add_endpoint(services, "added-since")
        return found

    monkeypatch.setattr("remit.webhooks.fanout.endpoints_of", slow)
    assert fan_out(services, Stop(), 10) == 0
    assert len(services.webhook_queue.due(10)) == 2


def test_one_that_was_taken_by_another_holds_up_none_of_its_transaction(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    alone(services, 1, 2, 3)

    def slow(*arguments: Any) -> Any:
        services.tables.events.update(
            "evt-2", remove=["dueShard", "dueAt"], condition="attribute_exists(#id)"
        )
        return endpoints_of(*arguments)

    monkeypatch.setattr("remit.webhooks.fanout.endpoints_of", slow)
    assert fan_out(services, Stop(), 10) == 2
    made = {webhook_id(f"evt-{number}", "default") for number in (1, 3)}
    assert set(services.webhook_queue.due(10)) == made


def test_an_event_that_the_index_still_shows_is_served_no_more(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    put_alone(services, dueShard=None)
    put_alone(services, "evt-8", dueAt=format_instant(NOW + timedelta(seconds=1)))
    with monkeypatch.context() as late:
        late.setattr(DueQueue, "each_due", lambda *_: iter(["evt-8", "evt-9", "evt-7"]))
        assert fan_out(services, Stop(), 10) == 0
    assert services.webhook_queue.due(10) == []


@pytest.mark.parametrize(
    ("error", "level"),
    [(StoreUnavailable("could not read Merchants"), logging.WARNING), (KeyError(), logging.ERROR)],
    ids=["outage", "bug"],
)
def test_an_error_with_one_event_keeps_no_other_one_waiting(
    services: Services,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    level: int,
) -> None:
    add_merchant(services, URL)
    add_merchant(services, URL, id="odd")
    alone(services, 1, 3)
    alone(services, 2, merchant="odd")

    def failing(tables: Any, merchant: str) -> Any:
        if merchant == "odd":
            raise error
        return endpoints_of(tables, merchant)

    with monkeypatch.context() as patched:
        patched.setattr("remit.webhooks.fanout.endpoints_of", failing)
        assert fan_out(services, Stop(), 10) == 2
    assert [r.levelno for r in caplog.records if "evt-2" in r.getMessage()] == [level]
    # A bug would be met again and again: the others go first.
    assert waiting_events(services) == (["evt-2"] if level == logging.WARNING else [])
    clock.advance(PAUSE.total_seconds())
    assert fan_out(services, Stop(), 10) == 1


def test_many_that_can_neither_be_served_nor_put_off_keep_no_newer_one_waiting(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    add_merchant(services, URL, id="odd")
    alone(services, *range(25), merchant="odd")
    clock.advance(1)
    alone(services, *range(25, 40))
    monkeypatch.setattr("remit.webhooks.fanout._ROUND", 10)

    def failing(tables: Any, merchant: str) -> Any:
        if merchant == "odd":
            raise StoreUnavailable("could not read Merchants")
        return endpoints_of(tables, merchant)

    monkeypatch.setattr("remit.webhooks.fanout.endpoints_of", failing)
    assert fan_out(services, Stop(), 10) == 15
    assert len(services.webhook_queue.due(100)) == 15
    assert len(waiting_events(services)) == 25


def test_what_comes_due_while_others_are_served_is_served_too(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    alone(services, 1, 2)
    monkeypatch.setattr("remit.webhooks.fanout._ROUND", 1)

    def endpoints_and_an_event(*arguments: Any) -> Any:
        if services.tables.events.get("evt-0") is None:
            put_alone(services, "evt-0", dueAt=format_instant(NOW - timedelta(hours=1)))
        return endpoints_of(*arguments)

    monkeypatch.setattr("remit.webhooks.fanout.endpoints_of", endpoints_and_an_event)
    assert fan_out(services, Stop(), 10) == 3
    assert waiting_events(services) == []


def test_goes_on_until_nothing_is_due(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    add_merchant(services, URL)
    monkeypatch.setattr("remit.webhooks.fanout._ROUND", 10)
    monkeypatch.setattr("remit.webhooks.fanout._BATCH", 4)
    alone(services, *range(35))
    assert fan_out(services, Stop(), 10) == 35
    assert waiting_events(services) == []
    assert len(services.webhook_queue.due(100)) == 35


def test_ends_after_its_seconds_the_longest_due_first(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    monkeypatch.setattr("remit.webhooks.fanout._ROUND", 2)
    for number in (3, 1, 2):
        alone(services, number)
        clock.advance(1)
    times = iter([0.0, 0.0, 5.0])
    assert fan_out(services, Stop(), 5, monotonic=times.__next__) == 2
    assert waiting_events(services) == ["evt-2"]


def test_many_events_share_transactions_up_to_their_limits(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    for number in range(8):
        add_endpoint(services, f"ep-{number}")
    alone(services, *range(20))  # of ten actions each
    alone(services, *range(20, 25), merchant="large")
    add_merchant(services, URL, id="large")
    for number in range(20, 25):
        services.tables.events.update(
            f"evt-{number}", set={"payload": "x" * 390_000}, condition="attribute_exists(#id)"
        )
    monkeypatch.setattr("remit.webhooks.fanout.TRANSACTION_BYTES", 1_000_000)
    sizes: list[int] = []
    write = services.tables.client.transact_write_items

    def counted(**request: Any) -> Any:
        sizes.append(len(request["TransactItems"]))
        return write(**request)

    monkeypatch.setattr(services.tables.client, "transact_write_items", counted)
    assert fan_out(services, Stop(), 10) == 25
    assert sum(sizes) == 20 * 10 + 5 * 2
    assert max(sizes) <= 100
    assert len(sizes) == 3  # of the large ones, two go into a megabyte


def test_one_merchants_endpoint_that_was_added_between_two_rounds_gets_what_is_found_later(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    alone(services, 1)

    def endpoints_then_more(*arguments: Any) -> Any:
        found = endpoints_of(*arguments)
        if len(found) == 1:
            add_endpoint(services, "added")
            alone(services, 2)
        return found

    monkeypatch.setattr("remit.webhooks.fanout.endpoints_of", endpoints_then_more)
    assert fan_out(services, Stop(), 10) == 2
    assert services.tables.webhooks.get(webhook_id("evt-2", "added")) is not None


def test_an_event_is_not_due_before_its_time(services: Services) -> None:
    add_merchant(services, URL)
    put_alone(services, dueAt=format_instant(NOW + timedelta(seconds=1)))
    assert fan_out(services, Stop(), 10) == 0


def test_claims_nothing_after_a_stop(services: Services) -> None:
    add_merchant(services, URL)
    alone(services, 1)
    stopped = Stop()
    stopped.request()
    assert fan_out(services, stopped, 10) == 0
    assert waiting_events(services) == ["evt-1"]


def test_a_full_queue_does_not_keep_out_what_was_taken(services: Services) -> None:
    add_merchant(services, URL)
    alone(services, 1, 2)
    assert fan_out(with_settings(services, webhook_queue_limit=1), Stop(), 10) == 2
    assert len(services.webhook_queue.due(10)) == 2


def test_published_events_are_not_in_the_queue_of_events(services: Services) -> None:
    add_merchant(services, URL)
    endpoints = endpoints_of(services.tables, "merchant-1")
    transact(services.tables.client, actions_for(event(), endpoints, services))
    assert waiting_events(services) == []

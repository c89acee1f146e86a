from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from remit.aws.transactions import TransactionCanceled, transact
from remit.errors import Conflict, QueueFull, StoreUnavailable
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.drafts import Action
from remit.webhooks.endpoint import MAX_ENDPOINTS
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import PAYLOAD_LIMIT, Event
from remit.webhooks.fanout import fan_out
from remit.webhooks.outbox import Outbox, Published, actions_for
from remit.webhooks.record import webhook_id
from tests.support.webhooks import NOW, add_endpoint, add_merchant, event, publish, with_settings

URL = "https://example.com/hook"


@pytest.fixture
def outbox(services: Services) -> Outbox:
    """The outbox, and a merchant with one endpoint."""
    add_merchant(services, URL)
    return Outbox(services)


def webhooks(services: Services) -> dict[str, dict[str, Any]]:
    """All webhooks by id."""
    names = ["id", "merchantID", "endpointID", "eventID", "status", "reasonCode", "waitingFor"]
    found = services.tables.webhooks.scan("#attempts >= :n", {"n": 0}, attributes=names)
    return {item["id"]: item for item in found}


def of_size(size: int, number: int = 1) -> Event:
    """An event whose payload has so many bytes."""
    room = size - len(event(number, note="").payload())
    made = event(number, note="x" * room)
    assert len(made.payload()) == size
    return made


class Transactions:
    """Counts the transactions of a client, and the actions of each."""

    def __init__(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        self.actions: list[int] = []
        write = services.tables.client.transact_write_items

        def counted(**request: Any) -> Any:
            self.actions.append(len(request["TransactItems"]))
            return write(**request)

        monkeypatch.setattr(services.tables.client, "transact_write_items", counted)


@pytest.fixture
def transactions(services: Services, monkeypatch: pytest.MonkeyPatch) -> Transactions:
    """What is written in transactions."""
    return Transactions(services, monkeypatch)


def test_publishing_stores_the_payload_once_and_a_record_in_the_queue(services: Services) -> None:
    add_merchant(services, URL)
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
        "url": URL,
        "status": "pending",
        "attempts": 0,
        "createdAt": "2026-11-23T12:00:00.000000Z",
        "updatedAt": "2026-11-23T12:00:00.000000Z",
        "dueAt": "2026-11-23T12:00:00.000000Z",
        "deliverBefore": int(NOW.timestamp()) + 86_400,
        "expiresAt": int(NOW.timestamp()) + 8 * 86_400,
        "waitingFor": "merchant-1",
    }
    stored = services.tables.events.get("evt-1")
    assert stored is not None
    assert stored["payload"] == event().payload()
    assert services.webhook_queue.due(10) == [key]


def test_an_event_outlives_its_webhooks_and_their_retention(services: Services) -> None:
    services = with_settings(
        services, webhook_lifetime=timedelta(hours=1), webhook_retention=timedelta(days=30)
    )
    add_merchant(services, URL)
    publish(services)
    stored = services.tables.events.get("evt-1")
    assert stored is not None
    assert stored["expiresAt"] == int((NOW + timedelta(days=30, hours=1)).timestamp())


def test_the_largest_payload_goes_to_all_the_endpoints_that_a_merchant_can_have(
    services: Services, outbox: Outbox, transactions: Transactions
) -> None:
    for number in range(MAX_ENDPOINTS):
        add_endpoint(services, f"ep-{number}", url=f"https://{number}.example/{'x' * 2000}")
    published = outbox.publish(of_size(PAYLOAD_LIMIT))
    assert len(published.webhook_ids) == 50
    assert transactions.actions == [51]
    assert webhooks(services).keys() == set(published.webhook_ids)


def test_more_endpoints_than_a_transaction_holds_are_refused_and_nothing_is_written(
    services: Services, outbox: Outbox
) -> None:
    for number in range(99):
        add_endpoint(services, f"ep-{number}")
    with pytest.raises(Conflict, match=r"'merchant-1' has 100 endpoints for payment\.succeeded"):
        outbox.publish(event())
    assert services.tables.events.get("evt-1") is None


def test_an_endpoint_gets_what_it_wants(services: Services, outbox: Outbox) -> None:
    add_endpoint(services, "payments", events=["payment.*"])
    add_endpoint(services, "refunds", events=["refund.*", "payment.failed"])
    outbox.publish(event())
    assert {record["endpointID"] for record in webhooks(services).values()} == {
        "default",
        "payments",
    }


def test_what_a_disabled_endpoint_does_not_get_is_kept_out_of_the_queue(services: Services) -> None:
    add_endpoint(services, "down", disabledReason="it failed for five days")
    add_endpoint(services, "other", disabledReason="by hand", events=["refund.*"])
    published = Outbox(services).publish(event())
    assert published == Published((webhook_id("evt-1", "down"),))
    record = services.tables.webhooks.get(published.webhook_ids[0])
    assert record is not None
    assert (record["status"], record["reasonCode"]) == ("failed", "endpoint_disabled")
    assert record["reason"] == "the endpoint was disabled: it failed for five days"
    assert record["expiresAt"] == int((NOW + timedelta(days=7)).timestamp())
    assert not record.keys() & {"dueShard", "dueAt", "waitingFor"}
    assert services.webhook_queue.due(10) == []
    assert services.tables.events.get("evt-1") is not None


def test_what_nobody_wants_is_not_stored(services: Services) -> None:
    add_merchant(services, "", id="no-url")
    add_endpoint(services, "refunds", "refunds-only", events=["refund.*"])
    outbox = Outbox(services)
    for merchant in ("no-url", "unknown", "refunds-only"):
        assert outbox.publish(event(merchant=merchant)) == Published(())
        assert outbox.items_for(event(merchant=merchant)) == []
    assert services.tables.events.get("evt-1") is None


def test_an_event_id_given_twice_is_a_duplicate_and_changes_nothing(
    services: Services, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    key = publish(services)
    before = services.tables.webhooks.get(key)
    assert outbox.publish(event()) == Published((key,), duplicate=True)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    add_endpoint(services, "added-since")
    assert outbox.publish(event()) == Published((key,), duplicate=True)
    assert webhooks(services).keys() == {key}
    assert services.tables.webhooks.get(key) == before


def dated(made: Event, at: datetime) -> Event:
    """The same event as if it had happened at another time."""
    return replace(made, created_at=at)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (event(amount=1), "data"),
        (event(merchant="merchant-2"), "merchant"),
        (replace(event(), type="payment.failed"), "type"),
        (
            replace(event(merchant="merchant-2", amount=1), type="payment.failed"),
            "merchant and type and data",
        ),
    ],
    ids=str,
)
def test_another_event_under_an_id_that_was_published_is_refused_and_changes_nothing(
    services: Services, outbox: Outbox, other: Event, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="remit.webhooks.outbox")
    add_merchant(services, URL, id="merchant-2")
    key = publish(services)
    before = services.tables.events.get("evt-1")
    with pytest.raises(Conflict) as refused:
        outbox.publish(other)
    # Whose the other one is, and in what it differs, is for the log alone.
    assert str(refused.value) == (
        "event 'evt-1' was published before, and is not this one: "
        "what is not the same happening needs an id of its own"
    )
    assert caplog.messages == [f"event=evt-1 was published before with another {what}"]
    assert services.tables.events.get("evt-1") == before
    assert webhooks(services).keys() == {key}


def test_another_event_under_the_id_of_one_that_was_written_alone_is_refused(
    services: Services, outbox: Outbox
) -> None:
    transact(services.tables.client, [outbox.alone(event())])
    with pytest.raises(Conflict, match="'evt-1' was published before, and is not this one"):
        outbox.publish(event(amount=1))


def test_the_time_of_an_event_that_is_published_again_does_not_count(
    services: Services, outbox: Outbox
) -> None:
    key = publish(services)
    before = services.tables.events.get("evt-1")
    again = dated(event(), NOW + timedelta(minutes=5))
    assert outbox.publish(again) == Published((key,), duplicate=True)
    assert services.tables.events.get("evt-1") == before


def test_what_is_written_with_an_event_is_written_once_and_only_with_it(
    services: Services, outbox: Outbox
) -> None:
    def noted(number: int) -> Action:
        """An action, of another table."""
        return {"Put": services.tables.merchants.create_action({"id": f"noted-{number}"})}

    unwanted = event(merchant="merchant-9")
    assert outbox.publish(unwanted, [noted(1)]) == Published(())
    assert services.tables.merchants.get("noted-1") is None
    assert not outbox.publish(event(), [noted(1)]).duplicate
    assert services.tables.merchants.get("noted-1") is not None
    assert outbox.publish(event(), [noted(2)]).duplicate
    with pytest.raises(Conflict):
        outbox.publish(event(amount=1), [noted(2)])
    with pytest.raises(TransactionCanceled):  # it is there already: neither is written
        outbox.publish(event(2), [noted(1)])
    assert services.tables.merchants.get("noted-2") is None
    assert services.tables.events.get("evt-2") is None


def test_what_comes_first_comes_before_anything_is_written_and_only_if_something_is(
    services: Services, outbox: Outbox
) -> None:
    seen: list[int] = []

    def note() -> None:
        seen.append(len(webhooks(services)))

    outbox.publish_each([event(merchant="merchant-9")], first=note)  # nobody wants it
    assert seen == []
    outbox.publish_each([event(1), event(2)], first=note)
    assert seen == [0]
    small = Outbox(with_settings(services, webhook_queue_limit=2))
    with pytest.raises(QueueFull):
        small.publish_each([event(3)], first=note)
    assert seen == [0]


def test_an_event_that_conflicts_keeps_none_of_the_others_from_being_written(
    services: Services, outbox: Outbox
) -> None:
    publish(services, 2)
    publish(services, 70)
    changed = {2: event(2, amount=1), 70: event(70, amount=1)}
    with pytest.raises(Conflict, match=r"'evt-2' .*; event 'evt-70' ") as refused:
        outbox.publish_many(changed.get(number, event(number)) for number in range(100))
    assert "evt-3" not in str(refused.value)
    assert len(webhooks(services)) == 100


def test_two_events_under_one_id_in_one_call_are_refused_before_anything_is_written(
    services: Services, outbox: Outbox
) -> None:
    with pytest.raises(Conflict, match="'evt-1' was published before, and is not this one"):
        outbox.publish_many([event(2), event(1), event(1, amount=1)])
    assert webhooks(services) == {}
    same = [event(1), dated(event(1), NOW + timedelta(seconds=1))]
    assert [one.duplicate for one in outbox.publish_many(same)] == [False, True]


def test_of_eight_publishers_of_one_event_one_creates_it(services: Services) -> None:
    add_merchant(services, URL)
    add_endpoint(services, "second")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: Outbox(services).publish(event()), range(8)))
    assert [result.duplicate for result in results].count(False) == 1
    assert {frozenset(result.webhook_ids) for result in results} == {
        frozenset(webhooks(services).keys())
    }
    assert len(webhooks(services)) == 2


def test_many_events_share_transactions(
    services: Services, outbox: Outbox, transactions: Transactions
) -> None:
    results = outbox.publish_many(event(number) for number in range(120))
    assert transactions.actions == [100, 100, 40]
    expected = [Published((webhook_id(f"evt-{number}", "default"),)) for number in range(120)]
    assert results == expected
    assert len(webhooks(services)) == 120


def test_large_events_share_transactions_up_to_four_megabytes(
    services: Services, outbox: Outbox, transactions: Transactions
) -> None:
    outbox.publish_many(of_size(PAYLOAD_LIMIT, number) for number in range(20))
    assert transactions.actions == [30, 10]
    assert len(webhooks(services)) == 20


def test_duplicates_keep_none_of_the_others_from_being_written(
    services: Services, outbox: Outbox, transactions: Transactions
) -> None:
    publish(services, 2)
    publish(services, 4)
    add_merchant(services, "", id="no-url")
    events = [event(1), event(2), event(3, merchant="no-url"), event(4), event(5)]
    transactions.actions.clear()
    results = outbox.publish_many(events)
    assert [result.duplicate for result in results] == [False, True, False, True, False]
    assert [len(result.webhook_ids) for result in results] == [1, 1, 0, 1, 1]
    assert transactions.actions == [8, 4]
    assert len(webhooks(services)) == 4


def test_an_id_twice_in_one_call_is_a_duplicate_the_second_time(
    services: Services, outbox: Outbox
) -> None:
    results = outbox.publish_many([event(1), event(2), event(1)])
    assert [result.duplicate for result in results] == [False, False, True]
    assert len(webhooks(services)) == 2
    assert outbox.publish_many([]) == []


def test_a_webhook_that_is_there_without_its_event_is_a_duplicate(
    services: Services, outbox: Outbox
) -> None:
    key = publish(services)
    services.tables.client.delete_item(
        TableName=services.tables.events.name, Key={"id": {"S": "evt-1"}}
    )
    assert outbox.publish(event()) == Published((key,), duplicate=True)
    assert services.tables.events.get("evt-1") is None


def test_a_producer_writes_them_together_with_its_own_change(
    services: Services, outbox: Outbox
) -> None:
    add_endpoint(services, "second")

    def together(key: str) -> None:
        own = {"Put": services.tables.export_jobs.create_action({"id": key})}
        transact(services.tables.client, [own, *outbox.items_for(event())])

    together("export-1")
    assert len(webhooks(services)) == 2
    with pytest.raises(TransactionCanceled) as canceled:
        together("export-2")
    assert canceled.value.reasons[:2] == [None, "ConditionalCheckFailed"]
    assert services.tables.export_jobs.get("export-2") is None


def test_an_event_that_is_written_alone_waits_in_the_queue_of_events(
    services: Services, outbox: Outbox
) -> None:
    transact(services.tables.client, [outbox.alone(event())])
    stored = services.tables.events.get("evt-1")
    assert stored is not None
    assert stored["dueAt"] == stored["publishedAt"] == "2026-11-23T12:00:00.000000Z"
    assert stored["waitingFor"] == "merchant-1"
    assert stored["payload"] == event().payload()
    assert webhooks(services) == {}
    assert outbox.publish(event()) == Published((), duplicate=True)
    with pytest.raises(TransactionCanceled):
        transact(services.tables.client, [outbox.alone(event())])


def test_a_full_queue_takes_nothing_and_says_so(services: Services) -> None:
    add_merchant(services, URL)
    add_merchant(services, URL, id="merchant-2")
    outbox = Outbox(with_settings(services, webhook_queue_limit=2))
    assert outbox.publish_many([event(1), event(2)])
    with pytest.raises(QueueFull, match="2 webhooks of merchant 'merchant-1' wait") as full:
        outbox.publish(event(3))
    assert (full.value.merchant_id, full.value.limit, full.value.count) == ("merchant-1", 2, 2)
    assert full.value.retry_after >= timedelta(seconds=1)
    for publishing in (outbox.items_for, outbox.alone):
        with pytest.raises(QueueFull):
            publishing(event(3))
    with pytest.raises(QueueFull):
        outbox.publish_many([event(4, merchant="merchant-2"), event(5)])
    assert services.tables.events.get("evt-4") is None
    assert not outbox.publish(event(4, merchant="merchant-2")).duplicate
    assert len(webhooks(services)) == 3


def test_what_does_not_go_into_the_queue_needs_no_room(services: Services) -> None:
    add_endpoint(services, "down", disabledReason="by hand")
    outbox = Outbox(with_settings(services, webhook_queue_limit=1))
    assert len(outbox.publish_many([event(1), event(2), event(3)])) == 3
    assert len(webhooks(services)) == 3


def test_what_a_producer_was_given_counts_at_once(services: Services) -> None:
    add_merchant(services, URL)
    outbox = Outbox(with_settings(services, webhook_queue_limit=3))
    outbox.items_for(event(1))
    outbox.alone(event(2))
    outbox.publish(event(3))
    with pytest.raises(QueueFull):
        outbox.items_for(event(4))


def test_events_that_wait_for_their_webhooks_count(services: Services) -> None:
    add_merchant(services, URL)
    services = with_settings(services, webhook_queue_limit=3)
    client = services.tables.client
    publish(services)
    for number in (2, 3):
        transact(client, [Outbox(services).alone(event(number))])
    for publishing in (Outbox(services).alone, Outbox(services).publish):
        with pytest.raises(QueueFull) as full:
            publishing(event(4))
        assert full.value.count == 3
    fan_out(services, Stop(), 10)
    with pytest.raises(QueueFull):
        Outbox(services).publish(event(4))
    Outbox(with_settings(services, webhook_queue_limit=4)).publish(event(4))


def test_remits_own_announcements_ask_for_no_room(services: Services) -> None:
    add_merchant(services, URL)
    services = with_settings(services, webhook_queue_limit=1)
    publish(services)
    actions = actions_for(event(2), endpoints_of(services.tables, "merchant-1"), services)
    assert len(actions) == 2


def test_without_the_store_nothing_is_published(
    services: Services, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_reach(**_: Any) -> None:
        raise StoreUnavailable("could not count Webhooks")

    monkeypatch.setattr(services.tables.client, "query", out_of_reach)
    with pytest.raises(StoreUnavailable):
        outbox.publish(event())
    assert services.tables.events.get("evt-1") is None

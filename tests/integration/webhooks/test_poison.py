"""What is wrong with one webhook stays with that one, whatever DynamoDB says about it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from remit.aws.wire import Wire
from remit.clock import format_instant, parse_instant
from remit.errors import RecordRefused
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.delivery import deliver
from tests.support.clock import ManualClock
from tests.support.webhooks import (
    NOW,
    SECRET,
    Answer,
    Received,
    Receiver,
    add_endpoint,
    add_merchant,
    publish,
    queued_webhook,
)

EARLY = NOW - timedelta(hours=1)


def one_try(services: Services) -> dict[str, int]:
    return deliver(services, Stop(), save=lambda _: None, last_try=True, rand=lambda: 0.0).counts


def record(services: Services, key: str) -> dict[str, Any]:
    return services.tables.webhooks.get(key) or {}


def add_poison(services: Services, receiver: Receiver, **changes: Any) -> None:
    services.tables.webhooks.put(queued_webhook("poison", receiver.url(), EARLY, **changes))


def refuse(
    monkeypatch: pytest.MonkeyPatch, attribute: str, meanwhile: Callable[[], object] = lambda: None
) -> threading.Event:
    """Every write that sets this attribute of the poison record is refused, as of one that would be
    too large with it. The event is set once a write of that record alone was refused."""
    transact, call, refused = Wire.transact, Wire.call, threading.Event()

    def is_refused(update: Mapping[str, Any]) -> bool:
        values = update.get("ExpressionAttributeValues", {})
        return update.get("Key") == {"id": {"S": "poison"}} and f":set_{attribute}" in values

    async def transact_or_refuse(
        wire: Wire, actions: Sequence[Mapping[str, Any]], patience: float
    ) -> Any:
        if any(is_refused(action.get("Update", {})) for action in actions):
            raise RecordRefused("the item would be too large")
        return await transact(wire, actions, patience)

    async def call_or_refuse(
        wire: Wire, operation: str, request: Mapping[str, Any], *patience: float
    ) -> Any:
        if operation == "UpdateItem" and is_refused(request):
            meanwhile()
            refused.set()
            raise RecordRefused("the item would be too large")
        return await call(wire, operation, request, *patience)

    monkeypatch.setattr(Wire, "transact", transact_or_refuse)
    monkeypatch.setattr(Wire, "call", call_or_refuse)
    return refused


def test_a_refused_outcome_is_recorded_in_short_and_its_siblings_go_on(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = refuse(monkeypatch, "lastAttempt")

    def answer(received: Received, _: int) -> Answer:
        if received.path == "/hook":
            # Siblings are in flight while the outcome of the poison one is refused.
            assert refused.wait(10)
            return Answer()
        return Answer(500)

    receiver.behaviour = answer
    add_merchant(services, receiver.url())
    add_merchant(services, receiver.url("/another"), id="merchant-2")
    add_poison(services, receiver, merchantID="merchant-2", url=receiver.url("/another"))
    healthy = {publish(services, number) for number in range(30)}
    assert one_try(services) == {"delivered": 30, "released": 1}
    assert refused.is_set()
    assert Counter(receiver.ids()) == Counter(healthy | {"poison"})
    for key in healthy:
        stored = record(services, key)
        assert (stored["status"], stored["attempts"], stored["responseCode"]) == (
            "delivered",
            1,
            200,
        )
        assert {"claim", "dueShard", "dueAt"}.isdisjoint(stored)
    stored = record(services, "poison")
    assert (stored["status"], stored["attempts"], stored["responseCode"]) == ("pending", 1, 500)
    assert "claim" not in stored
    assert one_try(services) == {}


def test_a_refused_failure_is_released_until_it_expires(
    services: Services,
    receiver: Receiver,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse(monkeypatch, "lastAttempt")
    receiver.behaviour = lambda *_: Answer(500)
    add_merchant(services, receiver.url())
    add_poison(services, receiver)
    assert one_try(services) == {"released": 1}
    stored = record(services, "poison")
    assert (stored["status"], stored["attempts"], stored["responseCode"]) == ("pending", 1, 500)
    assert stored["dueAt"] == format_instant(NOW + timedelta(seconds=2))
    assert "claim" not in stored
    clock.advance(79_997)
    assert one_try(services) == {"expired": 1}
    stored = record(services, "poison")
    assert (stored["status"], stored["reasonCode"]) == ("expired", "expired")
    assert "not delivered in 2 attempts".startswith(stored["reason"])
    assert {"claim", "dueShard", "dueAt"}.isdisjoint(stored)
    assert receiver.ids() == ["poison", "poison"]


def test_a_refused_dead_letter_keeps_the_start_of_its_reason(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "lastAttempt")
    receiver.behaviour = lambda *_: Answer(410)
    add_merchant(services, receiver.url())
    add_poison(services, receiver)
    assert one_try(services) == {"set_aside": 1}
    stored = record(services, "poison")
    assert (stored["status"], stored["responseCode"]) == ("failed", 410)
    assert stored["reasonCode"] == "gone"
    assert stored["reason"] == "the endpoint answered 410: g"
    assert "dueAt" not in stored


def test_what_cannot_be_claimed_leaves_the_queue(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "claim")
    add_merchant(services, receiver.url())
    add_poison(services, receiver)
    key = publish(services)
    assert one_try(services) == {"delivered": 1, "set_aside": 1}
    assert receiver.ids() == [key]
    stored = record(services, "poison")
    assert (stored["status"], stored["attempts"]) == ("failed", 0)
    assert (stored["reasonCode"], stored["reason"]) == ("unclaimable", "claim refused")
    assert {"claim", "dueShard", "dueAt"}.isdisjoint(stored)
    assert one_try(services) == {}


def test_a_held_one_that_cannot_be_claimed_again_is_left_to_whoever_holds_it_now(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, receiver.url())
    add_poison(services, receiver, claim="another's")
    before = record(services, "poison")

    def claim_by_another() -> None:
        services.tables.webhooks.update(
            "poison",
            set={"dueAt": format_instant(NOW + timedelta(seconds=60))},
            condition="attribute_exists(#id)",
        )

    refuse(monkeypatch, "claim", claim_by_another)
    assert one_try(services) == {"lost": 1}
    assert record(services, "poison") == {**before, "dueAt": format_instant(NOW.replace(minute=1))}


@pytest.mark.parametrize(
    ("written", "received"), [("claim", 0), ("responseCode", 1)], ids=["claiming", "recording"]
)
def test_the_unexpected_is_logged_with_the_id_and_counted(
    services: Services,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    written: str,
    received: int,
) -> None:
    add_merchant(services, receiver.url())
    odd, fine = publish(services, 1), publish(services, 2)
    action = services.tables.webhooks.update_action

    def fail(key: str, **change: Any) -> Any:
        if key == odd and written in change.get("set", ()):
            raise RuntimeError("peculiar")
        return action(key, **change)

    monkeypatch.setattr(services.tables.webhooks, "update_action", fail)
    assert one_try(services) == {"delivered": 1, "error": 1}
    assert Counter(receiver.ids()) == Counter({fine: 1, odd: received})
    (logged,) = (entry for entry in caplog.records if entry.levelno == logging.ERROR)
    assert odd in logged.getMessage()
    assert logged.exc_info


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": {"amount": b"\x00"}},
        {"eventID": "e" * 2049},
        {"endpointID": "e" * 1025},
        {"endpointID": "\N{LATIN SMALL LETTER E WITH ACUTE}" * 513},
    ],
    ids=["payload of bytes", "event id", "endpoint id", "bytes of endpoint id"],
)
def test_what_reading_stumbles_over_is_set_aside(
    services: Services, receiver: Receiver, changes: dict[str, Any]
) -> None:
    add_merchant(services, receiver.url())
    services.tables.webhooks.put(queued_webhook("poison", receiver.url(), EARLY, **changes))
    key = publish(services)
    assert one_try(services) == {"delivered": 1, "set_aside": 1}
    assert receiver.ids() == [key]
    stored = record(services, "poison")
    assert (stored["status"], stored["reasonCode"]) == ("failed", "unreadable")
    assert stored["reason"]


@pytest.mark.parametrize(
    ("table", "changes"),
    [("endpoints", {"endpointID": "odd"}), ("merchants", {"merchantID": "odd"})],
)
def test_a_key_that_dynamodb_refuses_costs_no_other_webhook_its_delivery(
    services: Services,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    table: str,
    changes: dict[str, Any],
) -> None:
    call, name = Wire.call, getattr(services.tables, table).name

    async def call_or_refuse(wire: Wire, operation: str, request: Mapping[str, Any]) -> Any:
        keys = request.get("RequestItems", {}).get(name, {}).get("Keys", [])
        if any({"S": "odd"} in key.values() for key in keys):
            raise RecordRefused("One or more parameter values were invalid")
        return await call(wire, operation, request)

    monkeypatch.setattr(Wire, "call", call_or_refuse)
    others = {f"merchant-{number}" for number in range(2, 7)}
    for merchant in others:
        add_merchant(services, receiver.url(), id=merchant)
    keys = {publish(services, n, merchant) for n, merchant in enumerate(sorted(others))}
    add_merchant(services, receiver.url())
    add_poison(services, receiver, **changes)
    assert one_try(services) == {"delivered": 5, "set_aside": 1}
    assert set(receiver.ids()) == keys
    assert f"{name} has no key" in caplog.text


@pytest.mark.parametrize("secret", [b"\x01\x02", {"kms": "AQID"}, 7_654_321], ids=str)
def test_a_secret_that_is_not_text_lets_webhooks_wait_until_it_is(
    services: Services,
    receiver: Receiver,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    secret: Any,
) -> None:
    add_merchant(services, receiver.url(), webhookSecret=secret)
    keys = {publish(services, number) for number in range(3)}
    assert one_try(services) == {"deferred": 3}
    (logged,) = (entry for entry in caplog.records if entry.levelno == logging.ERROR)
    assert "merchant=merchant-1 endpoint=default: webhookSecret is" in logged.getMessage()
    assert str(secret) not in caplog.text
    for key in keys:
        stored = record(services, key)
        assert (stored["status"], stored["attempts"]) == ("pending", 0)
        assert stored["dueAt"] == format_instant(NOW + timedelta(minutes=1))
        assert "claim" not in stored
    clock.advance(60)
    add_merchant(services, receiver.url(), webhookSecret=SECRET)
    assert one_try(services) == {"delivered": 3}


@pytest.mark.parametrize(
    "changes",
    [
        {"secrets": [{"id": "s-1"}]},
        {"secrets": [{"id": "s-1", "sealed": SECRET, "expiresAt": "soon"}]},
        {"schedule": [None]},
        {"events": 5},
    ],
    ids=str,
)
def test_webhooks_of_an_endpoint_whose_record_is_malformed_wait_until_it_is_mended(
    services: Services,
    receiver: Receiver,
    clock: ManualClock,
    changes: dict[str, Any],
) -> None:
    well = {"url": receiver.url("/odd"), "secrets": [{"id": "s-1", "sealed": SECRET}]}
    add_endpoint(services, "ep-1", **{**well, **changes})
    add_merchant(services, receiver.url(), id="merchant-2")
    odd, fine = publish(services, 1), publish(services, 2, "merchant-2")
    assert one_try(services) == {"delivered": 1, "deferred": 1}
    assert receiver.ids() == [fine]
    clock.advance(60)
    add_endpoint(services, "ep-1", **well)
    assert one_try(services) == {"delivered": 1}
    assert receiver.ids() == [fine, odd]


@pytest.mark.parametrize("value", [0, -1, "5", Decimal("1.5"), None], ids=repr)
def test_numbers_of_an_endpoint_that_are_no_counts_hold_nothing_up(
    services: Services, receiver: Receiver, value: Any
) -> None:
    add_merchant(services, receiver.url())
    settings = {"merchantID": "merchant-1", "id": "default", "rate": value, "concurrency": value}
    services.tables.endpoints.put(settings)
    key = publish(services)
    assert one_try(services) == {"delivered": 1}
    assert receiver.ids() == [key]


def test_the_wait_for_a_secret_grows_up_to_an_hour_and_ends_with_the_webhook(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url(), webhookSecret=b"\x01")
    key = publish(services)
    due, waits = NOW, []
    while one_try(services) == {"deferred": 1}:
        later = parse_instant(record(services, key)["dueAt"])
        waits.append((later - due) / timedelta(minutes=1))
        due = clock.now = later
    assert waits[:8] == [1, 1, 2, 4, 8, 16, 32, 60]
    assert set(waits[8:-1]) == {60}
    stored = record(services, key)
    assert (stored["status"], stored["attempts"]) == ("expired", 0)
    assert due == NOW + timedelta(hours=24)
    assert receiver.received == []

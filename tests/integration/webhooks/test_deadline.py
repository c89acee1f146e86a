"""The deadline of a webhook: it ends in time whatever it waits for, and is kept until it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from remit.audit import Actor
from remit.clock import epoch_seconds, format_instant
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.dead_letters import dead_letters
from remit.webhooks.delivery import deliver
from remit.webhooks.health import HealthBook
from remit.webhooks.health_writer import HealthWriter
from remit.webhooks.lanes import Lane
from remit.webhooks.reader import DuePage, Reader
from remit.webhooks.replay import replay_one
from tests.support.clock import ManualClock
from tests.support.webhooks import (
    NOW,
    SECRET,
    Answer,
    Receiver,
    add_endpoint,
    add_merchant,
    publish,
    queued_webhook,
    with_settings,
)

HOUR = timedelta(hours=1)
DEADLINE = NOW + timedelta(hours=24)
RETENTION = timedelta(days=7)
LIVE = {"id": "s-1", "sealed": SECRET}


def one_try(services: Services) -> dict[str, int]:
    return deliver(services, Stop(), save=lambda _: None, last_try=True, rand=lambda: 0.0).counts


def record(services: Services, key: str) -> dict[str, Any]:
    return services.tables.webhooks.get(key) or {}


def sweep(services: Services) -> None:
    """Remove what DynamoDB's TTL would have removed by now, at the earliest."""
    webhooks, now = services.tables.webhooks, epoch_seconds(services.clock())
    for item in list(webhooks.scan("#expiresAt <= :now", {"now": now}, attributes=["id"])):
        services.tables.client.delete_item(TableName=webhooks.name, Key={"id": {"S": item["id"]}})


def make_older(services: Services, key: str) -> None:
    """Let a record be one of before there was `deliverBefore`."""
    services.tables.webhooks.update(
        key,
        set={"expiresAt": epoch_seconds(DEADLINE)},
        remove=["deliverBefore"],
        condition="attribute_exists(#id)",
    )


def assert_dead(services: Services, key: str, attempts: int) -> None:
    (letter,) = dead_letters(services, "merchant-1")
    assert (letter["id"], letter["status"]) == (key, "expired")
    assert (letter["reasonCode"], letter["reason"]) == (
        "expired",
        f"not delivered in {attempts} attempts",
    )
    stored = record(services, key)
    assert not stored.keys() & {"claim", "dueShard", "dueAt", "waitingFor"}
    assert stored["expiresAt"] == epoch_seconds(services.clock() + RETENTION)


@pytest.mark.parametrize("late", [HOUR, RETENTION - timedelta(seconds=1)], ids=str)
def test_what_nobody_delivered_because_nothing_ran_is_there_to_be_ended(
    services: Services, receiver: Receiver, clock: ManualClock, late: timedelta
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    clock.now = DEADLINE + late
    sweep(services)
    assert one_try(services) == {"expired": 1}
    assert receiver.received == []
    assert_dead(services, key, attempts=0)


def test_what_was_to_be_retried_when_nothing_ran_is_there_to_be_ended(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.behaviour = lambda *_: Answer(500)
    add_merchant(services, receiver.url())
    key = publish(services)
    assert one_try(services) == {"released": 1}
    clock.now = DEADLINE + HOUR
    sweep(services)
    assert one_try(services) == {"expired": 1}
    assert_dead(services, key, attempts=1)
    (attempt,) = services.tables.attempts.query("#webhookID = :id", {"id": key})
    assert attempt["expiresAt"] == epoch_seconds(DEADLINE + RETENTION)


def test_the_dead_letter_of_a_pause_can_be_replayed(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    clock.now = DEADLINE + HOUR
    sweep(services)
    one_try(services)
    replay_one(services, "merchant-1", key, actor=Actor("ada"))
    assert record(services, key)["deliverBefore"] == epoch_seconds(clock() + 24 * HOUR)
    assert one_try(services) == {"delivered": 1}


def test_what_has_ended_goes_a_retention_after_its_end(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    assert one_try(services) == {"delivered": 1}
    clock.now = NOW + RETENTION - timedelta(seconds=1)
    sweep(services)
    assert record(services, key)["status"] == "delivered"
    clock.now = NOW + RETENTION
    sweep(services)
    assert record(services, key) == {}


@pytest.mark.parametrize(
    ("now", "counts"),
    [(DEADLINE - timedelta(seconds=1), {"delivered": 1}), (DEADLINE, {"expired": 1})],
    ids=["in time", "late"],
)
def test_an_older_record_has_its_deadline_in_its_expiry(
    services: Services,
    receiver: Receiver,
    clock: ManualClock,
    now: datetime,
    counts: dict[str, int],
) -> None:
    add_merchant(services, receiver.url())
    make_older(services, publish(services))
    clock.now = now
    assert one_try(services) == counts


def test_an_older_index_without_the_deadline_prolongs_nothing(
    services: Services,
    receiver: Receiver,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    due = Reader.due

    async def older(reader: Reader, *arguments: Any) -> DuePage:
        page = await due(reader, *arguments)
        for entry in page.items:
            entry.pop("deliverBefore")
            entry["expiresAt"] = epoch_seconds(DEADLINE + RETENTION)
        return page

    monkeypatch.setattr(Reader, "due", older)
    add_merchant(services, receiver.url())
    publish(services, 1)
    assert one_try(services) == {"delivered": 1}
    publish(services, 2)
    clock.now = DEADLINE
    assert one_try(services) == {"expired": 1}


def test_an_open_breaker_defers_to_the_deadline_at_the_latest(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, "")
    opened = {"breakerOpenUntil": format_instant(DEADLINE + HOUR), "breakerOpens": 5}
    add_endpoint(services, "down", url=receiver.url(), secrets=[LIVE], **opened)
    key = publish(services)
    clock.now = DEADLINE - HOUR
    assert one_try(services) == {"deferred": 1}
    stored = record(services, key)
    assert (stored["dueAt"], stored["attempts"]) == (format_instant(DEADLINE), 0)
    assert one_try(services) == {}
    clock.now = DEADLINE
    assert one_try(services) == {"expired": 1}
    assert receiver.received == []
    assert_dead(services, key, attempts=0)


def test_one_that_is_given_back_by_a_breaker_is_due_at_the_deadline_at_the_latest(
    services: Services, receiver: Receiver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HealthBook, "shut_until", lambda *_: DEADLINE + HOUR)
    add_merchant(services, receiver.url())
    key = publish(services)
    clock.now = DEADLINE - HOUR
    assert one_try(services) == {"put_back": 1}
    stored = record(services, key)
    assert (stored["dueAt"], stored["attempts"]) == (format_instant(DEADLINE), 0)


def test_who_waits_for_anothers_probe_waits_until_the_deadline_at_the_latest(
    services: Services, receiver: Receiver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HealthWriter, "try_probe", lambda *_: False)
    add_merchant(services, "")
    opened = {"breakerOpenUntil": format_instant(NOW), "breakerOpens": 1}
    add_endpoint(services, "down", url=receiver.url(), secrets=[LIVE], **opened)
    key = publish(services)
    clock.now = DEADLINE - timedelta(seconds=5)
    assert one_try(services) == {"deferred": 1}
    assert record(services, key)["dueAt"] == format_instant(DEADLINE)


def test_a_full_lane_puts_off_to_the_deadline_at_the_latest(
    services: Services, receiver: Receiver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lane, "room", lambda *_: 0)
    monkeypatch.setattr(Lane, "parks", lambda *_: False)
    monkeypatch.setattr(Lane, "leaves", lambda *_: False)
    monkeypatch.setattr(Lane, "put_off", lambda _, now: now + timedelta(minutes=10))
    add_merchant(services, receiver.url())
    key = publish(services)
    clock.now = DEADLINE - timedelta(seconds=5)
    assert one_try(services) == {"deferred": 1}
    assert record(services, key)["dueAt"] == format_instant(DEADLINE)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("seconds", "counts"),
    [(3599, {"released": 1}), (3600, {"expired": 1}), (7200, {"expired": 1})],
    ids=["before", "at it", "after it"],
)
def test_a_retry_after_prolongs_nothing(
    services: Services,
    receiver: Receiver,
    clock: ManualClock,
    status: int,
    seconds: int,
    counts: dict[str, int],
) -> None:
    receiver.behaviour = lambda *_: Answer(status, headers={"Retry-After": str(seconds)})
    add_merchant(services, receiver.url())
    key = publish(services)
    clock.now = DEADLINE - HOUR
    assert one_try(services) == counts
    if counts == {"released": 1}:
        assert record(services, key)["dueAt"] < format_instant(DEADLINE)
    clock.now = DEADLINE
    one_try(services)
    stored = record(services, key)
    assert (stored["status"], stored["reasonCode"]) == ("expired", "expired")
    assert "dueAt" not in stored
    assert len(receiver.received) == 1


def test_a_rate_puts_off_to_the_deadline_at_the_latest(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    services = with_settings(services, webhook_lifetime=timedelta(seconds=3))
    add_merchant(services, receiver.url())
    services.tables.endpoints.put({"merchantID": "merchant-1", "id": "default", "rate": 1})
    keys = [publish(services, number) for number in range(8)]
    assert one_try(services) == {"delivered": 2, "deferred": 6}
    dues = [stored["dueAt"] for key in keys if "dueAt" in (stored := record(services, key))]
    assert max(dues) == format_instant(NOW + timedelta(seconds=3))
    assert len(dues) == 6
    clock.advance(3)
    assert one_try(services) == {"expired": 6}


def test_an_endpoint_that_cannot_be_read_is_waited_for_until_the_deadline(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url(), webhookSecret=7)
    key = publish(services)
    clock.now = DEADLINE - timedelta(seconds=5)
    assert one_try(services) == {"deferred": 1}
    assert record(services, key)["dueAt"] == format_instant(DEADLINE)
    clock.now = DEADLINE
    assert one_try(services) == {"expired": 1}


def test_a_replay_that_waits_for_a_mended_endpoint_waits_by_its_own_age(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    clock.now = DEADLINE
    one_try(services)
    replay_one(services, "merchant-1", key, actor=Actor("ada"))
    add_merchant(services, receiver.url(), webhookSecret=7)
    clock.advance(600)
    assert one_try(services) == {"deferred": 1}
    # As long as it has waited since its replay; since its publication it would be an hour, the cap.
    assert record(services, key)["dueAt"] == format_instant(clock() + timedelta(minutes=10))


def test_one_that_has_lost_its_due_time_is_set_aside_and_holds_up_nobody(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Reader.webhooks

    async def lose_due_time(reader: Reader, keys: Sequence[str]) -> Mapping[str, Any]:
        if "odd" in keys:
            services.tables.webhooks.update(
                "odd", remove=["dueAt"], condition="attribute_exists(#id)"
            )
        return await read(reader, keys)

    monkeypatch.setattr(Reader, "webhooks", lose_due_time)
    add_merchant(services, receiver.url())
    for key in ("odd", "fine"):
        services.tables.webhooks.put(queued_webhook(key, receiver.url()))
    own = publish(services)
    assert one_try(services) == {"delivered": 2, "set_aside": 1}
    assert set(receiver.ids()) == {"fine", own}
    stored = record(services, "odd")
    assert (stored["status"], stored["reasonCode"]) == ("failed", "unreadable")
    assert stored["reason"] == "it has a dueShard and no dueAt"
    assert "dueShard" not in stored
    replay_one(services, "merchant-1", "odd", actor=Actor("ada"))
    monkeypatch.undo()
    assert one_try(services) == {"delivered": 1}

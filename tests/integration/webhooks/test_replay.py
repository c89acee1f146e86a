from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

import pytest

from remit.audit import Actor
from remit.aws.transactions import TransactionCanceled
from remit.clock import epoch_seconds, format_instant
from remit.errors import Conflict, InvalidRequest, NotFound, RecordRefused, StoreUnavailable
from remit.services import Services
from remit.stop import Stop
from remit.webhooks import replay, verify
from remit.webhooks.delivery import deliver
from remit.webhooks.replay import replay_one
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.webhooks import (
    NOW,
    SECRET,
    Answer,
    Receiver,
    add_endpoint,
    add_merchant,
    foreign_webhook,
    publish,
    with_settings,
)

URL = "https://example.com/hook"
MERCHANT = "merchant-1"
DAY = timedelta(days=1)


def one_try(services: Services) -> dict[str, int]:
    report = deliver(services, Stop(), save=lambda _: None, last_try=True, rand=lambda: 0.0)
    return report.counts


def record(services: Services, key: str) -> dict[str, Any]:
    found = services.tables.webhooks.get(key)
    assert found is not None
    return found


def change(services: Services, key: str, **changes: Any) -> None:
    """Attributes of a webhook as somebody may have written them; None: without."""
    changed = {**record(services, key), **changes}
    services.tables.webhooks.put({k: v for k, v in changed.items() if v is not None})


def dead(services: Services, number: int = 1, **changes: Any) -> str:
    """A webhook that was set aside after its endpoint answered 410."""
    key = publish(services, number)
    out = dict.fromkeys(("dueShard", "dueAt", "waitingFor"))
    ended = {"status": "failed", "reasonCode": "gone", "reason": "the endpoint answered 410"}
    ended |= {"nextRetry": "2026", "claim": "x"}
    change(services, key, **{"attempts": 7, **out, **ended, **changes})
    return key


def entries(services: Services) -> list[tuple[str, str, str]]:
    found = entries_of(services, MERCHANT)
    return [(one.action, one.actor.name, one.target) for one in found]


def test_a_dead_webhook_is_pending_again_with_attempts_and_lifetime_anew(
    services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    key = dead(services)
    clock.advance(3600)
    before = replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert (before.status, before.attempts) == ("failed", 7)
    again = record(services, key)
    assert (again["status"], again["attempts"], again["replays"]) == ("pending", 0, 1)
    assert (again["dueAt"], again["waitingFor"]) == (format_instant(clock()), MERCHANT)
    assert again["deliverBefore"] == epoch_seconds(clock() + DAY)
    assert again["expiresAt"] == epoch_seconds(clock() + 8 * DAY)
    assert again["updatedAt"] == format_instant(clock())
    assert not again.keys() & {"reason", "reasonCode", "nextRetry", "claim"}
    assert services.webhook_queue.due(10) == [key]
    assert entries(services) == [("webhooks.webhook.replayed", "ada", key)]


def test_the_receiver_sees_the_same_id_and_body_and_attempts_are_kept(
    services: Services, clock: ManualClock, receiver: Receiver
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    assert one_try(services) == {"delivered": 1}
    clock.advance(60)
    replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert one_try(services) == {"delivered": 1}
    first, second = receiver.received
    assert first.body == second.body
    for received in (first, second):
        assert verify(received.headers, received.body, SECRET, now=clock(), tolerance=DAY) == key
    attempts = list(services.tables.attempts.query("#webhookID = :id", {"id": key}))
    assert [attempt["attempt"] for attempt in attempts] == [1, 1]
    assert record(services, key)["status"] == "delivered"


def test_what_failed_for_good_is_retried_by_a_schedule_that_begins_anew(
    services: Services, clock: ManualClock, receiver: Receiver
) -> None:
    add_merchant(services, receiver.url())
    key = dead(services)
    receiver.behaviour = lambda _, __: Answer(500)
    replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert one_try(services) == {"released": 1}
    again = record(services, key)
    assert (again["status"], again["attempts"]) == ("pending", 1)
    assert again["nextRetry"] < format_instant(clock() + timedelta(seconds=10))


@pytest.mark.parametrize("status", ["delivered", "failed", "expired"])
def test_whatever_has_ended_can_be_replayed(services: Services, status: str) -> None:
    add_merchant(services, URL)
    key = dead(services, status=status)
    replay_one(services, MERCHANT, key, actor=Actor("ada"))
    replay_again = record(services, key)
    assert replay_again["status"] == "pending"


def test_one_that_is_queued_is_a_conflict(services: Services) -> None:
    add_merchant(services, URL)
    key = publish(services)
    with pytest.raises(Conflict, match=f"webhook {key} is still in the queue: its next attempt"):
        replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert "replays" not in record(services, key)
    assert entries(services) == []


def test_one_of_another_merchant_is_not_found(services: Services) -> None:
    add_merchant(services, URL)
    key = dead(services)
    with pytest.raises(NotFound, match="there is no webhook"):
        replay_one(services, "merchant-2", key, actor=Actor("ada"))
    for absent in ("wh-absent", "", "x" * 2049, "a\nb"):
        with pytest.raises(NotFound, match="there is no webhook"):
            replay_one(services, MERCHANT, absent, actor=Actor("ada"))
    with pytest.raises(InvalidRequest):
        replay_one(services, "", key, actor=Actor("ada"))
    assert record(services, key)["status"] == "failed"


def test_without_its_event_it_says_that_the_payload_is_gone(services: Services) -> None:
    add_merchant(services, URL)
    key = dead(services)
    events = services.tables.events
    event = events.get("evt-1") or {}
    for left in ({}, {**event, "merchantID": "merchant-2"}):
        services.tables.client.delete_item(TableName=events.name, Key={"id": {"S": "evt-1"}})
        if left:
            events.put(left)
        with pytest.raises(NotFound, match="the payload is gone: event evt-1 was removed"):
            replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert record(services, key)["status"] == "failed"


def test_its_event_outlives_it(services: Services, clock: ManualClock) -> None:
    add_merchant(services, URL)
    key = dead(services)
    stored = services.tables.events.get("evt-1") or {}
    clock.now = NOW + 6 * DAY
    replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert services.tables.events.get("evt-1") == stored
    change(services, key, dueShard=None, status="failed")
    clock.now = NOW + 7 * DAY + timedelta(seconds=1)
    replay_one(services, MERCHANT, key, actor=Actor("ada"))
    until = epoch_seconds(clock() + 8 * DAY)
    assert services.tables.events.get("evt-1") == {**stored, "expiresAt": until}


def test_a_disabled_endpoint_is_a_conflict_that_names_it(services: Services) -> None:
    add_merchant(services, "")
    add_endpoint(services, "down", disabledReason="by hand")
    key = publish(services)
    assert record(services, key)["reasonCode"] == "endpoint_disabled"
    with pytest.raises(Conflict, match=r"endpoint 'down' is disabled \(by hand\): enable it first"):
        replay_one(services, MERCHANT, key, actor=Actor("ada"))
    add_endpoint(services, "down")
    replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert services.webhook_queue.due(10) == [key]


def test_a_deleted_endpoint_is_not_found(services: Services) -> None:
    add_merchant(services, URL)
    key = dead(services, endpointID="gone")
    with pytest.raises(NotFound, match="there is no endpoint 'gone' any more"):
        replay_one(services, MERCHANT, key, actor=Actor("ada"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"eventID": 5}, "eventID is missing"),
        ({"eventID": "a b"}, "eventID is no id of an event"),
        ({"eventID": None}, "neither an event nor a payload"),
        ({"attempts": "x"}, "attempts is not a count"),
        ({"status": "new"}, "the status 'new' is unknown"),
        ({"status": "pending"}, "is pending: only what was delivered, failed, expired"),
    ],
    ids=str,
)
def test_what_no_attempt_can_help_is_a_conflict(
    services: Services, changes: dict[str, Any], reason: str
) -> None:
    add_merchant(services, URL)
    key = dead(services, **changes)
    before = record(services, key)
    with pytest.raises(Conflict, match=reason):
        replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert record(services, key) == before


def test_the_platforms_own_record_is_replayed_to_its_own_url(
    services: Services, receiver: Receiver
) -> None:
    add_merchant(services, "")
    foreign = foreign_webhook("wh-foreign", receiver.url("/own"), reason="no luck")
    services.tables.webhooks.put(foreign)
    replay_one(services, MERCHANT, "wh-foreign", actor=Actor("ada"))
    assert one_try(services) == {"delivered": 1}
    assert [received.path for received in receiver.received] == ["/own"]


def test_a_record_that_changes_in_between_is_looked_at_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    key = dead(services)
    seen = replay._replayable

    def replayable(*arguments: Any) -> replay.Candidate:
        candidate = seen(*arguments)
        monkeypatch.setattr(replay, "_replayable", seen)
        replay_one(services, MERCHANT, key, actor=Actor("bob"))  # who is faster
        return candidate

    monkeypatch.setattr(replay, "_replayable", replayable)
    with pytest.raises(Conflict, match="still in the queue"):
        replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert record(services, key)["replays"] == 1
    assert [actor for _, actor, _ in entries(services)] == ["bob"]


def test_a_record_that_changes_all_the_time_is_given_up(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    key = dead(services)
    old = replay.replayable(services, MERCHANT, key)
    change(services, key, updatedAt="later")
    monkeypatch.setattr(replay, "_replayable", lambda *_: old)
    with pytest.raises(StoreUnavailable, match="others write it all the time"):
        replay_one(services, MERCHANT, key, actor=Actor("ada"))


def test_a_record_that_dynamodb_refuses_stays_as_it_is(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, URL)
    key = dead(services)

    def transact(*_: Any) -> NoReturn:
        raise TransactionCanceled(["ValidationError", None])

    monkeypatch.setattr(replay, "transact", transact)
    with pytest.raises(RecordRefused, match=key):
        replay_one(services, MERCHANT, key, actor=Actor("ada"))
    assert record(services, key)["status"] == "failed"


def test_a_full_queue_does_not_keep_one_out(services: Services) -> None:
    add_merchant(services, URL)
    key = dead(services)
    full = with_settings(services, webhook_queue_limit=1)
    publish(full, 2)
    replay_one(full, MERCHANT, key, actor=Actor("ada"))
    assert record(services, key)["status"] == "pending"

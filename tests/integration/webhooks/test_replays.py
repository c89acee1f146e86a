from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from remit.aws.table import Table
from remit.clock import epoch_seconds, format_instant, parse_instant
from remit.errors import InvalidRequest, NotFound, RecordRefused, StoreUnavailable
from remit.queue import DueQueue, queued
from remit.services import Services
from remit.stop import Stop
from remit.webhooks import replay_pages, replays, verify
from remit.webhooks.delivery import deliver
from remit.webhooks.outbox import Outbox
from remit.webhooks.record import webhook_id
from remit.webhooks.replay_job import count_replay, find_replay, request_replay
from remit.webhooks.replay_pages import Pages
from remit.webhooks.replays import LEASE, PAUSE, run_replays
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.replays import (
    ACTOR,
    HOUR,
    MERCHANT,
    OUT_OF_QUEUE,
    change,
    counts,
    dead_letters,
    job,
    record,
    request,
    run,
    ticking,
    window,
)
from tests.support.webhooks import (
    NOW,
    SECRET,
    Receiver,
    add_endpoint,
    add_merchant,
    event,
    foreign_webhook,
    publish,
    with_settings,
)

URL = "https://example.com/hook"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def merchant(services: Services, clock: ManualClock) -> None:
    add_merchant(services, URL)


def later(clock: ManualClock) -> None:
    """When all that was made is in the past."""
    clock.advance(600)


def states(services: Services, keys: list[str]) -> Counter[str]:
    return Counter(one["status"] for one in services.tables.webhooks.get_many(keys).values())


def dues(services: Services, keys: list[str]) -> list[float]:
    """When webhooks are due, in seconds from now, in order."""
    now = services.clock()
    found = services.tables.webhooks.get_many(keys).values()
    return sorted((parse_instant(one["dueAt"]) - now).total_seconds() for one in found)


def small_pages(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(replay_pages, "PAGE", size)


def test_all_dead_letters_of_a_window_go_into_the_queue(
    services: Services, clock: ManualClock
) -> None:
    keys = dead_letters(services, range(5))
    later(clock)
    key = request(services)
    assert run(services) == 5
    assert states(services, keys) == {"pending": 5}
    one = record(services, keys[0])
    assert (one["attempts"], one["replays"], one["replayedBy"]) == (0, 1, key)
    assert one["waitingFor"] == MERCHANT
    assert not one.keys() & {"reason", "reasonCode", "claim"}
    assert counts(services, key) == (5, 5, {})


def test_a_finished_replay_says_what_became_of_it_and_goes_after_a_while(
    services: Services, clock: ManualClock
) -> None:
    dead_letters(services, range(2))
    later(clock)
    key = request(services)
    run(services)
    done = job(services, key)
    assert done["status"] == "completed"
    assert done["finishedAt"] == format_instant(clock())
    assert done["expiresAt"] == epoch_seconds(clock() + 7 * DAY)
    assert not done.keys() & {"claim", "dueShard", "dueAt", "cursor"}
    shown = find_replay(services, MERCHANT, key)
    assert (shown["matched"], shown["replayed"], shown["rate"]) == (2, 2, 50)
    assert run(services) == 0
    for merchant, other in (
        (MERCHANT, "replay-none"),
        (MERCHANT, ""),
        (MERCHANT, "replay-" + "x" * 3000),
        ("merchant-2", key),
    ):
        with pytest.raises(NotFound):
            find_replay(services, merchant, other)


def test_the_receiver_gets_the_same_ids_once_more(services: Services, clock: ManualClock) -> None:
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        keys = [publish(services, number) for number in range(3)]
        for _ in range(2):
            report = deliver(services, Stop(), save=lambda _: None, last_try=True)
            assert report.counts == {"delivered": 3}
            clock.advance(60)
            request(services, window(statuses=("delivered",)), rate=1000)
            assert run(services) == 3
            clock.advance(1)
    assert sorted(receiver.ids()) == sorted(keys * 2)
    for received in receiver.received:
        verify(received.headers, received.body, SECRET, now=clock(), tolerance=DAY)


def test_the_rate_spaces_the_webhooks_over_pages(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 3)
    keys = dead_letters(services, range(8))
    later(clock)
    key = request(services, rate=4)
    run(services)
    assert dues(services, keys) == [number / 4 for number in range(8)]
    assert job(services, key)["lastDueAt"] == format_instant(clock() + timedelta(seconds=7 / 4))


def test_a_webhooks_time_begins_when_it_is_due(services: Services, clock: ManualClock) -> None:
    keys = dead_letters(services, range(3))
    later(clock)
    request(services, rate=1)
    run(services)
    for one in services.tables.webhooks.get_many(keys).values():
        assert one["deliverBefore"] == epoch_seconds(parse_instant(one["dueAt"]) + DAY)
        assert one["expiresAt"] == one["deliverBefore"] + 7 * 86_400


def test_time_that_a_replay_lost_is_not_made_up_for(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 2)
    keys = dead_letters(services, range(4))
    later(clock)
    request(services, rate=1)
    run_replays(services, Stop(), 4, monotonic=ticking())
    clock.advance(60)
    run(services)
    assert dues(services, keys) == [-60, -59, 0, 1]


def only(services: Services, clock: ManualClock, wanted: Any) -> set[int]:
    """Which of the dead letters (by their numbers) a replay puts into the queue."""
    later(clock)
    counted = count_replay(services, MERCHANT, wanted)
    key = request(services, wanted)
    run(services)
    matched, replayed, _ = counts(services, key)
    assert (counted.matched, counted.replayable) == (matched, replayed)
    found = services.tables.webhooks.scan("#replayedBy = :id", {"id": key}, attributes=("eventID",))
    return {int(one["eventID"].removeprefix("evt-")) for one in found}


def test_a_window_has_its_begin_and_not_its_end(services: Services, clock: ManualClock) -> None:
    dead_letters(services, range(4))
    wanted = window(NOW + timedelta(seconds=1), until=NOW + timedelta(seconds=3))
    assert only(services, clock, wanted) == {1, 2}


def test_what_is_created_after_the_request_is_not_in_it(
    services: Services, clock: ManualClock
) -> None:
    dead_letters(services, range(2))
    later(clock)
    key = request(services, window(until=NOW + 10 * HOUR))
    fresh = dead_letters(services, [9], createdAt=format_instant(clock()))
    run(services)
    assert states(services, fresh) == {"failed": 1}
    assert counts(services, key)[0] == 2


def test_statuses_types_and_reasons_narrow_it(services: Services, clock: ManualClock) -> None:
    dead_letters(services, [1], status="delivered", reasonCode=None)
    dead_letters(services, [2], status="expired", reasonCode="expired")
    dead_letters(services, [3], eventType="refund.created")
    dead_letters(services, [4], eventType="payments.imported")
    every = {"statuses": ("delivered", "failed", "expired")}
    assert only(services, clock, window(statuses=("delivered",))) == {1}
    assert only(services, clock, window(reason_codes=("expired",))) == {2}
    assert only(services, clock, window(event_types=("refund.*",))) == {3}
    assert only(services, clock, window(event_types=("a.b", "payments.imported"))) == {4}
    dead_letters(services, [5], eventType="payments.imported")
    dead_letters(services, [6], eventType="payment.failed")
    dead_letters(services, [7], eventType="payment_method.added")
    assert only(services, clock, window(event_types=("payments.*", "payment.failed"))) == {5, 6}
    assert only(services, clock, window(event_types=("payment_method.*",))) == {7}
    assert only(services, clock, window(**every)) == set()  # all of them are in the queue


def test_an_endpoint_narrows_it_and_default_is_one(services: Services, clock: ManualClock) -> None:
    add_endpoint(services, "ep-2")
    dead_letters(services, [1])
    services.tables.webhooks.put(
        foreign_webhook("wh-foreign", URL, reason="x", eventID="evt-1", endpointID=None)
    )
    later(clock)
    key = request(services, window(endpoint_id="ep-2"))
    assert run(services) == 1
    assert record(services, webhook_id("evt-1", "ep-2"))["replayedBy"] == key
    key = request(services, window(endpoint_id="default"))
    assert run(services) == 2
    assert record(services, "wh-foreign")["replayedBy"] == key
    assert record(services, webhook_id("evt-1", "default"))["replayedBy"] == key


def test_what_is_queued_and_what_is_anothers_is_left_alone(
    services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL, "merchant-2")
    other = publish(services, 1, "merchant-2")
    change(services, other, **OUT_OF_QUEUE, status="failed")
    waits = publish(services, 2)
    change(services, waits, status="failed")  # still retried
    before = [record(services, key) for key in (other, waits)]
    later(clock)
    key = request(services)
    run(services)
    assert [record(services, one) for one in (other, waits)] == before
    assert counts(services, key) == (0, 0, {})


def test_what_cannot_be_replayed_is_counted_with_why_and_blocks_nothing(
    services: Services, clock: ManualClock
) -> None:
    add_endpoint(services, "down", events=["refund.*"], disabledReason="by hand")
    dead_letters(services, [1], endpointID="down")
    dead_letters(services, [2], endpointID="deleted")
    dead_letters(services, [3], eventID="evt-gone")
    for number, poison in enumerate(
        (
            {"attempts": "x"},
            {"eventID": 5},
            {"createdAt": None},
            {"createdAt": "yesterday"},
            {"status": "expired", "attempts": -1},
        )
    ):
        dead_letters(services, [10 + number], **poison)
    fine = dead_letters(services, [20])
    later(clock)
    skipped = {"endpoint_disabled": 1, "endpoint_deleted": 1, "payload_gone": 1, "unreadable": 5}
    counted = count_replay(services, MERCHANT, window())
    assert (counted.matched, counted.replayable, counted.skipped) == (9, 1, skipped)
    key = request(services)
    assert run(services) == 1
    assert counts(services, key) == (9, 1, skipped)
    assert states(services, fine) == {"pending": 1}


def test_what_dynamodb_refuses_is_counted_and_blocks_nothing(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = dead_letters(services, range(3))
    later(clock)
    update = Table.update

    def refusing(table: Any, key: Any, **arguments: Any) -> Any:
        if key == keys[1]:
            raise RecordRefused("too large")
        return update(table, key, **arguments)

    monkeypatch.setattr(Table, "update", refusing)
    key = request(services)
    assert run(services) == 2
    assert counts(services, key) == (3, 2, {"refused": 1})


def test_what_others_change_in_between_is_counted(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = dead_letters(services, range(2))
    later(clock)
    read = Pages.read

    def interfering(pages: Any, start: Any) -> Any:
        page = read(pages, start)
        change(services, keys[0], updatedAt="later")
        return page

    monkeypatch.setattr(Pages, "read", interfering)
    key = request(services)
    run(services)
    assert counts(services, key) == (2, 1, {"changed": 1})


def test_what_another_worker_put_there_since_the_page_was_read_counts_as_replayed(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = dead_letters(services, range(3))
    later(clock)
    key, read = request(services), Pages.read

    def late(pages: Any, start: Any) -> Any:
        page = read(pages, start)
        change(services, keys[0], status="pending", replayedBy=key, **queued(keys[0], NOW))
        change(services, keys[1], status="pending", replayedBy="other", **queued(keys[1], NOW))
        return page

    monkeypatch.setattr(Pages, "read", late)
    assert run(services) == 1
    assert counts(services, key) == (3, 2, {"changed": 1})
    assert "replays" not in record(services, keys[0])


def test_events_outlive_their_webhooks_and_are_written_once_each(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_endpoint(services, "ep-2")
    dead_letters(services, [1, 2])
    clock.now = NOW + 7 * DAY + HOUR
    written: list[str] = []
    update = Table.update

    def watched(table: Any, key: Any, **arguments: Any) -> Any:
        if table.name == "Events":
            written.append(key)
        return update(table, key, **arguments)

    monkeypatch.setattr(Table, "update", watched)
    request(services, rate=1)
    assert run(services) == 4
    assert sorted(written) == ["evt-1", "evt-2"]
    for number in (1, 2):
        expires_at = (services.tables.events.get(f"evt-{number}") or {})["expiresAt"]
        assert expires_at >= epoch_seconds(clock() + 8 * DAY)


def test_an_event_that_goes_in_between_leaves_its_webhook_alone(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = dead_letters(services, [1])
    clock.now = NOW + 7 * DAY + HOUR
    read = Pages.read

    def interfering(pages: Any, start: Any) -> Any:
        page = read(pages, start)
        services.tables.client.delete_item(TableName="Events", Key={"id": {"S": "evt-1"}})
        return page

    monkeypatch.setattr(Pages, "read", interfering)
    key = request(services)
    run(services)
    assert counts(services, key) == (1, 0, {"payload_gone": 1})
    assert states(services, keys) == {"failed": 1}


def test_a_worker_that_is_killed_between_page_and_cursor_leaves_a_page_that_is_done_once(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 3)
    keys = dead_letters(services, range(8))
    later(clock)
    key = request(services, rate=1)

    def killed(*_: Any, **__: Any) -> NoReturn:
        raise KeyboardInterrupt  # nothing that follows is done, as of a killed worker

    with monkeypatch.context() as patched:
        patched.setattr(DueQueue, "extend", killed)
        with pytest.raises(KeyboardInterrupt):
            run(services)
    assert states(services, keys) == {"pending": 3, "failed": 5}
    assert counts(services, key) == (0, 0, {})
    put = [one for one in keys if record(services, one)["status"] == "pending"]
    before = [record(services, one) for one in put]
    # One of them has failed once more by the time the successor comes.
    change(services, put[0], **OUT_OF_QUEUE, status="failed", reasonCode="gone")
    assert run(services) == 0  # it is leased
    clock.advance(LEASE.total_seconds())
    assert run(services) == 5
    assert counts(services, key) == (8, 8, {})
    assert [record(services, one) for one in put[1:]] == before[1:]
    assert record(services, put[0])["status"] == "failed"
    assert {record(services, one)["replays"] for one in keys} == {1}


def test_a_worker_that_lost_its_lease_writes_no_cursor(
    services: Services,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "remit")
    small_pages(monkeypatch, 2)
    keys = dead_letters(services, range(6))
    later(clock)
    key = request(services)
    read = Pages.read

    def slow(pages: Any, start: Any) -> Any:
        page = read(pages, start)
        monkeypatch.setattr(Pages, "read", read)
        clock.advance(LEASE.total_seconds() + 1)
        assert run(services) == 6  # the successor does all of it
        return page

    monkeypatch.setattr(Pages, "read", slow)
    assert run(services) == 0
    assert counts(services, key) == (6, 6, {})
    assert {record(services, one)["replays"] for one in keys} == {1}
    assert f"WebhookReplays {key} was claimed by another" in caplog.text


def test_two_workers_at_once_replay_every_webhook_once(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 5)
    keys = dead_letters(services, range(40))
    later(clock)
    replays_asked = [request(services, window(event_types=(one,))) for one in ("payment.*", "*")]
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(lambda _: run(services), range(2))) == 40
    run(services)
    assert {record(services, one)["replays"] for one in keys} == {1}
    assert sum(counts(services, one)[1] for one in replays_asked) == 40
    assert {job(services, one)["status"] for one in replays_asked} == {"completed"}


def test_it_goes_on_where_its_budget_ended(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 2)
    keys = dead_letters(services, range(7))
    later(clock)
    key = request(services)
    runs = []
    while job(services, key)["status"] != "completed":
        runs.append(run_replays(services, Stop(), 4, monotonic=ticking()))
    assert len(runs) > 1
    assert sum(runs) == 7
    assert states(services, keys) == {"pending": 7}
    assert counts(services, key) == (7, 7, {})


def test_asked_to_stop_it_gives_the_replay_back(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 4)
    dead_letters(services, range(8))
    later(clock)
    key = request(services)
    stop, extend = Stop(), DueQueue.extend
    with monkeypatch.context() as patched:

        def extend_and_stop(*arguments: Any) -> Any:
            stop.request()
            return extend(*arguments)

        patched.setattr(DueQueue, "extend", extend_and_stop)
        assert run(services, stop) == 4
    assert "claim" not in job(services, key)
    assert run(services, stop) == 0
    assert run(services) == 4
    assert counts(services, key) == (8, 8, {})


def test_asked_to_stop_in_a_page_it_counts_nothing_of_it_twice(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = dead_letters(services, range(60))
    later(clock)
    key = request(services)
    stop, update = Stop(), Table.update

    def update_and_stop(table: Any, *arguments: Any, **changes: Any) -> Any:
        if table.name == "Webhooks":
            stop.request()
        return update(table, *arguments, **changes)

    with monkeypatch.context() as patched:
        patched.setattr(Table, "update", update_and_stop)
        first = run(services, stop)
    assert 0 < first < 60
    assert counts(services, key) == (0, 0, {})
    assert run(services) == 60 - first
    assert counts(services, key) == (60, 60, {})
    assert {record(services, one)["replays"] for one in keys} == {1}


def test_a_replay_leaves_half_of_the_queue_to_what_happens_now(
    services: Services, clock: ManualClock
) -> None:
    keys = dead_letters(services, range(10))
    later(clock)
    key = request(services)
    limited = with_settings(services, webhook_queue_limit=8)
    assert run(limited) == 4
    waiting = job(services, key)
    assert (waiting["matched"], waiting["replayed"]) == (4, 4)
    assert waiting["dueAt"] == format_instant(clock() + PAUSE)
    assert "claim" not in waiting
    Outbox(limited).publish(event(99))  # there is room for it
    clock.advance(PAUSE.total_seconds())
    assert run(limited) == 0
    for one in keys:
        if record(services, one)["status"] == "pending":
            change(services, one, **OUT_OF_QUEUE, status="delivered")
    change(services, webhook_id("evt-99", "default"), **OUT_OF_QUEUE, status="delivered")
    clock.advance(PAUSE.total_seconds())
    assert run(limited) == 4
    assert counts(services, key) == (8, 8, {})
    assert states(services, keys) == {"delivered": 4, "pending": 4, "failed": 2}


def test_what_its_own_pages_put_into_the_queue_fills_it_too(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pages(monkeypatch, 2)
    dead_letters(services, range(10))
    later(clock)
    request(services)
    assert run(with_settings(services, webhook_queue_limit=11)) == 5


def test_replays_have_turns(
    services: Services,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "remit")
    small_pages(monkeypatch, 1)
    monkeypatch.setattr(replays, "PAGES_PER_TURN", 1)
    dead_letters(services, range(20))
    dead_letters(services, [99], eventType="refund.created")
    later(clock)
    long = request(services, window(event_types=("payment.*",)))
    clock.advance(1)
    short = request(services, window(event_types=("refund.*",)))
    run(services)
    assert counts(services, long) == (20, 20, {})
    assert counts(services, short) == (1, 1, {})
    complete = [one.split()[0] for one in caplog.messages if " is complete: " in one]
    assert complete == [f"replay={short}", f"replay={long}"]


@pytest.mark.parametrize(
    "poison",
    [
        {"filter": None},
        {"filter": "x"},
        {"filter": {"since": "yesterday"}},
        {"rate": None},
        {"merchantID": None},
        {"skipped": 5},
        {"matched": "x"},
        {"lastDueAt": "x"},
    ],
    ids=str,
)
def test_a_replay_that_cannot_be_read_has_failed_and_blocks_nothing(
    services: Services, clock: ManualClock, poison: dict[str, Any]
) -> None:
    dead_letters(services, [1])
    later(clock)
    bad = request(services)
    changed = {**job(services, bad), **poison}
    services.tables.replays.put({k: v for k, v in changed.items() if v is not None})
    clock.advance(1)
    request(services)
    assert run(services) == 1
    failed = job(services, bad)
    assert failed["status"] == "failed"
    assert failed["reason"].startswith("the replay cannot be read")
    assert "dueShard" not in failed
    assert failed["expiresAt"] == epoch_seconds(clock() + 7 * DAY)


def test_whatever_is_wrong_with_one_replay_the_others_go_on(
    services: Services,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dead_letters(services, [1])
    later(clock)
    bad = [request(services, window(reason_codes=(code,))) for code in ("gone", "expired")]
    clock.advance(1)
    good = request(services)
    read = Pages.read

    def failing(pages: Any, start: Any) -> Any:
        if pages._replay_id == bad[0]:
            raise StoreUnavailable("throttled")
        if pages._replay_id == bad[1]:
            raise RuntimeError("a mistake of ours")
        return read(pages, start)

    with monkeypatch.context() as patched:
        patched.setattr(Pages, "read", failing)
        assert run(services) == 1
    assert job(services, good)["status"] == "completed"
    assert f"replay={bad[0]} waits: throttled" in caplog.text
    assert f"replay={bad[1]} could not go on" in caplog.text
    clock.advance(LEASE.total_seconds())
    run(services)
    assert {job(services, one)["status"] for one in bad} == {"completed"}


def test_a_replay_that_cannot_be_claimed_holds_up_nobody(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_letters(services, [1])
    later(clock)
    bad = request(services)
    clock.advance(1)
    request(services)
    claim = DueQueue.claim

    def refusing(queue: Any, key: str, *arguments: Any, **changes: Any) -> Any:
        if key == bad:
            raise RecordRefused("too large")
        return claim(queue, key, *arguments, **changes)

    monkeypatch.setattr(DueQueue, "claim", refusing)
    assert run(services) == 1


def test_without_the_store_the_caller_goes_on(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: Any, **__: Any) -> NoReturn:
        raise StoreUnavailable("down")

    monkeypatch.setattr(DueQueue, "due", down)
    assert run(services) == 0
    assert "replays wait: down" in caplog.text


def test_a_request_is_stored_with_its_entry_in_the_audit_log(services: Services) -> None:
    wanted = window(endpoint_id="default", event_types=("payment.*",))
    shown = request_replay(services, MERCHANT, wanted, actor=ACTOR, rate=5, new_id=lambda _: "1")
    stored = job(services, "replay-1")
    assert stored["filter"] == {
        "since": format_instant(NOW - HOUR),
        "until": format_instant(NOW),
        "endpoint": "default",
        "eventTypes": ["payment.*"],
        "statuses": ["failed", "expired"],
    }
    assert {k: stored[k] for k in ("dueShard", "dueAt")} == queued("replay-1", NOW)
    assert stored["expiresAt"] == epoch_seconds(NOW + 8 * DAY)
    assert shown["status"] == "queued"
    assert shown["filter"] == stored["filter"]
    (entry,) = entries_of(services, MERCHANT)
    assert (entry.action, entry.actor, entry.target) == (
        "webhooks.replay.requested",
        ACTOR,
        "replay-1",
    )
    assert entry.details == {**stored["filter"], "rate": 5}


def test_a_wrong_request_names_every_field_and_stores_nothing(services: Services) -> None:
    wanted = window(
        NOW + HOUR,
        endpoint_id="a b",
        event_types=("payment*",),
        statuses=("pending",),
        reason_codes=("bad luck",),
    )
    for ask in (request_replay, count_replay):
        more = {"actor": ACTOR} if ask is request_replay else {}
        with pytest.raises(InvalidRequest) as refused:
            ask(services, MERCHANT, wanted, rate=0, **more)
        fields = [error.field for error in refused.value.errors]
        assert fields == ["since", "type", "status", "reason", "endpoint", "rate"]
    with pytest.raises(NotFound, match="there is no endpoint 'ep-9'"):
        request_replay(services, MERCHANT, window(endpoint_id="ep-9"), actor=ACTOR)
    with pytest.raises(InvalidRequest):
        request_replay(services, "", window(), actor=ACTOR)
    for table in ("WebhookReplays", "AuditLog"):
        assert services.tables.client.scan(TableName=table)["Items"] == []


def test_a_count_changes_nothing_and_says_when_there_may_be_more(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = dead_letters(services, range(6))
    later(clock)
    before = services.tables.webhooks.get_many(keys)
    small_pages(monkeypatch, 2)
    whole = count_replay(services, MERCHANT, window())
    assert (whole.matched, whole.replayable, whole.complete) == (6, 6, True)
    monkeypatch.setattr(replay_pages, "COUNTED", 6)
    assert count_replay(services, MERCHANT, window()).complete
    monkeypatch.setattr(replay_pages, "COUNTED", 5)
    some = count_replay(services, MERCHANT, window())
    assert (some.matched, some.replayable, some.complete) == (5, 5, False)
    fewer = count_replay(services, MERCHANT, window(), pages=2)
    assert (fewer.matched, fewer.complete) == (4, False)
    assert services.tables.webhooks.get_many(keys) == before

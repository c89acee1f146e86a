"""An endpoint that hangs, fails or is gone holds up nothing but itself."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from remit.audit import Actor
from remit.clock import format_instant, parse_instant
from remit.services import Services
from remit.stop import Stop
from remit.webhooks import verify
from remit.webhooks.delivery import Report, deliver
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.endpoints import store_on
from tests.support.isolation import Paths, arrived, publish_many, records, wait_for
from tests.support.webhooks import (
    NOW,
    SECRET,
    Answer,
    Received,
    Receiver,
    add_endpoint,
    add_merchant,
    with_settings,
)

pytestmark = pytest.mark.alone

LIVE = {"id": "s-1", "sealed": SECRET}
PERIOD = 36
"""Seconds after which a breaker that opened once has let a probe pass, jitter included."""


@pytest.fixture
def in_real_time(services: Services) -> Services:
    """By the clock on the wall: how fast an endpoint answers is measured by it."""
    return Services(services.settings, services.aws)


def one_try(services: Services, stop: Stop | None = None) -> Report:
    return deliver(services, stop or Stop(), save=lambda _: None, last_try=True, rand=lambda: 0.0)


def record(services: Services, key: str) -> dict[str, Any]:
    found = services.tables.webhooks.get(key)
    assert found is not None
    return found


def endpoint(services: Services, id: str = "default") -> dict[str, Any]:
    return services.tables.endpoints.get(("merchant-1", id)) or {}


@dataclass
class Background:
    """A try on a thread of its own."""

    services: Services
    stop: Stop = field(default_factory=Stop)
    counts: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Background:
        def run() -> None:
            self.counts = one_try(self.services, self.stop).counts

        self._thread = threading.Thread(target=run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_healthy_endpoints_are_delivered_while_half_of_them_hang(
    services: Services, receiver: Receiver, paths: Paths
) -> None:
    healthy, hanging = [], []
    for n in range(10):
        add_merchant(services, receiver.url(f"/{n}"), id=f"merchant-{n}")
        (hanging if n % 2 else healthy).extend(publish_many(services, 40, f"merchant-{n}", n * 100))
        if n % 2:
            paths.hang.add(f"/{n}")
    with Background(services) as trying:
        wait_for(lambda: set(healthy) <= set(receiver.ids()))
        assert all(one["status"] == "pending" for one in records(services, hanging))
        wait_for(lambda: all(o["status"] == "delivered" for o in records(services, healthy)))
        trying.stop.request()
        paths.let_go.set()
    assert Counter(receiver.ids())[healthy[0]] == 1
    assert max(Counter(receiver.ids()).values()) == 1


def test_thousands_that_wait_for_one_that_hangs_keep_nobody_else_waiting(
    services: Services, receiver: Receiver, paths: Paths, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url("/hangs"))
    add_merchant(services, receiver.url("/fine"), id="merchant-2")
    paths.hang.add("/hangs")
    waiting = publish_many(services, 3000)
    clock.advance(1)  # the others stand behind all of them in the queue
    healthy = publish_many(services, 50, "merchant-2", 10_000)
    with Background(services) as trying:
        wait_for(lambda: set(healthy) <= set(receiver.ids()))
        assert len(arrived(receiver, "/hangs")) <= 8
        trying.stop.request()
        paths.let_go.set()
    attempts = sum(one["attempts"] for one in records(services, waiting))
    assert attempts == len(arrived(receiver, "/hangs")), "to be put off is no attempt"


def test_slow_endpoints_with_long_queues_keep_nobody_else_waiting(
    in_real_time: Services, receiver: Receiver, paths: Paths
) -> None:
    for n in range(4):
        paths.seconds[f"/slow-{n}"] = 0.4
        add_merchant(in_real_time, receiver.url(f"/slow-{n}"), id=f"slow-{n}")
        publish_many(in_real_time, 1000, f"slow-{n}", n * 1000)
    add_merchant(in_real_time, receiver.url("/fine"), id="fine")
    healthy = publish_many(in_real_time, 200, "fine", 10_000)
    with Background(in_real_time) as trying:
        wait_for(lambda: set(healthy) <= set(receiver.ids()), 60)
        slow = len(receiver.received) - len(healthy)
        trying.stop.request()
    assert slow < 600, "of the thousands that stood before them"


def test_many_for_an_endpoint_that_takes_its_time_are_one_try(
    in_real_time: Services, receiver: Receiver, paths: Paths
) -> None:
    """Eight at once, a fifth of a second each, are forty a second."""
    paths.seconds["/hook"] = 0.2
    add_merchant(in_real_time, receiver.url())
    keys = publish_many(in_real_time, 400)
    began = time.monotonic()
    assert one_try(in_real_time).counts["delivered"] == 400
    assert time.monotonic() - began < 30
    assert Counter(receiver.ids()) == Counter(keys)


def test_a_breaker_that_opens_stops_what_is_claimed_and_what_is_parked_too(
    services: Services, receiver: Receiver, paths: Paths
) -> None:
    add_merchant(services, receiver.url())
    paths.status["/hook"] = 500
    keys = publish_many(services, 90)  # of which 86 are parked at first
    one_try(services)
    # Five failures open it: as many as may be under way by then have gone out.
    assert 5 <= len(receiver.received) <= 4 + 8
    stored = records(services, keys)
    assert sum(one["attempts"] for one in stored) == len(receiver.received)
    until = endpoint(services)["breakerOpenUntil"]
    assert all(one["dueAt"] >= until for one in stored if not one["attempts"])
    assert all("claim" not in one for one in stored)


def test_when_the_period_is_over_one_probe_goes_out_and_its_success_closes_the_breaker(
    services: Services, receiver: Receiver, paths: Paths, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url())
    paths.status["/hook"] = 500
    publish_many(services, 40)
    one_try(services)
    sent = len(receiver.received)
    clock.advance(20)
    assert one_try(services).counts.keys() <= {"deferred"}
    assert len(receiver.received) == sent
    clock.advance(PERIOD)
    one_try(services)
    assert len(receiver.received) == sent + 1, "one probe, which failed"
    assert parse_instant(endpoint(services)["breakerOpenUntil"]) > clock() + timedelta(seconds=50)
    paths.status.clear()
    clock.advance(2 * PERIOD)
    one_try(services)
    assert "breakerOpenUntil" not in endpoint(services)
    clock.advance(120)
    one_try(services)
    assert set(receiver.ids()) == {o["id"] for o in records(services, receiver.ids())}
    assert services.webhook_queue.due(100) == []
    assert len(set(receiver.ids())) == 40


def test_one_that_is_gone_is_disabled_and_the_merchant_is_told_where_it_still_can_be(
    services: Services, receiver: Receiver, paths: Paths, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url("/default"))
    add_endpoint(services, "ep-gone", url=receiver.url("/gone"), secrets=[LIVE])
    paths.status["/gone"] = 410
    gone = [k for k in publish_many(services, 1) if record(services, k)["endpointID"] == "ep-gone"]
    one_try(services)
    assert record(services, gone[0])["reasonCode"] == "gone"
    assert endpoint(services, "ep-gone")["disabledReason"] == "it answered 410 (Gone)"
    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.actor.name, entry.target) == (
        "webhooks.endpoint.disabled",
        "remit",
        "ep-gone",
    )
    one_try(services)
    told = [one for one in receiver.received if b"endpoint.disabled" in one.body]
    assert [one.path for one in told] == ["/default"]
    assert arrived(receiver, "/gone") == gone


def test_what_waits_for_one_that_is_gone_is_set_aside_as_disabled(
    services: Services, receiver: Receiver, paths: Paths, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url("/default"))
    add_endpoint(services, "ep-gone", url=receiver.url("/gone"), secrets=[LIVE], concurrency=1)
    paths.status["/gone"] = 410
    keys = publish_many(services, 150)
    one_try(services)
    sent = len(arrived(receiver, "/gone"))
    assert sent <= 8, "it was asked again and again after it had said that it is gone"
    clock.advance(60)
    one_try(services)
    assert len(arrived(receiver, "/gone")) == sent
    its = [one for one in records(services, keys) if one["endpointID"] == "ep-gone"]
    assert Counter(one["reasonCode"] for one in its) == {
        "gone": sent,
        "endpoint_disabled": 150 - sent,
    }
    assert all(one["status"] == "failed" and "waitingFor" not in one for one in its)
    assert all(one["attempts"] == 0 for one in its if one["reasonCode"] != "gone")
    later = publish_many(services, 1, first=1000)
    kept = [one for one in records(services, later) if one["endpointID"] == "ep-gone"]
    assert [one["reasonCode"] for one in kept] == ["endpoint_disabled"]


def test_what_waits_for_one_that_is_deleted_is_set_aside(
    services: Services, receiver: Receiver
) -> None:
    add_endpoint(services, "ep-1", url=receiver.url(), secrets=[LIVE])
    keys = publish_many(services, 3)
    services.tables.client.delete_item(
        TableName="WebhookEndpoints", Key={"merchantID": {"S": "merchant-1"}, "id": {"S": "ep-1"}}
    )
    assert one_try(services).counts == {"set_aside": 3}
    for one in records(services, keys):
        assert (one["status"], one["reasonCode"], one["attempts"]) == (
            "failed",
            "endpoint_deleted",
            0,
        )
    assert receiver.received == []


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_are_out_at_once_than_an_endpoint_allows(
    services: Services, receiver: Receiver, concurrency: int
) -> None:
    out: defaultdict[str, int] = defaultdict(int)
    most: defaultdict[str, int] = defaultdict(int)
    lock = threading.Lock()

    def answer(received: Received, _: int) -> Answer:
        with lock:
            out[received.path] += 1
            most[received.path] = max(most[received.path], out[received.path])
        threading.Event().wait(0.01)
        with lock:
            out[received.path] -= 1
        return Answer()

    receiver.behaviour = answer
    for n in range(2):
        url = receiver.url(f"/{n}")
        add_endpoint(services, f"ep-{n}", url=url, secrets=[LIVE], concurrency=concurrency)
    publish_many(services, 60)
    assert one_try(services).counts == {"delivered": 120}
    assert most == {"/0": concurrency, "/1": concurrency}


def test_an_endpoints_own_schedule_says_when_it_is_tried_again(
    services: Services, receiver: Receiver, paths: Paths, clock: ManualClock
) -> None:
    add_endpoint(services, "ep-1", url=receiver.url(), secrets=[LIVE], schedule=[7, 100])
    paths.status["/hook"] = 500
    (key,) = publish_many(services, 1)
    for wait in (7, 100, 100):
        assert one_try(services).counts == {"released": 1}
        assert record(services, key)["dueAt"] == format_instant(clock() + timedelta(seconds=wait))
        clock.advance(wait)


def test_both_secrets_sign_while_they_overlap_and_their_use_is_told(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    store = store_on(services, check_url=lambda *_: None)
    made = store.create("merchant-1", {"url": receiver.url(), "secret": SECRET}, actor=Actor("ada"))
    rotated = store.rotate_secret(
        "merchant-1", made.endpoint.id, actor=Actor("ada"), overlap=timedelta(hours=1)
    )
    publish_many(services, 1)
    assert one_try(services).counts == {"delivered": 1}
    (received,) = receiver.received
    for secret in (SECRET, rotated.secret):
        assert verify(received.headers, received.body, secret, now=clock()) == received.id
    stored = endpoint(services, made.endpoint.id)
    assert stored["lastSuccessAt"] == format_instant(NOW)
    ids = [one["id"] for one in stored["secrets"]]
    assert stored["secretsUsed"] == dict.fromkeys(ids, format_instant(NOW))
    assert len(ids) == 2

    clock.advance(3601)
    publish_many(services, 1, first=2)
    one_try(services)
    last = receiver.received[-1]
    assert verify(last.headers, last.body, rotated.secret, now=clock()) == last.id
    with pytest.raises(Exception, match="signature"):
        verify(last.headers, last.body, SECRET, now=clock())
    used = endpoint(services, made.endpoint.id)["secretsUsed"]
    assert [used[one] for one in ids] == [format_instant(NOW), format_instant(clock())]


@pytest.mark.parametrize(("taken", "delivered"), [(34, 3), (35, 1)])
def test_no_attempt_begins_whose_outcome_could_be_written_after_its_lease(
    services: Services, receiver: Receiver, clock: ManualClock, taken: float, delivered: int
) -> None:
    """A lease of 60 seconds has room for 15 of an attempt, and ten to record it."""
    add_endpoint(services, "ep-1", url=receiver.url(), secrets=[LIVE], concurrency=1)
    keys = publish_many(services, 3)

    def answer(_: Received, __: int) -> Answer:
        clock.now = NOW + timedelta(seconds=taken)
        return Answer()

    receiver.behaviour = answer
    counts = one_try(services).counts
    assert (counts["delivered"], counts.get("put_back", 0)) == (delivered, 3 - delivered)
    assert sum(one["attempts"] for one in records(services, keys)) == delivered


def test_the_shortest_lease_that_a_deployment_may_set_still_delivers(
    in_real_time: Services, receiver: Receiver
) -> None:
    settings = in_real_time.settings
    shortest = settings.webhook_timeout + 2 * settings.webhook_lease_margin
    services = with_settings(in_real_time, webhook_lease=shortest)
    add_merchant(services, receiver.url())
    publish_many(services, 3)
    assert one_try(services).counts == {"delivered": 3}

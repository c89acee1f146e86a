from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from remit.audit import Actor
from remit.clock import format_instant
from remit.errors import StoreUnavailable
from remit.services import Services
from remit.webhooks.disabling import disable_and_tell
from remit.webhooks.endpoints import EndpointStore
from remit.webhooks.health import GONE, Admit, Defer, HealthBook, Probe, Why
from remit.webhooks.health_writer import HealthDisable, HealthUpdate, HealthWrite
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.webhooks import SECRET, add_merchant

MERCHANT = "merchant-1"
KEY = (MERCHANT, "ep-1")
DEFAULT = (MERCHANT, "default")
URLS = {KEY: "https://ep-1.example.com/hook", DEFAULT: "https://example.com/hook"}
ELSEWHERE = "https://elsewhere.example.com/hook"
PERIOD = 30
"""Seconds that a breaker is open the first time."""


def book(services: Services, random: float = 0.0) -> HealthBook:
    """The health book of one more deliverer, which has read the endpoint's record."""
    made = HealthBook(services, lambda: random, disable=partial(disable_and_tell, services))
    made.load(KEY, record(services), "")
    return made


def add_endpoint(services: Services, id: str = "ep-1", **attributes: Any) -> None:
    endpoint = {
        "merchantID": MERCHANT,
        "id": id,
        "url": f"https://{id}.example.com/hook",
        "events": ["*"],
        "secrets": [{"id": "s-1", "sealed": SECRET}],
        **attributes,
    }
    services.tables.endpoints.put(endpoint)


def record(services: Services, key: tuple[str, str] = KEY) -> dict[str, Any]:
    return services.tables.endpoints.get(key) or {}


def health(services: Services, key: tuple[str, str] = KEY) -> dict[str, Any]:
    """What an endpoint's record says of its health."""
    names = ("failingSince", "lastSuccessAt", "secretsUsed", "disabledReason")
    found = record(services, key)
    return {n: v for n, v in found.items() if n in names or n.startswith("breaker")}


def write(books: HealthBook, now: datetime) -> list[HealthWrite]:
    """Write what is due, and what comes of that."""
    written: list[HealthWrite] = []
    while due := books.writes(now):
        for one in due:
            books.apply(one)
        written += due
    return written


def outcomes(one: HealthBook, clock: ManualClock, *statuses: int | None) -> list[HealthWrite]:
    for status in statuses:
        one.record(KEY, URLS[KEY], status, clock(), ("s-1",))
    return write(one, clock())


@pytest.fixture(autouse=True)
def endpoint(services: Services) -> None:
    add_endpoint(services)


def later(clock: ManualClock, seconds: float) -> str:
    return format_instant(clock() + timedelta(seconds=seconds))


def test_one_deliverer_opens_the_breaker_and_another_sees_it(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services)
    assert isinstance(one.admission(KEY, clock()), Admit)
    outcomes(one, clock, *[None] * 5)
    assert one.admission(KEY, clock()) == Defer(clock() + timedelta(seconds=PERIOD), Why.OPEN)
    assert health(services) == {
        "failingSince": later(clock, 0),
        "breakerOpenUntil": later(clock, PERIOD),
        "breakerOpens": 1,
    }
    assert isinstance(other.admission(KEY, clock()), Admit)
    other.load(KEY, record(services), "")
    assert other.admission(KEY, clock()) == one.admission(KEY, clock())


def test_what_waits_for_a_breaker_does_not_come_back_together(
    services: Services, clock: ManualClock
) -> None:
    draws = iter([0.0, 0.0, 0.5, 0.99])
    one = HealthBook(services, draws.__next__, disable=partial(disable_and_tell, services))
    for _ in range(5):
        one.record(KEY, URLS[KEY], 500, clock(), ())
    until = [one.admission(KEY, clock()).until - clock() for _ in range(3)]
    assert until == [timedelta(seconds=seconds) for seconds in (30, 33, 35.94)]


def test_of_eight_threads_in_eight_deliverers_one_gets_the_probe(
    services: Services, clock: ManualClock
) -> None:
    outcomes(book(services), clock, *[None] * 5)
    clock.advance(PERIOD)
    books, barrier = [book(services) for _ in range(8)], Barrier(8)
    assert all(isinstance(one.admission(KEY, clock()), Probe) for one in books)

    def ask(one: HealthBook) -> bool:
        barrier.wait(10)
        return one.try_probe(KEY)

    with ThreadPoolExecutor(8) as threads:
        granted = list(threads.map(ask, books))
    assert sum(granted) == 1
    deferred = [one.admission(KEY, clock()) for one in books]
    assert deferred == [Defer(clock() + timedelta(seconds=20), Why.PROBED)] * 8


def test_a_probe_that_nobody_reports_of_is_another_ones_turn_when_its_time_is_over(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services)
    outcomes(one, clock, *[None] * 5)
    clock.advance(PERIOD)
    assert one.try_probe(KEY)
    other.load(KEY, record(services), "")
    assert isinstance(other.admission(KEY, clock()), Defer)
    clock.advance(20)
    assert isinstance(other.admission(KEY, clock()), Probe)
    assert other.try_probe(KEY)


def test_a_probe_that_succeeds_closes_the_breaker_for_everybody(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services)
    outcomes(one, clock, *[None] * 5)
    other.load(KEY, record(services), "")
    clock.advance(PERIOD)
    assert isinstance(one.admission(KEY, clock()), Probe)
    assert one.try_probe(KEY)
    assert len(outcomes(one, clock, 200)) == 1
    assert isinstance(one.admission(KEY, clock()), Admit)
    assert health(services) == {
        "lastSuccessAt": later(clock, 0),
        "secretsUsed": {"s-1": later(clock, 0)},
    }
    # The other learns of it when it asks for a probe at the latest, and may send at once.
    assert isinstance(other.admission(KEY, clock()), Probe)
    assert other.try_probe(KEY)
    assert isinstance(other.admission(KEY, clock()), Admit)


def test_a_probe_that_is_refused_closes_the_breaker_and_the_endpoint_is_failing_still(
    services: Services, clock: ManualClock
) -> None:
    one = book(services)
    since = later(clock, 0)
    outcomes(one, clock, *[None] * 5)
    clock.advance(PERIOD)
    assert one.try_probe(KEY)
    outcomes(one, clock, 404)
    assert health(services) == {"failingSince": since}
    assert isinstance(one.admission(KEY, clock()), Admit)


def test_a_probe_that_fails_opens_it_for_twice_as_long_and_nobody_may_probe_meanwhile(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services)
    outcomes(one, clock, *[None] * 5)
    other.load(KEY, record(services), "")
    clock.advance(PERIOD)
    assert isinstance(other.admission(KEY, clock()), Probe)
    assert one.try_probe(KEY)
    outcomes(one, clock, None)
    assert health(services)["breakerOpens"] == 2
    assert health(services)["breakerOpenUntil"] == later(clock, 2 * PERIOD)
    assert "breakerProbeUntil" not in health(services)
    assert not other.try_probe(KEY)
    assert other.admission(KEY, clock()) == one.admission(KEY, clock())


def test_of_two_that_open_it_at_once_one_is_believed(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services, random=0.5)
    outcomes(one, clock, None)
    other.load(KEY, record(services), "")
    outcomes(one, clock, *[None] * 4)
    assert len(outcomes(other, clock, *[None] * 5)) == 1
    assert health(services)["breakerOpenUntil"] == later(clock, PERIOD)
    assert health(services)["breakerOpens"] == 1
    clock.advance(PERIOD)  # by its own reckoning it would be open for three seconds more
    assert isinstance(other.admission(KEY, clock()), Probe)


def test_a_thousand_successes_in_a_minute_are_two_writes_at_most(
    services: Services, clock: ManualClock
) -> None:
    one, writes = book(services), []
    for _ in range(1_000):
        clock.advance(0.06)
        writes += outcomes(one, clock, 200)
    assert 1 <= len(writes) <= 2
    assert health(services).keys() == {"lastSuccessAt", "secretsUsed"}


def test_an_endpoint_that_fails_every_other_time_is_not_written_every_time(
    services: Services, clock: ManualClock
) -> None:
    books, writes = [book(services), book(services)], []
    for number in range(300):
        clock.advance(0.2)
        for status in (404, 200):
            writes += outcomes(books[number % 2], clock, status)
        if number % 50 == 0:
            for one in books:
                one.load(KEY, record(services), "")
    assert len(writes) <= 8
    assert "failingSince" not in health(services)


def test_several_deliverers_together_write_a_success_about_once_a_minute(
    services: Services, clock: ManualClock
) -> None:
    books, writes = [book(services) for _ in range(4)], []
    for second in range(180):
        clock.advance(1)
        for one in books:
            writes += outcomes(one, clock, 200)
            if second % 10 == 0:
                one.load(KEY, record(services), "")
    assert len(writes) <= 4 * 3


def test_failures_begin_with_the_first_of_any_deliverer_and_end_with_a_success_of_any(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services)
    outcomes(one, clock, 500)
    since = later(clock, 0)
    clock.advance(5)
    outcomes(other, clock, 500)
    assert health(services) == {"failingSince": since}
    clock.advance(5)
    assert len(outcomes(other, clock, 200)) == 1
    assert "failingSince" not in health(services)
    assert health(services)["lastSuccessAt"] == later(clock, 0)
    one.load(KEY, record(services), "")
    assert write(one, clock()) == []


def test_a_success_before_the_first_failure_of_another_ends_nothing(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services)
    outcomes(one, clock, 500)
    other.load(KEY, record(services), "")
    other.record(KEY, URLS[KEY], 200, clock(), ())  # at the same instant: not after it
    clock.advance(1)
    services.tables.endpoints.update(
        KEY, set={"failingSince": later(clock, 0)}, condition="attribute_exists(#url)"
    )
    write(other, clock())
    assert health(services)["failingSince"] == later(clock, 0)


def test_the_last_success_is_the_latest_of_all_deliverers(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services)
    one.record(KEY, URLS[KEY], 200, clock(), ("s-1",))
    clock.advance(1)
    outcomes(other, clock, 200)
    assert len(write(one, clock())) == 1
    assert health(services)["lastSuccessAt"] == later(clock, 0)
    clock.advance(5)
    assert write(one, clock()) == []


def test_the_first_success_of_a_secret_is_written_at_once(
    services: Services, clock: ManualClock
) -> None:
    one = book(services)
    outcomes(one, clock, 200)
    clock.advance(5)
    one.record(KEY, URLS[KEY], 200, clock(), ("s-1", "s-2"))
    assert len(write(one, clock())) == 1
    assert health(services)["secretsUsed"] == {"s-1": later(clock, 0), "s-2": later(clock, 0)}
    clock.advance(5)
    one.record(KEY, URLS[KEY], 200, clock(), ("s-1", "s-2"))
    assert write(one, clock()) == []


def test_the_first_success_of_a_secret_is_kept_beside_a_later_one_of_another(
    services: Services, clock: ManualClock
) -> None:
    one, other = book(services), book(services)
    one.record(KEY, URLS[KEY], 200, clock(), ("s-2",))
    clock.advance(1)
    outcomes(other, clock, 200)
    assert len(write(one, clock())) == 1  # it finds the other's
    clock.advance(5)
    assert len(write(one, clock())) == 1
    assert health(services) == {
        "lastSuccessAt": later(clock, -5),
        "secretsUsed": {"s-1": later(clock, -5), "s-2": later(clock, -6)},
    }
    clock.advance(60)
    outcomes(other, clock, 200)
    assert health(services)["secretsUsed"].keys() == {"s-1", "s-2"}


def test_a_disabled_endpoint_is_not_probed(services: Services, clock: ManualClock) -> None:
    one, other = book(services), book(services)
    outcomes(one, clock, *[None] * 5)
    other.load(KEY, record(services), "")
    one.gone(KEY, URLS[KEY])
    write(one, clock())
    clock.advance(PERIOD)
    assert isinstance(other.admission(KEY, clock()), Probe)
    assert not other.try_probe(KEY)
    assert other.admission(KEY, clock()).why is Why.DISABLED


def test_a_default_endpoint_without_a_record_gets_one(
    services: Services, clock: ManualClock
) -> None:
    one = book(services)
    for _ in range(5):
        one.record(DEFAULT, URLS[DEFAULT], None, clock(), ())
    write(one, clock())
    assert health(services, DEFAULT)["breakerOpens"] == 1
    clock.advance(PERIOD)
    assert isinstance(one.admission(DEFAULT, clock()), Probe)
    assert one.try_probe(DEFAULT)


@pytest.mark.parametrize("status", [200, 500, 410])
def test_a_deleted_endpoint_does_not_come_back(
    services: Services, clock: ManualClock, status: int
) -> None:
    one = book(services)
    for _ in range(5):
        one.record(KEY, URLS[KEY], None, clock(), ())
    services.tables.endpoints.client.delete_item(
        TableName=services.tables.endpoints.name,
        Key=services.tables.endpoints.key_values(KEY),
    )
    outcomes(one, clock, status)
    if status == 410:
        one.gone(KEY, URLS[KEY])
        write(one, clock())
    assert services.tables.endpoints.get(KEY) is None
    clock.advance(60)
    assert write(one, clock()) == []
    assert not one.try_probe(KEY)


def entries(services: Services) -> list[str]:
    """What the audit log says of endpoints that were disabled."""
    found = entries_of(services, MERCHANT)
    return [f"{e.actor.name}: {e.target} {e.details['reason']}" for e in found]


def events(services: Services) -> list[dict[str, Any]]:
    found = services.tables.events.scan(
        "#type = :type", {"type": "endpoint.disabled"}, attributes=["payload"]
    )
    return [json.loads(item["payload"])["data"] for item in found]


def webhooks(services: Services) -> set[str]:
    """The endpoints that have a webhook."""
    found = services.tables.webhooks.scan("#attempts >= :n", {"n": 0}, attributes=["endpointID"])
    return {item["endpointID"] for item in found}


def worn_out(services: Services, clock: ManualClock, since: datetime) -> HealthBook:
    """A deliverer that has just seen another failure of an endpoint that failed for long."""
    services.tables.endpoints.update(
        KEY, set={"failingSince": format_instant(since)}, condition="attribute_exists(#url)"
    )
    one = book(services)
    one.record(KEY, URLS[KEY], 500, clock(), ())
    return one


def test_one_that_failed_for_too_long_is_disabled_once_however_many_find_out(
    services: Services, clock: ManualClock
) -> None:
    add_merchant(services, "https://example.com/hook", MERCHANT)
    add_endpoint(services, "ep-2")
    add_endpoint(services, "ep-3", events=["payment.*"])
    since = clock() - timedelta(days=5)
    books, barrier = [worn_out(services, clock, since) for _ in range(8)], Barrier(8)

    def disable(one: HealthBook) -> None:
        barrier.wait(10)
        write(one, clock())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(disable, books))
    reason = f"it has failed since {format_instant(since)} without one success"
    stored = record(services)
    assert (stored["disabledReason"], stored["disabledAt"]) == (reason, later(clock, 0))
    assert entries(services) == [f"remit: ep-1 {reason}"]
    assert events(services) == [
        {"endpoint_id": "ep-1", "reason": reason, "disabled_at": later(clock, 0)}
    ]
    assert webhooks(services) == {"default", "ep-2"}
    assert all(one.admission(KEY, clock()).why is Why.DISABLED for one in books)


def test_one_that_recovered_meanwhile_is_not_disabled(
    services: Services, clock: ManualClock
) -> None:
    one = worn_out(services, clock, clock() - timedelta(days=6))
    outcomes(book(services), clock, 200)
    assert any(isinstance(each, HealthDisable) for each in write(one, clock()))
    assert "disabledReason" not in record(services)
    assert "failingSince" not in record(services)
    assert entries(services) == []
    assert isinstance(one.admission(KEY, clock()), Admit)


@pytest.mark.parametrize(
    "attributes",
    [
        {"failingSince": -5 + 1e-3},
        {"failingSince": -9.0, "lastSuccessAt": -8.0},
    ],
)
def test_one_that_did_not_fail_for_so_long_without_a_success_stays(
    services: Services, clock: ManualClock, attributes: dict[str, float]
) -> None:
    at = {n: format_instant(clock() + timedelta(days=d)) for n, d in attributes.items()}
    services.tables.endpoints.update(KEY, set=at, condition="attribute_exists(#url)")
    outcomes(book(services), clock, 500)
    assert "disabledReason" not in record(services)


def test_an_old_failure_alone_disables_nothing(services: Services, clock: ManualClock) -> None:
    worn_out(services, clock, clock() - timedelta(days=9))
    other = book(services)
    assert write(other, clock()) == []
    assert isinstance(other.admission(KEY, clock()), Admit)


@pytest.mark.parametrize("key", [KEY, DEFAULT])
def test_one_that_is_gone_is_disabled_at_once_and_until_then_gets_nothing(
    services: Services, clock: ManualClock, key: tuple[str, str]
) -> None:
    add_merchant(services, URLS[DEFAULT], MERCHANT)
    one = book(services)
    one.record(key, URLS[key], 410, clock(), ())
    one.gone(key, URLS[key])
    one.gone(key, URLS[key])
    admission = one.admission(key, clock())
    assert isinstance(admission, Defer)
    assert admission.why is Why.DISABLED
    assert admission.until > clock()
    write(one, clock())
    assert record(services, key)["disabledReason"] == GONE
    assert entries(services) == [f"remit: {key[1]} {GONE}"]
    # Stragglers change nothing of its health.
    before = health(services, key)
    clock.advance(60)
    for status in (200, *[500] * 5):
        one.record(key, URLS[key], status, clock(), ())
    assert write(one, clock()) == []
    assert health(services, key) == before


def move(services: Services, key: tuple[str, str] = KEY) -> None:
    """An operator, or the platform, sets another URL."""
    if key == DEFAULT:
        add_merchant(services, ELSEWHERE, MERCHANT)
        return
    store = EndpointStore(services, services.vault, lambda _: None)
    store.change(*key, {"url": ELSEWHERE}, actor=Actor("ada"))


@pytest.mark.parametrize("key", [KEY, DEFAULT])
def test_a_url_is_not_disabled_for_what_the_last_one_answered(
    services: Services, clock: ManualClock, key: tuple[str, str]
) -> None:
    add_merchant(services, URLS[DEFAULT], MERCHANT)
    one = book(services)
    move(services, key)
    one.record(key, URLS[key], 410, clock(), ())
    one.gone(key, URLS[key])
    assert any(isinstance(each, HealthDisable) for each in write(one, clock()))
    assert "disabledReason" not in record(services, key)
    assert [e.action for e in entries_of(services, MERCHANT) if "disabled" in e.action] == []
    assert isinstance(one.admission(key, clock()), Admit)
    one.load(key, record(services, key), ELSEWHERE)
    one.record(key, URLS[key], 410, clock(), ())  # a request that began before
    one.gone(key, URLS[key])
    assert isinstance(one.admission(key, clock()), Admit)
    one.gone(key, ELSEWHERE)
    clock.advance(5)
    write(one, clock())
    assert record(services, key)["disabledReason"] == GONE


def test_a_url_is_not_disabled_for_the_long_time_that_the_last_one_failed(
    services: Services, clock: ManualClock
) -> None:
    one = worn_out(services, clock, clock() - timedelta(days=6))
    services.tables.endpoints.update(
        KEY, set={"url": ELSEWHERE}, condition="attribute_exists(#url)"
    )
    assert any(isinstance(each, HealthDisable) for each in write(one, clock()))
    assert "disabledReason" not in record(services)


def test_who_still_asks_the_last_url_writes_nothing_of_it_to_the_next_one(
    services: Services, clock: ManualClock
) -> None:
    one = book(services)
    move(services)
    outcomes(one, clock, *[500] * 5)
    assert health(services) == {}
    assert isinstance(one.admission(KEY, clock()), Admit)
    clock.advance(5)
    assert outcomes(one, clock, 500, 200) == []  # they are of the last one, too
    assert health(services) == {}


@pytest.mark.parametrize("key", [KEY, DEFAULT])
def test_an_endpoint_that_has_moved_begins_anew(
    services: Services, clock: ManualClock, key: tuple[str, str]
) -> None:
    add_merchant(services, URLS[DEFAULT], MERCHANT)
    one = book(services)
    one.load(key, record(services, key), URLS[key])
    for _ in range(5):
        one.record(key, URLS[key], 500, clock(), ())
    write(one, clock())
    assert isinstance(one.admission(key, clock()), Defer)
    move(services, key)
    one.load(key, record(services, key), ELSEWHERE)
    assert isinstance(one.admission(key, clock()), Admit)
    write(one, clock())
    assert health(services, key) == {}


def test_one_that_was_enabled_again_is_sent_to_again(
    services: Services, clock: ManualClock
) -> None:
    one = book(services)
    outcomes(one, clock, *[500] * 5)
    one.gone(KEY, URLS[KEY])
    write(one, clock())
    removed = ["disabledReason", "failingSince", "breakerOpenUntil", "breakerOpens"]
    services.tables.endpoints.update(KEY, remove=removed, condition="attribute_exists(#url)")
    one.load(KEY, record(services), "")
    assert isinstance(one.admission(KEY, clock()), Admit)
    assert write(one, clock()) == []


class Failing:
    """A client whose calls fail as often as is told."""

    def __init__(self, client: Any, times: int) -> None:
        self._client = client
        self.times = times

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if self.times and name != "meta":
            self.times -= 1
            raise StoreUnavailable("DynamoDB is away")
        return getattr(self._client, name)


def test_what_the_store_did_not_take_is_written_later(
    services: Services, clock: ManualClock
) -> None:
    one, table = book(services), services.tables.endpoints
    for _ in range(5):
        one.record(KEY, URLS[KEY], None, clock(), ())
    table.client, since = Failing(table.client, 1), later(clock, 0)
    assert len(write(one, clock())) == 1
    assert health(services) == {}
    clock.advance(5)
    assert len(write(one, clock())) == 1
    assert health(services) == {
        "failingSince": since,
        "breakerOpenUntil": later(clock, PERIOD - 5),
        "breakerOpens": 1,
    }


def test_while_the_store_is_away_nobody_probes(services: Services, clock: ManualClock) -> None:
    one, table = book(services), services.tables.endpoints
    outcomes(one, clock, *[None] * 5)
    clock.advance(PERIOD)
    assert isinstance(one.admission(KEY, clock()), Probe)
    table.client = Failing(table.client, 1)
    assert not one.try_probe(KEY)
    assert isinstance(one.admission(KEY, clock()), Defer)
    clock.advance(20)
    assert isinstance(one.admission(KEY, clock()), Probe)
    assert one.try_probe(KEY)


def test_a_write_that_was_handed_out_and_not_begun_is_handed_out_again(
    services: Services, clock: ManualClock
) -> None:
    one = book(services)
    one.record(KEY, URLS[KEY], None, clock(), ())
    (first,) = one.writes(clock())
    (again,) = one.writes(clock())
    assert again is first
    one.apply(again)
    assert one.writes(clock()) == []
    one.apply(first)  # whoever was interrupted goes on after all
    assert one.writes(clock()) == []
    assert health(services) == {"failingSince": later(clock, 0)}


def test_what_happens_during_a_write_is_kept_and_written_after_it(
    services: Services, clock: ManualClock
) -> None:
    one = book(services)
    outcomes(one, clock, *[None] * 5)
    clock.advance(PERIOD)
    assert one.try_probe(KEY)
    one.record(KEY, URLS[KEY], 200, clock(), ())
    (closed,) = one.writes(clock())
    one.apply(closed)
    for _ in range(5):  # before the loop knows what came of it
        one.record(KEY, URLS[KEY], 500, clock(), ())
    one.load(KEY, record(services), "")
    assert len(write(one, clock())) == 1
    assert health(services)["breakerOpenUntil"] == later(clock, PERIOD)
    assert one.admission(KEY, clock()) == Defer(clock() + timedelta(seconds=PERIOD), Why.OPEN)


@pytest.mark.parametrize("status", [200, 500])
def test_who_does_not_know_that_it_was_disabled_changes_nothing_of_its_health(
    services: Services, clock: ManualClock, status: int
) -> None:
    one, other = book(services), book(services)
    one.gone(KEY, URLS[KEY])
    write(one, clock())
    before = health(services)
    assert len(outcomes(other, clock, status)) == 1
    assert health(services) == before
    assert isinstance(other.admission(KEY, clock()), Defer)


def test_a_record_that_cannot_be_read_is_written_over(
    services: Services, clock: ManualClock
) -> None:
    add_endpoint(
        services,
        failingSince=7,
        lastSuccessAt="yesterday",
        secretsUsed="s-1",
        breakerOpenUntil={"a": 1},
        breakerOpens="many",
        breakerProbeUntil=None,
    )
    one = book(services)
    assert isinstance(one.admission(KEY, clock()), Admit)
    outcomes(one, clock, *[None] * 5)
    assert health(services)["breakerOpens"] == 1
    clock.advance(PERIOD)
    assert one.try_probe(KEY)
    outcomes(one, clock, 200)
    assert health(services) == {
        "lastSuccessAt": later(clock, 0),
        "secretsUsed": {"s-1": later(clock, 0)},
    }


def test_the_secrets_used_last_are_remembered_and_not_all_that_ever_were(
    services: Services, clock: ManualClock
) -> None:
    old = {f"s-{n}": later(clock, n - 1_000) for n in range(30)}
    add_endpoint(services, secretsUsed=old)
    outcomes(book(services), clock, 200)
    used = health(services)["secretsUsed"]
    assert used == {**{f"s-{n}": old[f"s-{n}"] for n in range(11, 30)}, "s-1": later(clock, 0)}


def test_what_is_known_of_very_many_endpoints_is_bounded(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.webhooks.health._MOST_KNOWN", 100)
    one = HealthBook(services, lambda: 0.0, disable=partial(disable_and_tell, services))
    for _ in range(5):
        one.record(KEY, URLS[KEY], None, clock(), ())
    for number in range(1_000):
        one.load((MERCHANT, f"other-{number}"), {}, "")
    assert len(one._known) <= 101
    assert isinstance(one.admission(KEY, clock()), Defer)


def test_updates_are_what_differs_and_no_more(services: Services, clock: ManualClock) -> None:
    one = book(services)
    (opened,) = outcomes(one, clock, *[None] * 5)
    assert isinstance(opened, HealthUpdate)
    assert opened.set.keys() == {"failingSince", "breakerOpenUntil", "breakerOpens"}
    assert outcomes(one, clock, *[None] * 5) == []

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from remit.errors import QueueFull
from remit.services import Services
from remit.webhooks.waiting import WaitingGauge
from tests.support.aws import put_many
from tests.support.clock import ManualClock
from tests.support.webhooks import with_settings

Queries = list[dict[str, Any]]


@pytest.fixture
def queries(services: Services, monkeypatch: pytest.MonkeyPatch) -> Queries:
    """Every query of webhooks that is made; each is followed by one of events, if there is room."""
    made: Queries = []
    query = services.tables.client.query

    def recorded(**request: Any) -> Any:
        if request["TableName"] == services.tables.webhooks.name:
            made.append(request)
        return query(**request)

    monkeypatch.setattr(services.tables.client, "query", recorded)
    return made


def gauge(services: Services, limit: int = 100) -> WaitingGauge:
    """A gauge with another limit."""
    return WaitingGauge(with_settings(services, webhook_queue_limit=limit))


def let_wait(services: Services, count: int, merchant: str = "merchant-1") -> None:
    """Put so many webhooks of a merchant into the queue, and one that has left it."""
    waiting = [{"id": f"{merchant}-{n}", "waitingFor": merchant} for n in range(count)]
    gone = {"id": f"{merchant}-gone", "merchantID": merchant}
    put_many(services, "Webhooks", [*waiting, gone])


def refusal(measured: WaitingGauge, more: int = 1, merchant: str = "merchant-1") -> QueueFull:
    """How a merchant is refused."""
    with pytest.raises(QueueFull) as full:
        measured.check(merchant, more)
    return full.value


def test_counts_what_waits_for_this_merchant(services: Services) -> None:
    let_wait(services, 7)
    let_wait(services, 20, "merchant-2")
    measured = gauge(services, 10)
    measured.check("merchant-1", 3)
    refused = refusal(measured, 4)
    assert (refused.count, refused.more, refused.limit) == (7, 4, 10)
    assert "7 webhooks of merchant 'merchant-1' wait for delivery: 4 more" in str(refused)


def test_events_that_wait_for_their_webhooks_are_counted_with_them(services: Services) -> None:
    let_wait(services, 4)
    events = [{"id": f"evt-{n}", "waitingFor": f"merchant-{1 + n % 2}"} for n in range(10)]
    put_many(services, "Events", [*events, {"id": "evt-gone", "merchantID": "merchant-1"}])
    assert refusal(gauge(services, 10), 2).count == 9
    assert refusal(gauge(services, 7)).count == 7
    assert refusal(gauge(services, 3)).count == 3
    gauge(services, 10).check("merchant-1", 1)


def test_counts_no_further_than_to_the_limit(services: Services, queries: Queries) -> None:
    let_wait(services, 30)
    assert refusal(gauge(services, 10)).count == 10
    assert [(q["Select"], q["Limit"]) for q in queries] == [("COUNT", 10)]


def test_goes_on_after_a_page_that_ends_early(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_wait(services, 30)
    query = services.tables.client.query

    def short(**request: Any) -> Any:
        return query(**{**request, "Limit": min(request["Limit"], 4)})

    monkeypatch.setattr(services.tables.client, "query", short)
    gauge(services, 31).check("merchant-1", 1)
    assert refusal(gauge(services, 30)).count == 30


def test_a_count_is_believed_for_a_second_and_longer_the_more_there_was(
    services: Services, clock: ManualClock, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = gauge(services)
    measured.check("merchant-1", 1)
    clock.advance(0.999)
    measured.check("merchant-1", 1)
    assert len(queries) == 1
    clock.advance(0.001)
    measured.check("merchant-1", 1)
    assert len(queries) == 2
    monkeypatch.setattr(services.tables.webhooks, "count", lambda *_, **__: 50_000)
    large = gauge(services, 60_000)
    large.check("merchant-1", 1)
    monkeypatch.setattr(services.tables.webhooks, "count", lambda *_, **__: 60_000)
    clock.advance(5.9)
    large.check("merchant-1", 1)
    clock.advance(0.1)
    assert refusal(large).retry_after == timedelta(seconds=7)


def test_a_clock_that_was_set_back_makes_no_count_old_and_believed(
    services: Services, clock: ManualClock, queries: Queries
) -> None:
    measured = gauge(services)
    measured.check("merchant-1", 1)
    clock.advance(-3600)
    measured.check("merchant-1", 1)
    assert len(queries) == 2


def test_what_this_process_has_published_since_is_added(
    services: Services, clock: ManualClock, queries: Queries
) -> None:
    let_wait(services, 5)
    measured = gauge(services, 10)
    measured.check("merchant-1", 4)
    measured.added("merchant-1", 4)
    measured.check("merchant-1", 1)
    assert refusal(measured, 2).count == 9
    assert len(queries) == 1
    clock.advance(1.1)
    measured.check("merchant-1", 5)
    assert len(queries) == 2


def test_nothing_is_counted_for_nothing(services: Services, queries: Queries) -> None:
    let_wait(services, 5)
    gauge(services, 1).check("merchant-1", 0)
    assert queries == []


def test_so_many_merchants_are_not_remembered_for_ever(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.webhooks.waiting._MOST_KNOWN", 3)
    measured = gauge(services)
    for number in range(10):
        measured.check(f"merchant-{number}", 1)
        measured.added(f"merchant-{number}", 1)
    assert len(measured._counts) <= 3

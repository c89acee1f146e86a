from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest

from remit.services import Services
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.permits import MERCHANT, Permits, RateLimits
from tests.support.clock import ManualClock

ENDPOINT = ("merchant-1", "ep-1")
HORIZON = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def endpoint(services: Services) -> None:
    services.tables.endpoints.put(
        {"merchantID": ENDPOINT[0], "id": ENDPOINT[1], "url": "https://example.com/", "secrets": []}
    )


@pytest.mark.parametrize("id", [ENDPOINT[1], "default", MERCHANT])
def test_eight_deliverers_at_once_share_one_rate(
    services: Services, clock: ManualClock, id: str
) -> None:
    barrier = Barrier(8)

    def deliver(_: int) -> list[datetime]:
        limits = RateLimits(services.tables.endpoints)
        barrier.wait(10)
        taken: list[datetime] = []
        for _ in range(2):
            key = (ENDPOINT[0], id)
            taken += limits.acquire(key, 10, 5, clock(), clock() + HORIZON).moments
        return taken

    with ThreadPoolExecutor(8) as threads:
        moments = sorted(moment for taken in threads.map(deliver, range(8)) for moment in taken)
    # Ten at once, then one every tenth of a second. Who loses ten times in a row gets none.
    assert 60 <= len(moments) <= 80
    expected = [max(0.0, (number - 9) / 10) for number in range(len(moments))]
    assert [(moment - clock()).total_seconds() for moment in moments] == expected


def test_the_record_of_a_merchants_rate_is_no_endpoint(
    services: Services, clock: ManualClock
) -> None:
    limits, key = RateLimits(services.tables.endpoints), (ENDPOINT[0], MERCHANT)
    limits.acquire(key, 10, 5, clock(), clock() + HORIZON)
    assert [one.id for one in endpoints_of(services.tables, ENDPOINT[0])] == [ENDPOINT[1]]


def test_a_deleted_endpoint_does_not_come_back(services: Services, clock: ManualClock) -> None:
    table, limits = services.tables.endpoints, RateLimits(services.tables.endpoints)
    limits.acquire(ENDPOINT, 10, 5, clock(), clock() + HORIZON)
    table.client.delete_item(TableName=table.name, Key=table.key_values(ENDPOINT))
    permits = limits.acquire(ENDPOINT, 10, 5, clock(), clock() + HORIZON)
    assert permits.moments == ()
    assert len(permits.deferred) == 5
    assert table.get(ENDPOINT) is None


def test_the_rest_of_the_record_stays_as_it_is(services: Services, clock: ManualClock) -> None:
    before = services.tables.endpoints.get(ENDPOINT) or {}
    taken = RateLimits(services.tables.endpoints).acquire(
        ENDPOINT, 2, 3, clock(), clock() + HORIZON
    )
    assert taken == Permits((clock(), clock(), clock() + timedelta(seconds=0.5)))
    assert services.tables.endpoints.get(ENDPOINT) == {
        **before,
        "rateNext": "2026-11-23T12:00:01.500000Z",
    }

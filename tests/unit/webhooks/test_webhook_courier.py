"""What is claimed is sent, or given back unsent."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from remit.settings import Settings
from remit.stop import Stop
from remit.webhooks.backoff import RetrySchedule
from remit.webhooks.courier import Courier
from remit.webhooks.directory import Known
from remit.webhooks.endpoint import Endpoint, EndpointKey
from remit.webhooks.moves import Seen
from remit.webhooks.policy import Status
from remit.webhooks.prepare import Ready
from remit.webhooks.record import Webhook
from remit.webhooks.recorder import Open
from remit.webhooks.sender import Outcome, Request
from tests.support.clock import ManualClock

HOUR = timedelta(hours=1)
SETTINGS = Settings()
KNOWN = Known(
    ("m-1", "ep-1"),
    Endpoint("ep-1", "m-1", "https://example.com/", ()),
    (),
    RetrySchedule(),
    RetrySchedule(),
    (),
)


class Records:
    """Notes what becomes of a webhook."""

    def __init__(self) -> None:
        self.became: list[tuple[str, datetime | None]] = []
        self.changed = asyncio.Event()

    def begin(self, opened: Open) -> Open:
        return opened

    def settle(self, opened: Open, outcome: Outcome, now: datetime) -> None:
        self._note("sent", None)

    async def put_back(self, claimed: list[Open], due_at: datetime | None = None) -> None:
        for _ in claimed:
            self._note("put back", due_at)

    async def finish(self) -> None:
        """All is written."""

    def _note(self, became: str, due_at: datetime | None) -> None:
        self.became.append((became, due_at))
        self.changed.set()


class Health:
    def __init__(self) -> None:
        self.until: datetime | None = None

    def shut_until(self, key: EndpointKey, now: datetime) -> datetime | None:
        return self.until


class Posts:
    async def post(self, request: Request) -> Outcome:
        return Outcome(timedelta(seconds=1), status=200)


class Signs:
    def headers(self, webhook_id: str, timestamp: int, body: bytes, keys: Any) -> dict[str, str]:
        return {}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stop() -> Stop:
    return Stop(timedelta(seconds=30))


@pytest.fixture
def health() -> Health:
    return Health()


async def sent(
    clock: ManualClock,
    stop: Stop,
    health: Health,
    *,
    claimed_before: timedelta = timedelta(),
    time_left: timedelta = HOUR,
) -> list[tuple[str, datetime | None]]:
    """What becomes of one webhook that was claimed so long ago."""
    records: Any = Records()
    courier = Courier(
        SETTINGS, clock, stop, sender=Posts(), signer=Signs(), recorder=records, health=health
    )
    webhook = Webhook(
        id="wh-1",
        merchant_id="m-1",
        endpoint_id="ep-1",
        event_type="payment.succeeded",
        url="",
        status=Status.PENDING,
        attempts=0,
        deliver_before=clock() + time_left,
        event_id="ev-1",
        payload=None,
    )
    ready = Ready(Seen("wh-1", "2026-01-01T00:00:00.000000Z", "pending", 0), webhook, KNOWN)
    courier.lane(ready).hold()
    courier.accept(ready, "token", clock() - claimed_before)
    await asyncio.wait_for(records.changed.wait(), 10)
    await courier.finish(None)
    assert courier.lane(ready).held == 0
    became: list[tuple[str, datetime | None]] = records.became
    return became


async def test_what_is_claimed_is_sent(clock: ManualClock, stop: Stop, health: Health) -> None:
    assert await sent(clock, stop, health) == [("sent", None)]


async def test_nothing_is_sent_after_its_deadline(
    clock: ManualClock, stop: Stop, health: Health
) -> None:
    became = await sent(clock, stop, health, time_left=timedelta())
    assert became == [("put back", None)]


async def test_nothing_is_sent_once_it_was_asked_to_stop(
    clock: ManualClock, stop: Stop, health: Health
) -> None:
    stop.request()
    assert await sent(clock, stop, health) == [("put back", None)]


async def test_nothing_is_sent_whose_lease_might_end_before_its_record(
    clock: ManualClock, stop: Stop, health: Health
) -> None:
    margin = SETTINGS.webhook_timeout + SETTINGS.webhook_lease_margin
    in_time = SETTINGS.webhook_lease - margin - timedelta(seconds=1)
    late = SETTINGS.webhook_lease - margin
    assert await sent(clock, stop, health, claimed_before=in_time) == [("sent", None)]
    assert await sent(clock, stop, health, claimed_before=late) == [("put back", None)]


async def test_nothing_is_sent_to_an_endpoint_that_was_found_to_fail_since(
    clock: ManualClock, stop: Stop, health: Health
) -> None:
    health.until = clock() + HOUR
    assert await sent(clock, stop, health) == [("put back", health.until)]

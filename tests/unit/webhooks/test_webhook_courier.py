"""What is claimed is sent, or given back unsent."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from remit.settings import Settings
from remit.stop import Stop
from remit.webhooks.courier import Courier
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.recorder import Open
from remit.webhooks.sender import Outcome, Request
from tests.support.clock import ManualClock
from tests.support.ready import ready_webhook

HOUR = timedelta(hours=1)
SETTINGS = Settings()


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
    ready = ready_webhook(1, clock() + time_left)
    courier.lane(ready).hold()
    courier.accept(ready, "token", clock() - claimed_before)
    await asyncio.wait_for(records.changed.wait(), 10)
    await courier.finish()
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


async def test_nothing_is_sent_after_its_deadline_though_it_waited_for_its_rate(
    clock: ManualClock, stop: Stop, health: Health
) -> None:
    records: Any = Records()
    courier = Courier(
        SETTINGS, clock, stop, sender=Posts(), signer=Signs(), recorder=records, health=health
    )
    ready = ready_webhook(1, clock() + timedelta(milliseconds=5))
    ready.not_before = clock() + timedelta(milliseconds=10)
    courier.lane(ready).hold()
    courier.accept(ready, "token", clock())
    await asyncio.sleep(0)
    clock.advance(1)
    await courier.finish()
    assert records.became == [("put back", None)]


class Hangs:
    """Says when so many hang."""

    def __init__(self, many: int) -> None:
        self.left = many
        self.hanging = asyncio.Event()

    async def post(self, request: Request) -> Outcome:
        self.left -= 1
        if not self.left:
            self.hanging.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def test_a_stop_that_is_asked_for_while_all_is_finished_is_heard(
    clock: ManualClock, health: Health
) -> None:
    """What waits is given back at once; what hangs has the rest of the grace period."""
    at_once = SETTINGS.webhook_concurrency
    stop, records, hangs = Stop(timedelta(seconds=0.2)), Records(), Hangs(at_once)
    parts: Any = {"sender": hangs, "signer": Signs(), "recorder": records, "health": health}
    courier = Courier(SETTINGS, clock, stop, **parts)
    for number in range(at_once + 2):
        ready = ready_webhook(number, clock() + HOUR)
        courier.lane(ready).hold()
        courier.accept(ready, "token", clock())
    finishing = asyncio.create_task(courier.finish())
    await asyncio.wait_for(hangs.hanging.wait(), 10)
    assert not records.became
    stop.request()
    await asyncio.wait_for(records.changed.wait(), 10)
    assert records.became == [("put back", None)] * 2
    assert not finishing.done()
    await asyncio.wait_for(finishing, 10)

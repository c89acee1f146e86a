"""Two hundred endpoints hang, and what is to be sent to them again goes from try to try, as it does
in a deployment: twenty healthy ones beside them are delivered in every try, before most of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from benchmarks.webhooks.inbox import Arrival, Inbox, inbox
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.chunk import Chunk
from remit.webhooks.delivery import Report, deliver
from tests.support.clock import PutForwardClock
from tests.support.isolation import publish_many, records
from tests.support.webhooks import add_merchant, with_settings

HANGING = 200
HEALTHY = 20
EVENTS = 5
"""New ones of each healthy endpoint, for every try."""

BACKLOG = 5
"""Webhooks of each endpoint that hangs."""

TRIES = 4
TIMEOUT = timedelta(seconds=2)
PERIOD = 40
"""Seconds after which a breaker that opened once lets a probe pass."""

pytestmark = pytest.mark.alone


@dataclass
class Task:
    """A task's tries, one after the other: each goes on with what the one before has saved."""

    services: Services
    saved: list[Chunk] = field(default_factory=list)

    def one_try(self) -> Report:
        chunk = self.saved.pop() if self.saved else Chunk()
        return deliver(
            self.services,
            Stop(),
            Chunk.from_json(chunk.to_json()),
            save=self.saved.append,
            last_try=False,
            rand=lambda: 0.0,
        )

    @property
    def held(self) -> set[str]:
        """What the next try goes on with."""
        return {one.id for chunk in self.saved for one in chunk.held}

    @property
    def last_attempt(self) -> datetime:
        """When the last of them is to be attempted."""
        return max(one.next_attempt for chunk in self.saved for one in chunk.held)


@pytest.fixture
def clock() -> PutForwardClock:
    return PutForwardClock()


@pytest.fixture
def received() -> Iterator[Inbox]:
    """A receiver that hundreds of requests at once are nothing to: a process of its own."""
    with inbox() as found:
        yield found


@pytest.fixture
def task(services: Services, received: Inbox) -> Task:
    """On merchants of whom most have an endpoint that hangs; a request ends after two seconds."""
    for n in range(HANGING):
        add_merchant(services, f"{received.url}/hangs-{n}?hang=1", id=f"hangs-{n}")
    for n in range(HEALTHY):
        add_merchant(services, f"{received.url}/fine-{n}", id=f"fine-{n}")
    return Task(with_settings(services, webhook_timeout=TIMEOUT))


def publish_healthy(services: Services, number: int) -> set[str]:
    """New webhooks of the healthy endpoints; the number is that of the try they are for."""
    first = 1_000_000 * (number + 1)
    return {
        key
        for n in range(HEALTHY)
        for key in publish_many(services, EVENTS, f"fine-{n}", first + n * EVENTS)
    }


def hanging_before_the_last(arrived: list[str], healthy: set[str]) -> int:
    """How many requests came to endpoints that hang before the last healthy one."""
    last = max(index for index, key in enumerate(arrived) if key in healthy)
    return sum(key not in healthy for key in arrived[:last])


def publish_hanging(services: Services, clock: PutForwardClock, count: int) -> list[str]:
    """So many webhooks of every endpoint that hangs: all that follow stand behind them in the
    queue."""
    keys = [
        key
        for n in range(HANGING)
        for key in publish_many(services, count, f"hangs-{n}", n * count)
    ]
    clock.advance(1)
    return keys


@dataclass(frozen=True)
class Tried:
    """What came of one try."""

    healthy: set[str]
    arrivals: list[Arrival]
    """All of it, in order."""

    @property
    def arrived(self) -> list[str]:
        """The ids, in order."""
        return [one.id for one in self.arrivals]

    @property
    def seconds(self) -> float:
        """From the first request to an endpoint that hangs to the last healthy one."""
        hanging = min(one.at for one in self.arrivals if one.id not in self.healthy)
        return max(one.at for one in self.arrivals if one.id in self.healthy) - hanging


def one_try(task: Task, received: Inbox, number: int) -> Tried:
    """A try that finds new webhooks of the healthy endpoints, and delivers them first."""
    healthy = publish_healthy(task.services, number)
    before = received.count()
    report = task.one_try()
    tried = Tried(healthy, received.arrivals()[before:])
    assert report.counts["delivered"] == len(healthy)
    states = {one["status"] for one in records(task.services, list(healthy))}
    assert states == {"delivered"}
    assert sum(key in healthy for key in tried.arrived) == len(healthy), "one came twice"
    most = task.services.settings.webhook_chunk
    assert hanging_before_the_last(tried.arrived, healthy) <= most, "more than is claimed at once"
    return tried


def test_healthy_endpoints_come_first_in_every_try_that_goes_on_with_what_hangs(
    task: Task, services: Services, received: Inbox, clock: PutForwardClock
) -> None:
    """One webhook of each that hangs: after four attempts no breaker is open yet."""
    hanging = publish_hanging(services, clock, 1)
    for number in range(TRIES):
        held = task.held
        tried = one_try(task, received, number)
        assert held <= set(tried.arrived), "what was kept was not gone on with"
        assert tried.seconds < TIMEOUT.total_seconds(), "they waited for those that hang"
        assert task.held == set(hanging), "all of them are kept for the next try"
        clock.advance(max(0, (task.last_attempt - clock()).total_seconds()))
    stored = records(services, hanging)
    assert {(one["status"], one["attempts"]) for one in stored} == {("pending", TRIES)}


def test_healthy_endpoints_come_first_beside_a_backlog_of_what_hangs(
    task: Task, services: Services, received: Inbox, clock: PutForwardClock
) -> None:
    """Several of each, up to the breakers and the probes beyond them."""
    hanging = publish_hanging(services, clock, BACKLOG)
    attempts = 0
    for number in range(TRIES):
        tried = one_try(task, received, number)
        attempts += len(tried.arrived) - len(tried.healthy)
        assert task.held <= set(hanging)
        clock.advance(PERIOD)
    stored = records(services, hanging)
    assert "delivered" not in {one["status"] for one in stored}
    assert sum(one["attempts"] for one in stored) == attempts

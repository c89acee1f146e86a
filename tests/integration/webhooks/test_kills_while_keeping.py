"""Deliverers that keep what is to be sent again soon, as the tasks of a deployment do, are killed
(SIGKILL) at random moments, among endpoints that fail at first: nothing is lost, and nothing comes
more often than it has to but what was in flight at a kill."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest

from benchmarks.webhooks.receiver import fails_first
from remit.stop import Stop
from tests.support.deliverer import Task, wait_for_the_next_attempt
from tests.support.fleet import Fleet, fleet, left_the_queue

KILLS = 20
"""Kills that have to meet a deliverer with webhooks in flight."""

AT_MOST = 3 * KILLS
LIFE_SECONDS = (0.3, 3.5)
"""The shortest and the longest life of a deliverer: the first retry comes after two seconds."""

MERCHANTS = 5
EVENTS = 3
"""New ones of each merchant per life; each of them is three webhooks: 45 per life."""

RETRY_AFTER_SECONDS = 3


@dataclass(frozen=True)
class Failing:
    """An endpoint that fails the first requests of one in `every` webhooks. In every minute less
    than half of what it answers are failures, so that its breaker stays closed, mostly."""

    first: int
    every: int
    query: str

    def path(self, name: str) -> str:
        """Its path and what it does."""
        return f"{name}?first={self.first}&every={self.every}&{self.query}"

    def requests(self, webhook: str) -> int:
        """How many a webhook takes."""
        return 1 + (self.first if fails_first(webhook, self.every) else 0)


ENDPOINTS: Mapping[str, Failing] = {
    "default": Failing(1, 3, "status=500&delay=0.05"),
    "twice": Failing(2, 4, "status=500&delay=0.1"),
    "waits": Failing(1, 4, f"status=503&retry-after={RETRY_AFTER_SECONDS}&delay=0.2"),
}
"""Of every merchant."""


@dataclass
class Killed:
    """What was found after each kill."""

    in_flight: list[set[str]] = field(default_factory=list)
    """Webhooks that were claimed for an attempt of which nothing is on record."""
    retries: int = 0
    """How many of these attempts were no first ones."""
    kept: list[int] = field(default_factory=list)
    """How many webhooks the next deliverer was left."""

    @property
    def met(self) -> list[set[str]]:
        """Of the kills that met something in flight."""
        return [some for some in self.in_flight if some]


pytestmark = pytest.mark.slow


def test_nothing_is_lost_and_only_what_was_in_flight_comes_again_where_retries_are_kept(
    tmp_path: Path,
) -> None:
    chance, killed, state = random.Random(20261125), Killed(), tmp_path / "state"
    with fleet() as deployment:
        add_merchants(deployment)
        for _ in range(AT_MOST):
            for merchant in range(MERCHANTS):
                deployment.publish(f"m{merchant}", EVENTS)
            kill(deployment, state, chance.uniform(*LIFE_SECONDS))
            look(deployment, state, killed)
            if len(killed.met) == KILLS:
                break
        finish(deployment, state)
        check(deployment, killed)


def add_merchants(deployment: Fleet) -> None:
    """Each has a default endpoint and two of its own."""
    default, *others = ENDPOINTS.items()
    for number in range(MERCHANTS):
        merchant = f"m{number}"
        deployment.add_merchant(merchant, default[1].path(f"{merchant}/default"))
        for name, failing in others:
            deployment.add_endpoint(merchant, f"ep-{name}", failing.path(f"{merchant}/{name}"))


def kill(deployment: Fleet, state: Path, after: float) -> None:
    """Start a deliverer that goes on with the state, and kill it so many seconds later."""
    options = ("--tries", "100", "--keep", str(state))
    with deployment.deliverer(*options) as process, suppress(subprocess.TimeoutExpired):
        process.wait(after)


def recorded(deployment: Fleet) -> set[tuple[str, int]]:
    """The attempts that are on record: webhook and number."""
    attempts = deployment.store.items("WebhookAttempts")
    return {(one["webhookID"], int(one["attempt"])) for one in attempts}


def look(deployment: Fleet, state: Path, killed: Killed) -> None:
    """It is dead: what is claimed for an attempt without a record is what it had in flight."""
    known = recorded(deployment)
    open_now = {
        key: int(record["attempts"])
        for key, record in deployment.records().items()
        if "claim" in record and (key, int(record["attempts"])) not in known
    }
    killed.in_flight.append(set(open_now))
    killed.retries += sum(number > 1 for number in open_now.values())
    held = json.loads(state.read_text(encoding="utf-8"))["held"] if state.exists() else []
    killed.kept.append(len(held))


def finish(deployment: Fleet, state: Path) -> None:
    """Let another deliverer bring all to its end; leases are three seconds."""
    deadline, task, stop = monotonic() + 240, Task(deployment.services, state), Stop()
    while deployment.statuses(deployment.webhooks) != {"delivered": len(deployment.webhooks)}:
        assert monotonic() < deadline, deployment.statuses(deployment.webhooks)
        wait_for_the_next_attempt(task.one_try(stop), stop)
        stop.wait(0.1)


def check(deployment: Fleet, killed: Killed) -> None:
    held = Counter(key for some in killed.met for key in some)
    arrivals = defaultdict(list)
    for one in deployment.inbox.arrivals():
        arrivals[one.id].append(one)
    needed = {
        key: ENDPOINTS[some[0].path.rpartition("/")[2]].requests(key)
        for key, some in arrivals.items()
    }
    again = Counter({key: len(some) - needed[key] for key, some in arrivals.items()})
    print(
        f"{len(killed.in_flight)} kills, {len(killed.met)} of them with webhooks in flight "
        f"({held.total()} together, {killed.retries} in a retry), {sum(map(bool, killed.kept))} "
        f"that left kept ones ({sum(killed.kept)} together): of {len(arrivals)} webhooks, "
        f"{sum(one > 1 for one in needed.values())} of which failed at first, none was lost, "
        f"{sum(map(bool, again.values()))} came more often than they had to ({again.total()} times)"
    )
    assert len(killed.met) >= KILLS, "the kills come too late or too early to show anything"
    assert len(deployment.webhooks) >= 800
    assert killed.retries, "no kill came while something was sent again"
    assert sum(killed.kept) >= KILLS, "hardly anything was kept from one deliverer to the next"
    assert set(arrivals) == deployment.webhooks, "lost, or never published"
    assert all(0 <= count <= held[key] for key, count in again.items())
    check_records(deployment, Counter({key: len(some) for key, some in arrivals.items()}), held)
    for key, some in arrivals.items():
        if some[0].path.endswith("waits") and needed[key] > 1 and not held[key]:
            gaps = [after.at - before.at for before, after in pairwise(some)]
            assert min(gaps) >= RETRY_AFTER_SECONDS, "it came earlier than it was told to"


def check_records(deployment: Fleet, times: Counter[str], held: Counter[str]) -> None:
    """All are out of the queue; what arrived is on record, but for what was in flight at a kill."""
    records, attempts = deployment.records(), Counter(key for key, _ in recorded(deployment))
    for key, count in times.items():
        assert left_the_queue(records[key]), records[key]
        assert attempts[key] <= count <= attempts[key] + held[key], records[key]
        # Each life that held it may have counted an attempt; none counts two.
        assert count <= records[key]["attempts"] <= attempts[key] + held[key]

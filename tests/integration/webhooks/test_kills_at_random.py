"""Deliverers that are killed (SIGKILL) at random moments: nothing is lost, and nothing comes twice
but what was in flight at a kill."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from contextlib import suppress

import pytest

from tests.support.deliverer import deliver_due
from tests.support.fleet import Fleet, fleet, left_the_queue

KILLS = 50
"""Kills that have to meet a deliverer with webhooks in flight."""

AT_MOST = 2 * KILLS
LIFE_SECONDS = (0.05, 0.6)
"""The shortest and the longest life of a deliverer, from its beginning on."""

MERCHANTS = 6
EVENTS = 3
"""New ones of each merchant per life; each of them is three webhooks: 54 per life."""

pytestmark = pytest.mark.slow


def test_nothing_is_lost_and_twice_comes_only_what_was_in_flight_at_a_kill() -> None:
    chance = random.Random(20261123)
    with fleet() as deployment:
        add_merchants(deployment)
        in_flight: list[set[tuple[str, str]]] = []
        known: set[tuple[str, str]] = set()
        for _ in range(AT_MOST):
            for merchant in range(MERCHANTS):
                deployment.publish(f"m{merchant}", EVENTS)
            kill(deployment, chance.uniform(*LIFE_SECONDS))
            # It is dead: what is claimed now and was not before is what it held.
            claims = deployment.claims()
            in_flight.append(claims - known)
            known |= claims
            if sum(map(bool, in_flight)) == KILLS:
                break
        finish(deployment)
        check(deployment, in_flight)


def add_merchants(deployment: Fleet) -> None:
    """Every merchant has a default endpoint, which is quick, and two of its own, which are not."""
    for number in range(MERCHANTS):
        merchant = f"m{number}"
        deployment.add_merchant(merchant)
        deployment.add_endpoint(merchant, "ep-a", f"{merchant}-ep-a?delay=0.05")
        deployment.add_endpoint(merchant, "ep-b", f"{merchant}-ep-b?delay=0.2", concurrency=2)


def kill(deployment: Fleet, after: float) -> None:
    """Start a deliverer and kill it so many seconds after it has begun."""
    with deployment.deliverer("--tries", "100") as process, suppress(subprocess.TimeoutExpired):
        process.wait(after)


def finish(deployment: Fleet) -> None:
    """Let another deliverer bring all to its end; leases are three seconds."""
    deadline = time.monotonic() + 120
    while deployment.statuses(deployment.webhooks) != {"delivered": len(deployment.webhooks)}:
        assert time.monotonic() < deadline, deployment.statuses(deployment.webhooks)
        deliver_due(deployment.services)


def check(deployment: Fleet, in_flight: list[set[tuple[str, str]]]) -> None:
    met = [claims for claims in in_flight if claims]
    held = Counter(key for claims in met for key, _ in claims)
    times = deployment.times()
    again = {key: count - 1 for key, count in times.items() if count > 1}
    print(
        f"{len(in_flight)} kills, {len(met)} of them with webhooks in flight "
        f"({held.total()} together, {max(map(len, met))} at the most): of {len(times)} webhooks "
        f"none was lost, {len(again)} came more than once ({sum(again.values())} times)"
    )
    assert len(met) >= KILLS, "the kills come too late or too early to show anything"
    assert len(deployment.webhooks) >= 2_000
    assert set(times) == deployment.webhooks, "lost, or never published"
    assert again, "no kill came between an arrival and its outcome"
    assert sum(again.values()) <= held.total()
    assert all(count <= held[key] for key, count in again.items())
    for key, record in deployment.records().items():
        assert left_the_queue(record), record
        # Each life that held it may have counted an attempt; none counts two.
        assert times[key] <= record["attempts"] <= 1 + held[key]

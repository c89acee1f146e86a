"""Deliverers that share the work, are killed (SIGKILL), or are asked to stop (SIGTERM)."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from remit.aws.wire import Wire
from remit.errors import StoreUnavailable
from remit.stop import Stop
from remit.webhooks.delivery import deliver
from remit.webhooks.reader import Reader
from tests.support.deliverer import deliver_due, short_lease_services
from tests.support.fleet import LIVE, Fleet, fleet, left_the_queue
from tests.support.process import worker
from tests.support.standins import StandIns
from tests.support.webhooks import (
    Answer,
    Received,
    Receiver,
    add_endpoint,
    add_merchant,
    publish,
    with_settings,
)

pytestmark = pytest.mark.alone

COUNT = 4  # what is claimed at once for an endpoint that has not answered yet


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM], ids=lambda s: s.name)
def test_webhooks_of_a_deliverer_that_is_stopped_between_claim_and_outcome_are_delivered(
    standins: StandIns, sent: signal.Signals
) -> None:
    """SIGKILL: by another deliverer, once the lease has ended. SIGTERM: at once."""
    dynamodb, _ = standins.endpoints
    services = short_lease_services(dynamodb)
    arrived, answer_now = threading.Event(), threading.Event()

    def hang(*_: object) -> Answer:
        arrived.set()
        answer_now.wait(10)
        return Answer()

    with Receiver(hang).running() as receiver:
        add_merchant(services, receiver.url())
        keys = {publish(services, number) for number in range(COUNT)}
        with worker("tests.support.deliverer", dynamodb) as process:
            assert arrived.wait(20)
            held = [services.tables.webhooks.get(key) for key in keys]
            assert all(record and record["claim"] and record["attempts"] == 1 for record in held)
            assert services.webhook_queue.due(COUNT) == []
            process.send_signal(sent)
            assert process.wait(10) == (-signal.SIGKILL if sent is signal.SIGKILL else 0)
        answer_now.set()
        receiver.behaviour = lambda _, __: Answer()
        if sent is signal.SIGKILL:
            assert services.webhook_queue.due(COUNT) == []
            wait_for_the_lease(services, COUNT)
        assert deliver_due(services).counts == {"delivered": COUNT}
        # None is lost; twice came only what was in flight when the process went.
        times = Counter(receiver.ids())
        assert set(times) == keys
        assert max(times.values()) <= 2
    for key in keys:
        record = services.tables.webhooks.get(key)
        assert record is not None
        assert (record["status"], record["attempts"]) == ("delivered", 2)


def wait_for_the_lease(services, count: int) -> None:
    patience = threading.Event()
    for _ in range(100):
        if len(services.webhook_queue.due(count)) == count:
            return
        patience.wait(0.05)
    pytest.fail("the lease did not end")


@pytest.fixture
def deployment() -> Iterator[Fleet]:
    with fleet() as found:
        yield found


@pytest.mark.parametrize(
    ("deliverers", "events"), [(2, 300), pytest.param(4, 700, marks=pytest.mark.slow)]
)
def test_deliverers_that_share_the_shards_deliver_each_webhook_once(
    deployment: Fleet, deliverers: int, events: int
) -> None:
    """Four merchants with two endpoints each: eight webhooks of four events."""
    for number in range(4):
        # So slow that the first deliverer has not ended when the last one has started.
        deployment.add_merchant(f"m{number}", f"m{number}?delay=0.1")
        deployment.add_endpoint(f"m{number}", "ep-a", f"m{number}-a?delay=0.1")
        deployment.publish(f"m{number}", events)
    with ExitStack() as running:
        processes = [
            running.enter_context(deployment.deliverer("--tries", "50")) for _ in range(deliverers)
        ]
        counts = [what_it_did(process) for process in processes]
    print(counts)
    assert sum(one["delivered"] > 0 for one in counts) >= 2, "nothing was shared"
    while deployment.statuses(deployment.webhooks) != {"delivered": 8 * events}:
        deliver_due(deployment.services)
    assert deployment.times() == Counter(deployment.webhooks)
    records = deployment.records().values()
    assert all(left_the_queue(one) and one["attempts"] == 1 for one in records)


def test_one_that_is_asked_to_stop_ends_what_is_out_and_gives_the_rest_to_another_at_once(
    deployment: Fleet,
) -> None:
    deployment.add_merchant("quick", "quick?delay=0.05")
    deployment.add_merchant("slow", "slow?delay=0.4")
    deployment.publish("quick", 300)
    deployment.publish("slow", 60)
    with deployment.deliverer("--tries", "50", "--grace", "5") as process:
        wait_until(lambda: deployment.inbox.count() >= 40)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        counts = what_it_did(process)
        took = time.monotonic() - began
    assert took < 2, "it claimed more, or waited for something"
    arrived = deployment.inbox.count()
    assert arrived < 360
    assert counts["delivered"] == arrived, "all that was out has its outcome"
    records = deployment.records()
    unsent = [one for one in records.values() if one["status"] == "pending"]
    assert len(unsent) == 360 - arrived
    assert all("claim" not in one and one["attempts"] == 0 for one in unsent)
    # Another one goes on at once: no lease has to end.
    with deployment.deliverer("--grace", "5") as process:
        wait_until(lambda: deployment.inbox.count() > arrived + 10, seconds=2.5)
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    while deployment.statuses(deployment.webhooks) != {"delivered": 360}:
        deliver_due(deployment.services)
    assert deployment.times() == Counter(deployment.webhooks)


def test_what_is_still_out_when_the_grace_period_ends_is_given_back_and_counts(
    deployment: Fleet,
) -> None:
    deployment.add_merchant("slow", "slow?hang=1")
    keys = deployment.publish("slow", 3)
    with deployment.deliverer("--grace", "0.2") as process:
        wait_until(lambda: deployment.inbox.count() == 3)
        process.send_signal(signal.SIGTERM)
        assert what_it_did(process) == {"put_back": 3}
    for record in deployment.records().values():
        assert (record["status"], record["attempts"]) == ("pending", 1)
        assert "claim" not in record
    assert set(deployment.services.webhook_queue.due(10)) == keys


def test_outcomes_that_are_lost_come_due_again_when_their_lease_ends(
    deployment: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.add_merchant("m0")
    keys = deployment.publish("m0", 20)

    with monkeypatch.context() as outage:
        transact = Wire.transact

        async def without_outcomes(wire: Wire, actions: Sequence[Any], patience: float) -> Any:
            if any("Put" in action for action in actions):
                raise StoreUnavailable("out of reach")
            return await transact(wire, actions, patience)

        outage.setattr(Wire, "transact", without_outcomes)
        assert deliver_due(deployment.services).counts["unrecorded"] >= 20
    lost = len(deployment.claims())
    assert deployment.statuses(keys) == {"pending": 20}
    wait_until(lambda: len(deployment.services.webhook_queue.due(50)) == lost)
    while deployment.statuses(keys) != {"delivered": 20}:
        deliver_due(deployment.services)
    times = deployment.times()
    assert set(times) == keys
    assert max(times.values()) == 2


def what_it_did(process: subprocess.Popen[bytes]) -> Counter[str]:
    """Wait for a deliverer's end; returns its counts."""
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    return Counter(json.loads(output))


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline, patience = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        patience.wait(0.02)


def test_an_outage_of_a_moment_leaves_kept_retries_to_the_same_try(
    deployment: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, broken = Reader.webhooks, iter([True])

    async def webhooks(reader: Reader, keys: Sequence[str]) -> Any:
        if next(broken, False):
            raise StoreUnavailable("out of reach")
        return await read(reader, keys)

    monkeypatch.setattr(Reader, "webhooks", webhooks)
    services = with_settings(deployment.services, webhook_backoff=timedelta(seconds=0.2))
    with Receiver(lambda _, times: Answer(500 if times == 1 else 200)).running() as receiver:
        add_merchant(services, receiver.url(), id="fails-once")
        deployment.add_merchant("slow", "slow?delay=1.5")  # keeps the try going meanwhile
        deployment.publish("fails-once", 3)
        deployment.publish("slow", 1)
        report = deliver(services, Stop(), save=lambda _: None, last_try=False)
    assert next(broken, False) is False
    assert report.counts == {"kept": 3, "delivered": 4}
    assert report.chunk.held == ()


def test_a_stop_gives_back_the_retries_too_that_wait_for_a_place(deployment: Fleet) -> None:
    services = with_settings(deployment.services, webhook_backoff=timedelta(seconds=0.2))
    stop = Stop(timedelta(seconds=5))

    def answer(_: Received, times: int) -> Answer:
        if times == 1:
            return Answer(500)
        threading.Timer(0.3, stop.request).start()
        threading.Event().wait(0.6)
        return Answer()

    with Receiver(answer).running() as receiver:
        add_endpoint(services, "ep-1", "m0", url=receiver.url(), secrets=[LIVE], concurrency=1)
        keys = deployment.publish("m0", 4)
        deployment.add_merchant("slow", "slow?delay=0.5")
        deployment.publish("slow", 1)
        report = deliver(services, stop, save=lambda _: None, last_try=False)
    assert report.chunk.held == ()
    assert deployment.statuses(keys) == {"delivered": 1, "pending": 3}
    assert deployment.claims() == set()
    records = deployment.records()
    assert all(records[key]["attempts"] <= 2 for key in keys)
    wait_until(lambda: len(services.webhook_queue.due(10)) == 3, seconds=2)


def test_an_outcome_that_is_being_written_when_the_grace_period_ends_is_not_given_up(
    deployment: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = with_settings(deployment.services, grace=timedelta(seconds=0.1))
    stop, transact = Stop(services.settings.grace), Wire.transact

    async def slowly(wire: Wire, actions: Sequence[Any], patience: float) -> Any:
        if any("Put" in action for action in actions):
            stop.request()
            await asyncio.sleep(0.5)
        return await transact(wire, actions, patience)

    monkeypatch.setattr(Wire, "transact", slowly)
    deployment.add_merchant("m0")
    deployment.publish("m0", 3)
    counts = deliver(services, stop, save=lambda _: None, last_try=True).counts
    assert counts == {"delivered": 3}
    assert deployment.times() == Counter(deployment.webhooks)

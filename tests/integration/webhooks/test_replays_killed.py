from __future__ import annotations

import random
import signal
import threading
from datetime import timedelta

from remit.clock import format_instant
from remit.services import Services
from remit.webhooks.replay_job import request_replay
from tests.support.deliverer import short_lease_services
from tests.support.process import worker
from tests.support.replayer import PAGE
from tests.support.replays import ACTOR, MERCHANT, dead_letters, job, record, window
from tests.support.standins import StandIns
from tests.support.webhooks import add_merchant

COUNT = 2000
KILLS = 10


def test_workers_that_are_killed_at_random_points_replay_every_webhook_once(
    standins: StandIns,
) -> None:
    dynamodb, _ = standins.endpoints
    services = short_lease_services(dynamodb)
    add_merchant(services, "https://example.com/hook")
    began = services.clock()
    keys = dead_letters(services, range(COUNT), createdAt=format_instant(began))
    wanted = window(began - timedelta(seconds=1))
    key = str(request_replay(services, MERCHANT, wanted, actor=ACTOR, rate=1000)["id"])
    delays, patience = random.Random(4), threading.Event()
    kills = 0
    while job(services, key)["status"] != "completed":
        with worker("tests.support.replayer", dynamodb) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"replaying\n"
            if kills < KILLS:
                patience.wait(delays.uniform(0.1, 1.5))
                process.send_signal(signal.SIGKILL)
                process.wait(10)
                kills += job(services, key)["status"] == "running"
            else:
                wait_until_completed(services, key, patience)
    done = job(services, key)
    assert kills >= KILLS // 2, "it was completed before it could be killed"
    assert (done["matched"], done["replayed"], done["skipped"]) == (COUNT, COUNT, {})
    replayed = [record(services, one) for one in keys]
    assert {(one["status"], one["replays"]) for one in replayed} == {("pending", 1)}
    # No more of them have the same time than were of a page that was done twice.
    times = [one["dueAt"] for one in replayed]
    assert COUNT - len(set(times)) <= kills * PAGE


def wait_until_completed(services: Services, key: str, patience: threading.Event) -> None:
    for _ in range(300):
        if job(services, key)["status"] == "completed":
            return
        patience.wait(0.1)
    raise AssertionError(f"still {job(services, key)}")

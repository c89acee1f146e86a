from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from remit.airflow.deliveries import shard_groups
from remit.airflow.retries import AtNextAttempt
from remit.errors import Interrupted, StoreUnavailable
from remit.webhooks.chunk import Chunk, DeliveryPending, Held
from tests.support.airflow import ROOT
from tests.support.clock import ManualClock
from tests.support.webhooks import NOW

HEAVY = ("aiohttp", "awscrt", "boto3", "botocore", "duckdb", "numpy", "pandas", "pyarrow")


def pending(*waits: float) -> DeliveryPending:
    return DeliveryPending(
        Chunk(tuple(Held(f"wh-{w}", "token", NOW + timedelta(seconds=w)) for w in waits))
    )


@pytest.mark.parametrize(("waits", "delay"), [((4.5, 2.25, 9), 2.25), ((-3, 5), 0)])
def test_the_delay_is_that_of_the_earliest_next_attempt(waits, delay: float) -> None:
    decision = AtNextAttempt(ManualClock(NOW)).evaluate(pending(*waits), 1, 4)
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay == timedelta(seconds=delay)
    assert decision.reason


def test_a_stop_is_retried_at_once_and_anything_else_by_the_tasks_own_backoff() -> None:
    policy = AtNextAttempt(ManualClock(NOW))
    assert policy.evaluate(Interrupted("stop"), 1, 4).retry_delay == timedelta()
    assert policy.evaluate(StoreUnavailable("down"), 1, 4).action is RetryAction.DEFAULT


@pytest.mark.parametrize(("count", "groups"), [(-1, 0), (0, 0), (1, 1), (3, 3), (16, 16), (99, 16)])
def test_every_shard_is_in_one_group(count: int, groups: int) -> None:
    dealt = shard_groups(count)
    assert len(dealt) == groups
    assert sorted(shard for group in dealt for shard in group) == (list(range(16)) * bool(groups))


@pytest.mark.parametrize("name", ["deliver_webhooks.py", "survey_webhooks.py"])
def test_a_dag_file_imports_nothing_heavy(name: str) -> None:
    """In a process of its own: this one has long imported everything."""
    program = (
        "import runpy, sys;"
        f" runpy.run_path({str(ROOT / 'dags' / name)!r});"
        f" print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"

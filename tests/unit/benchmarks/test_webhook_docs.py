"""What docs/performance.md and docs/webhooks.md say of the benchmark is what it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests

from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.subjects.requests_boto3 import THREADS
from demo.environment import Secrets, stack_environment
from demo.ports import Ports
from remit.airflow.assets import OUTBOX
from remit.webhooks.event import PAYLOAD_LIMIT
from tests.unit.project.documents import Document

PERFORMANCE = Document("docs/performance.md")
WEBHOOKS = Document("docs/webhooks.md")
PLAN = Plan()


class Airflow:
    """A client whose requests are noted, and answered with this status."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.posted: list[tuple[str, Any]] = []

    def post(self, url: str, *, json: Any, timeout: float) -> requests.Response:
        self.posted.append((url, json))
        answer = requests.Response()
        answer.status_code = self._status
        return answer


def test_a_run_is_started_as_the_benchmark_starts_it() -> None:
    airflow = Airflow(200)
    WEBHOOKS.function("deliver_now")(airflow, "http://airflow")
    runs = "http://airflow/api/v2/dags/deliver_webhooks/dagRuns"
    assert airflow.posted == [(runs, {"logical_date": None})]


def test_whoever_starts_a_run_as_shown_hears_that_there_is_none() -> None:
    with pytest.raises(requests.HTTPError):
        WEBHOOKS.function("deliver_now")(Airflow(403), "http://airflow")


def test_the_outlet_that_is_shown_is_the_asset_that_starts_deliveries() -> None:
    (shown,) = (block for block in WEBHOOKS.blocks("python") if "outlets=" in block)
    assert "from remit.airflow.assets import OUTBOX" in shown
    assert f"asset `{OUTBOX.name}`" in WEBHOOKS.text


def section(name: str) -> str:
    """What is said of one part of the benchmark, as one line."""
    _, _, text = PERFORMANCE.text.partition("## How fast webhooks are")
    (found,) = re.findall(rf"^- \*\*{name}[.*].*?(?=^- |^#)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found.split())


STACK = stack_environment(Path("run"), Ports(), Secrets.random(), {})
PARALLELISM = STACK["AIRFLOW__CORE__PARALLELISM"]
HALF = PLAN.isolation_endpoints // 2
SAID = {
    "The whole of it": [
        f"Payloads are {PLAN.payload_bytes // 1024} KB",
        f"there are {PLAN.endpoints} merchants",
    ],
    "Peers": [
        f"each of {THREADS} threads",
        f"the same {PLAN.count:,} webhooks",
        f"each of {PLAN.rounds} rounds",
    ],
    "Isolation": [
        f"Webhooks for {PLAN.isolation_endpoints} endpoints",
        f"{PLAN.pace:.0f} a second for {PLAN.paced_seconds:.0f} seconds",
        f"the same {HALF} endpoints while the other {HALF} hang",
        f"over {PLAN.isolation_rounds} rounds of each",
    ],
    "Memory": [
        f"{PLAN.memory_large:,} webhooks due and with {PLAN.memory_small:,}",
        f"{PLAN.memory_heavy:,} whose payloads have {PAYLOAD_LIMIT // 1024} KB",
    ],
    "First attempts": [f"{PLAN.events} times in turns"],
    "First attempts beside an endpoint that fails": [
        f"two series of {PLAN.events}, one every {PLAN.sample_seconds:.0f} seconds",
        f"a backlog of {PLAN.failing_backlog} webhooks",
    ],
    "Mapped tasks": [
        f"{PLAN.mapped} webhooks by one run",
        f"The stack runs {PARALLELISM} tasks at once",
    ],
}
"""Of each part, with the numbers of the plan."""


@pytest.mark.parametrize(
    ("part", "said"), [(part, said) for part, some in SAID.items() for said in some]
)
def test_the_numbers_in_the_text_are_those_of_the_plan(part: str, said: str) -> None:
    assert said in section(part)

"""A stack like that of `make up`, with the benchmark's receiver and its DAGs beside Remit's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from benchmarks.latency import BUNDLES, Run, bare_run, start_run
from benchmarks.webhooks.dataset import Due, Fleet
from benchmarks.webhooks.inbox import Inbox, inbox
from benchmarks.webhooks.plan import Plan
from demo.client import eventually
from demo.info import StackInfo
from demo.ports import Ports
from demo.stack import Stack
from remit.clock import Clock, system_clock
from remit.services import Services
from remit.settings import Settings
from remit.webhooks.outbox import Outbox

DELIVERY = "deliver_webhooks"
_QUIET_SECONDS = 20.0  # that a sample waits at the most for the machine to have nothing to do
_POLL_SECONDS = 0.2
_UNDER_WAY = "state=running&state=queued&state=scheduled&state=restarting&limit=1"


@dataclass(frozen=True)
class Stage:
    """A running stack."""

    info: StackInfo
    inbox: Inbox

    @cached_property
    def airflow(self) -> requests.Session:
        """A client of Airflow's API."""
        return self.info.airflow()

    @property
    def parallelism(self) -> int:
        """How many tasks it runs at once."""
        return int(self.info.environment["AIRFLOW__CORE__PARALLELISM"])

    def services(self, clock: Clock = system_clock) -> Services:
        """Remit on the stack's AWS."""
        return Services(Settings.from_environment(self.info.environment), self.info.aws(), clock)

    @cached_property
    def outbox(self) -> Outbox:
        """Where events are published now."""
        return Outbox(self.services())

    def add(self, fleet: Fleet) -> None:
        """Write the merchants."""
        merchants = self.services().tables.merchants
        for merchant in fleet.merchants:
            merchants.put(merchant)

    def publish_due(self, due: list[Due], at: datetime) -> None:
        """Publish events whose webhooks come due at an instant, as if it were now."""
        Outbox(self.services(lambda: at)).publish_many(one.event() for one in due)

    def start(self, dag: str) -> Run:
        """Start a run."""
        return start_run(self.airflow, self._dag(dag))

    def bare(self) -> float:
        """Seconds of a run of one task that does nothing."""
        return bare_run(self.airflow, self._dag("bare"))

    def await_dag(self, dag: str) -> None:
        """Wait until Airflow knows a DAG."""
        look = self._dag(dag)
        eventually(lambda: self.airflow.get(look, timeout=30).ok, f"the DAG {dag!r} is there", 120)

    def rest(self) -> None:
        """Wait a little until no task runs or is about to, so that samples do not share the machine
        with what those before them left. One that waits for its retry does not count."""
        deadline = time.monotonic() + _QUIET_SECONDS
        while self._tasks() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _tasks(self) -> int:
        url = f"{self.info.airflow_url}/api/v2/dags/~/dagRuns/~/taskInstances?{_UNDER_WAY}"
        answer: Any = self.airflow.get(url, timeout=30)
        return int(answer.json()["total_entries"]) if answer.ok else 1

    def _dag(self, dag: str) -> str:
        return f"{self.info.airflow_url}/api/v2/dags/{dag}"


@contextmanager
def stage(plan: Plan) -> Iterator[Stage]:
    """A stack of its own, started, settled, and stopped at the end of the block."""
    with inbox() as received, tempfile.TemporaryDirectory(prefix="remit-bench-") as directory:
        environment = {
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": BUNDLES,
            "AIRFLOW_CONN_WEBHOOK_RECEIVER": received.url,
            "BENCHMARK_WEBHOOKS": str(plan.mapped),
        }
        stack = Stack(Path(directory), Ports.from_environment(), environment=environment)
        with stack as info:
            stack.settle()
            yield Stage(info, received)

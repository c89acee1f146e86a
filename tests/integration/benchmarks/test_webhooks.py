"""The parts of `make bench-webhooks` that need no stack, over a few webhooks: all of them deliver,
and what they are held to holds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.webhooks.capacity import capacity
from benchmarks.webhooks.isolation import isolation
from benchmarks.webhooks.mapped import peer_requests
from benchmarks.webhooks.memory import memory
from benchmarks.webhooks.plan import QUICK
from benchmarks.webhooks.throughput import SUBJECTS, throughput
from tests.support.airflow import ROOT

PLAN = replace(
    QUICK,
    endpoints=6,
    isolation_endpoints=6,
    count=60,
    memory_small=20,
    memory_large=40,
    memory_heavy=30,
    capacity_count=3,
    pace=40.0,
    paced_seconds=3.0,
)

_MAPPED = """
import json, runpy, sys
import airflow.sdk
dag = runpy.run_path(sys.argv[1])["mapped_http"]()
(task,) = dag.tasks
mapped = task.expand_input.value
sent = [[one["headers"]["webhook-id"], len(one["data"])] for one in mapped]
print(json.dumps([task.partial_kwargs["endpoint"], mapped[1]["headers"], sent]))
"""


def test_a_delivery_costs_what_the_arithmetic_says_and_its_payload_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = capacity(PLAN).figures
    assert figures["times that a payload of 256 KB is billed"].ok
    small, large = (figures[f"WCU per delivery, payload of {size} KB"].value for size in (1, 256))
    assert large - small == 2 * 255
    assert "deliver, outcome: WebhookAttempts" in capsys.readouterr().out


def test_an_event_that_is_written_alone_is_billed_twice_and_its_webhook_as_any_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = capacity(PLAN)
    billed = "times that a payload of 256 KB is billed"
    assert outcome.figures[f"{billed}, event written alone"].value == 2
    assert "fan out: Events" in capsys.readouterr().out
    alone, published = (
        {(one["step"], one["place"]): one["units"] for one in outcome.runs[name]}
        for name in ("256 KB, event written alone", "256 KB")
    )
    assert alone["fan out", "Events"] == alone["write alone", "Events"]
    assert alone["fan out", "Webhooks"] == published["publish", "Webhooks"]


@pytest.mark.slow
def test_every_subject_delivers_what_is_due() -> None:
    outcome = throughput(PLAN)
    delivered = {name: one["counts"]["delivered"] for name, (one,) in outcome.runs.items()}
    assert delivered == dict(zip(SUBJECTS, (60, 60, 60), strict=True))


@pytest.mark.slow
def test_healthy_endpoints_get_all_of_theirs_while_others_hang() -> None:
    runs = isolation(PLAN).runs["latencies"]
    assert [(one["hanging"], one["webhooks"]) for one in runs] == [(0, 60), (3, 60)]


@pytest.mark.slow
def test_the_most_memory_is_measured_with_few_and_many_due_and_with_large_payloads() -> None:
    runs = memory(PLAN).runs
    delivered = {name: one["counts"]["delivered"] for name, one in runs.items()}
    assert delivered == {"20 due of 1 KB": 20, "40 due of 1 KB": 40, "30 due of 256 KB": 30}


def test_the_mapped_tasks_send_what_their_arrivals_are_held_to(tmp_path: Path) -> None:
    # A process of its own: Airflow reads its environment once.
    done = subprocess.run(
        [sys.executable, "-c", _MAPPED, str(ROOT / "benchmarks" / "dags" / "mapped_http.py")],
        env={"PATH": "", "AIRFLOW_HOME": str(tmp_path), "BENCHMARK_WEBHOOKS": str(QUICK.mapped)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    headers = {"Content-Type": "application/json", "webhook-id": "peer-0000001"}
    endpoint, second, sent = json.loads(done.stdout.splitlines()[-1])
    assert second == headers
    assert {(key, f"/{endpoint}", size) for key, size in sent} == peer_requests(QUICK)
    assert len(sent) == QUICK.mapped

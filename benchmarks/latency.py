"""From a merchant's request to a link, on a stack like that of `make up`, beside a bare run.

In turn, so that both see the same machine: a bare run, from its trigger through Airflow's REST API
until it is seen to have succeeded; and an export of 1,000 rows, from its POST until the status
document holds a link that S3 answers. Both are polled at the same interval. One request is under
way at a time, the next follows at once, so that each shares the machine with the delivery of the
export before it. The bar: the median of the exports is at most that of the bare runs plus 2 s.

The stack is one of its own, started as `make up` starts it and left to settle: SQLite, and a
scheduler that has imported the engine before it forks its workers (demo/scheduler). Reading 1,000
payments takes moto about a second, where DynamoDB takes some ten milliseconds.

Also how long each DAG file takes to parse, in a process that has Airflow loaded.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.figures import BenchmarkFailed, Figure, report
from demo import REPOSITORY, seed
from demo.client import eventually, expect_status, merchant_client, send
from demo.info import StackInfo
from demo.loopback import loopback
from demo.ports import Ports
from demo.processes import adopt_orphans
from demo.signals import Interrupted, raise_on_signals
from demo.stack import Stack
from remit.client import RemitClient

ROWS = 1_000
OVERHEAD_SECONDS = 2.0
PARSE_SECONDS = 1.0
TIMEOUT_SECONDS = 120.0
POLL_SECONDS = 0.1
WARM_UP = 3
TRIGGER_ATTEMPTS = 5

BUNDLES = (
    '[{"name": "dags-folder", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",'
    ' "kwargs": {}}, {"name": "benchmarks",'
    ' "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",'
    f' "kwargs": {{"path": "{REPOSITORY / "benchmarks" / "dags"}"}}}}]'
)

_PARSE = """
import sys, time, runpy
import airflow.sdk
started = time.perf_counter()
runpy.run_path(sys.argv[1])
print(time.perf_counter() - started)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--requests", type=int, default=30, help="of each kind (at least 30)")
    options = parser.parse_args(arguments)
    raise_on_signals()
    adopt_orphans()
    try:
        return report(lambda: figures(max(options.requests, 30)))
    except Interrupted as interrupt:
        return interrupt.exit_code


def figures(count: int) -> dict[str, Figure]:
    """Measure on a stack that is started for it and stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="remit-bench-") as directory:
        environment = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": BUNDLES}
        stack = Stack(Path(directory), Ports.from_environment(), environment=environment)
        with stack as info:
            stack.settle()
            bare, exports = measure(info, count)
        parsing = {
            f"parse_{path.stem}_s": Figure(parse_seconds(path, info), PARSE_SECONDS)
            for path in sorted((REPOSITORY / "dags").glob("*.py"))
        }
    bar = statistics.median(bare) + OVERHEAD_SECONDS
    return {
        "bare_run_median_s": Figure(statistics.median(bare)),
        "bare_run_p95_s": Figure(p95(bare)),
        "export_median_s": Figure(statistics.median(exports), bar),
        "export_p95_s": Figure(p95(exports)),
        "export_over_bare_ratio": Figure(statistics.median(exports) / statistics.median(bare)),
        **parsing,
    }


def measure(info: StackInfo, count: int) -> tuple[list[float], list[float]]:
    """Seconds of so many bare runs and so many exports, taken in turn on a warm stack."""
    airflow = info.airflow()
    client = merchant_client(info, seed.MERCHANTS[0].id)
    dag = f"{info.airflow_url}/api/v2/dags/bare"
    eventually(lambda: airflow.get(dag, timeout=30).ok, "the DAG 'bare' is parsed", 120)
    bare, exports = [], []
    for number in range(-WARM_UP, count):
        run = bare_run(airflow, dag)
        export = one_export(client)
        if number >= 0:
            bare.append(run)
            exports.append(export)
            print(f"{number + 1:3} of {count}   bare run {run:6.2f} s   export {export:6.2f} s")
    return bare, exports


@dataclass(frozen=True)
class Run:
    """A run that Airflow took: where its state is, when it was asked for (monotonic seconds), and
    how often until it was taken."""

    url: str
    asked_at: float
    attempts: int


def start_run(airflow: requests.Session, dag: str) -> Run:
    """Start a run through Airflow's REST API.

    Raises:
        BenchmarkFailed: Airflow does not take it.
    """
    # Airflow on SQLite fails to write now and then ("database is locked"): no run, no sample.
    for attempt in range(1, TRIGGER_ATTEMPTS + 1):
        asked_at = time.monotonic()
        try:
            answer = airflow.post(f"{dag}/dagRuns", json={"logical_date": None}, timeout=30)
        except requests.ReadTimeout as error:
            print(f"asking Airflow again for a run: {error}", file=sys.stderr)
            continue
        if answer.status_code != 500:
            expect_status(answer, 200)
            url = f"{dag}/dagRuns/{answer.json()['dag_run_id']}"
            return Run(url, asked_at, attempt)
        print("asking Airflow again for a run: it answered 500", file=sys.stderr)
    raise BenchmarkFailed(f"Airflow took no run of {dag} in {TRIGGER_ATTEMPTS} attempts")


def bare_run(airflow: requests.Session, dag: str) -> float:
    """Seconds from the trigger of a run to its seen success."""
    run = start_run(airflow, dag)
    eventually(
        lambda: airflow.get(run.url, timeout=30).json()["state"] == "success",
        "the bare run succeeds",
        TIMEOUT_SECONDS,
        pause=POLL_SECONDS,
    )
    return time.monotonic() - run.asked_at


def one_export(client: RemitClient) -> float:
    """Seconds from the POST to a link, which is then used."""
    asked_at = time.monotonic()
    export = client.export(*seed.MONTH, format="csv").wait(timeout=TIMEOUT_SECONDS)
    link = export.link(1)
    seconds = time.monotonic() - asked_at
    answer = send(loopback(), "GET", link)
    expect_status(answer, 200)
    document = export.document
    if document["rows"] != ROWS or len(answer.content) != document["bytes"]:
        raise BenchmarkFailed(f"not the export of {ROWS} rows that was asked for: {document}")
    return seconds


def parse_seconds(path: Path, info: StackInfo) -> float:
    """Seconds to parse one DAG file; the best of three."""
    command = [sys.executable, "-P", "-c", _PARSE, str(path)]
    environment = dict(info.environment)
    runs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]
    return min(float(run.strip().splitlines()[-1]) for run in runs)


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    sys.exit(main())

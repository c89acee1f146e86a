"""The processes of the benchmark: stand-ins that serve, subjects that run once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.export.subjects.measuring import Measured, Parameters

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS_PYTHON = REPOSITORY / ".venv-peers" / "bin" / "python"
TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class StandIns:
    """The URLs of a pair of stand-ins."""

    dynamodb: str
    s3: str


@contextmanager
def stand_ins(
    rows: int,
    shape: str = "nested",
    faults: Mapping[str, float] | None = None,
    *,
    keep: bool = True,
) -> Iterator[StandIns]:
    """A table of so many payments and a counting bucket, each in a process of its own.

    With `keep` the table's pages lie ready in memory, 0.7 GB per million rows, and the process
    takes next to nothing from whoever reads them.
    """
    with _serving("benchmarks.standins", "--counting") as sink:
        arguments = ["--rows", str(rows), "--shape", shape, "--s3", sink["s3"]]
        arguments += ["--keep"] if keep else []
        plan = json.dumps(dict(faults or {}))
        with _serving("benchmarks.export.server", *arguments, "--faults", plan) as table:
            yield StandIns(table["dynamodb"], sink["s3"])


def start(
    subject: str, parameters: Parameters, python: Path = Path(sys.executable)
) -> subprocess.Popen[bytes]:
    """Start a subject; `finish` waits for it."""
    command = [str(python), "-m", f"benchmarks.export.subjects.{subject}"]
    given = json.dumps(vars(parameters))
    return subprocess.Popen(
        [*command, given], cwd=REPOSITORY, env=_environment(), stdout=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes]) -> Measured:
    """What a subject measured.

    Raises:
        SystemExit: it failed; its own words are on standard error.
    """
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    if process.returncode != 0:
        raise SystemExit(f"{process.args} exited with {process.returncode}")
    return Measured(**json.loads(output.splitlines()[-1]))


def run(subject: str, parameters: Parameters, python: Path = Path(sys.executable)) -> Measured:
    """Run a subject to its end."""
    return finish(start(subject, parameters, python))


@contextmanager
def _serving(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=_environment(),
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready:
            raise SystemExit(f"{module} did not start")
        yield json.loads(ready)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _environment() -> dict[str, str]:
    """The packages of the checkout for everyone, and Airflow's files out of the way."""
    paths = [str(REPOSITORY), str(REPOSITORY / "plugins")]
    home = REPOSITORY / ".run" / "benchmark-airflow"
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

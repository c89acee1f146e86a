"""The processes of a benchmark: servers that serve, and subjects that are measured.

Standard library only: subjects import this too, also in an environment of their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from benchmarks.figures import BenchmarkFailed

REPOSITORY = Path(__file__).resolve().parents[1]
OWN_PYTHON = Path(sys.executable)
CORES = 2
TIMEOUT_SECONDS = 900

READY = b"ready\n"
"""What a subject prints when it has made its imports; it begins when it is sent a line."""


def pin() -> list[int]:
    """Keep this process, and all that it starts, on two cores; returns which."""
    chosen = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, chosen)
    return chosen


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """A server until the end of the block; the value is the line of JSON that it begins with.

    Raises:
        BenchmarkFailed: it ended before that; its own words are on standard error.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.PIPE,
    )
    try:
        ready = pipe(process.stdout).readline()
        if not ready:
            raise BenchmarkFailed(f"{module} did not start")
        yield json.loads(ready)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        pipe(process.stdout).close()


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """What is started in the block keeps to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cores_apart() -> tuple[list[int], list[int]]:
    """The core of a subject, and those of its servers: what these do on its core, with its caches,
    would be counted as its own work."""
    first, *others = sorted(os.sched_getaffinity(0))
    return [first], others or [first]


class Subject:
    """A process that makes its imports, prints `READY`, and is measured from `go` on."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self._process = process
        self._name = name

    def await_ready(self) -> None:
        """Wait until its imports are made.

        Raises:
            BenchmarkFailed: it ended before that; its own words are on standard error.
        """
        for line in pipe(self._process.stdout):
            if line == READY:
                return
        raise BenchmarkFailed(f"{self._name} did not start")

    def go(self) -> None:
        """Let it begin."""
        stdin = pipe(self._process.stdin)
        stdin.write(b"\n")
        stdin.flush()

    def stop(self) -> None:
        """Ask it to end in good order (SIGTERM)."""
        self._process.send_signal(signal.SIGTERM)

    def result(self) -> Any:
        """Wait for its end; returns the JSON that its last line is.

        Raises:
            BenchmarkFailed: it failed; its own words are on standard error.
        """
        output, _ = self._process.communicate(timeout=TIMEOUT_SECONDS)
        if self._process.returncode != 0:
            raise BenchmarkFailed(f"{self._name} exited with {self._process.returncode}")
        return json.loads(output.splitlines()[-1])


@contextmanager
def started(module: str, parameters: str, python: Path = OWN_PYTHON) -> Iterator[Subject]:
    """A subject that makes its imports; killed at the end of the block if it is still there."""
    process = subprocess.Popen(
        [str(python), "-m", module, parameters],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield Subject(process, module.rpartition(".")[2])
    finally:
        process.kill()
        process.communicate()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """A stream that was asked for."""
    assert stream is not None
    return stream


def environment() -> dict[str, str]:
    """The packages of the checkout for everyone, nothing of the caller's AWS, Airflow's files out
    of the way."""
    paths = [str(REPOSITORY), str(REPOSITORY / "plugins")]
    home = REPOSITORY / ".run" / "benchmark-airflow"
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PYTHONPATH": os.pathsep.join(paths),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }

"""The processes of the benchmark: stand-ins that serve, subjects that run once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote
from urllib.request import Request, urlopen

from benchmarks.export.subjects.measuring import BUCKET, READY, Measured, Parameters
from benchmarks.figures import BenchmarkFailed
from benchmarks.standins.s3.api import FIGURES_PATH

REPOSITORY = Path(__file__).resolve().parents[2]
OWN_PYTHON = Path(sys.executable)
PEERS_PYTHON = REPOSITORY / ".venv-peers" / "bin" / "python"
CORES = 2
TIMEOUT_SECONDS = 900


def pin() -> list[int]:
    """Keep this process, and all that it starts, on two cores; returns which."""
    chosen = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, chosen)
    return chosen


@dataclass(frozen=True)
class StandIns:
    """A table of so many payments, and a bucket that counts: their URLs."""

    dynamodb: str
    s3: str
    rows: int

    def arrived(self) -> int:
        """The bytes of all uploads so far."""
        with urlopen(f"{self.s3}{FIGURES_PATH}") as answer:  # noqa: S310 - our own server
            return int(json.load(answer)["bytes"])

    def sizes_of(self, keys: Iterable[str]) -> dict[str, int]:
        """The bytes of objects."""
        return {key: self._size_of(key) for key in keys}

    def _size_of(self, key: str) -> int:
        request = Request(f"{self.s3}/{BUCKET}/{quote(key)}", method="HEAD")  # noqa: S310
        with urlopen(request) as answer:  # noqa: S310
            return int(answer.headers["Content-Length"])


@contextmanager
def stand_ins(
    rows: int,
    shape: str = "nested",
    faults: Mapping[str, float] | None = None,
    *,
    partitions: int = 1,
    keep: bool = True,
) -> Iterator[StandIns]:
    """A table of so many payments and a counting bucket, each in a process of its own.

    With `keep` the table's pages lie ready in memory, 0.7 GB per million rows, and the process
    takes next to nothing from whoever reads them.
    """
    with _serving("benchmarks.standins", "--counting") as sink:
        arguments = ["--rows", str(rows), "--shape", shape, "--s3", sink["s3"]]
        arguments += ["--partitions", str(partitions), *(["--keep"] if keep else [])]
        plan = json.dumps(dict(faults or {}))
        with _serving("benchmarks.export.server", *arguments, "--faults", plan) as table:
            yield StandIns(table["dynamodb"], sink["s3"], rows)


def run(subject: str, parameters: Parameters, python: Path = OWN_PYTHON) -> Measured:
    """Run a subject to its end.

    Raises:
        BenchmarkFailed: it failed; its own words are on standard error.
    """
    (measured,) = run_at_once(subject, [parameters], python)
    return measured


def run_at_once(
    subject: str, parameters: Sequence[Parameters], python: Path = OWN_PYTHON
) -> list[Measured]:
    """Run a subject in several processes, which begin together once all have made their imports.

    Raises:
        BenchmarkFailed: one of them failed; its own words are on standard error.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(_started(subject, one, python)) for one in parameters]
        for process in processes:
            _await_ready(process, subject)
        for process in processes:
            pipe = _pipe(process.stdin)
            pipe.write(b"\n")
            pipe.flush()
        return [_measured(process, subject) for process in processes]


@contextmanager
def _started(
    subject: str, parameters: Parameters, python: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A subject that makes its imports; killed at the end of the block if it is still there."""
    command = [str(python), "-m", f"benchmarks.export.subjects.{subject}"]
    process = subprocess.Popen(
        [*command, json.dumps(asdict(parameters))],
        cwd=REPOSITORY,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _await_ready(process: subprocess.Popen[bytes], subject: str) -> None:
    for line in _pipe(process.stdout):
        if line == READY:
            return
    raise BenchmarkFailed(f"{subject} did not start")


def _measured(process: subprocess.Popen[bytes], subject: str) -> Measured:
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    if process.returncode != 0:
        raise BenchmarkFailed(f"{subject} exited with {process.returncode}")
    return Measured.from_json(json.loads(output.splitlines()[-1]))


@contextmanager
def _serving(module: str, *arguments: str) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=_environment(),
        stdout=subprocess.PIPE,
    )
    try:
        ready = _pipe(process.stdout).readline()
        if not ready:
            raise BenchmarkFailed(f"{module} did not start")
        yield json.loads(ready)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        _pipe(process.stdout).close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _environment() -> dict[str, str]:
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

"""How every subject is told what to do, and how it tells what that took."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from benchmarks.processes import READY, started

_STATUS = Path("/proc/self/status")

Prepared = TypeVar("Prepared")


@dataclass(frozen=True)
class Parameters:
    """Where the stand-in and the receiver are, and what is wanted."""

    dynamodb: str = ""
    receiver: str = ""
    count: int = 0
    """Webhooks that are due."""
    endpoints: int = 1
    payload_bytes: int = 1024
    concurrency: int = 1
    seconds: float = 0.0
    """How long a deliverer is on duty."""


@dataclass(frozen=True)
class Measured:
    """What a run took: CPU is user and system time of the subject's process, all its threads, after
    the imports. `counts` is what became of the webhooks."""

    counts: Mapping[str, int]
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    settings: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def delivered(self) -> int:
        """Webhooks that were delivered."""
        return self.counts.get("delivered", 0)


def run(subject: str, parameters: Parameters) -> Measured:
    """Run a subject to its end, in a process of its own.

    Raises:
        BenchmarkFailed: it failed; its own words are on standard error.
    """
    module = f"benchmarks.webhooks.subjects.{subject}"
    with started(module, json.dumps(asdict(parameters))) as process:
        process.await_ready()
        process.go()
        return Measured(**process.result())


def measure(
    prepare: Callable[[Parameters], Prepared],
    deliver: Callable[[Parameters, Prepared], Mapping[str, int]],
    settings: str,
    distributions: Sequence[str],
) -> None:
    """In the subject's process: prepare, which is not counted; deliver when asked to; and print
    what that took. `distributions` are what it stands on: their versions are told, too."""
    parameters = Parameters(**json.loads(sys.argv[1]))
    prepared = prepare(parameters)
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    if not sys.stdin.readline():
        return  # whoever asked has gone
    wall, cpu = time.perf_counter(), time.process_time()
    counts = deliver(parameters, prepared)
    measured = Measured(
        dict(counts),
        wall_seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
        peak_rss_bytes=peak_rss_bytes(),
        settings=settings,
        versions={name: version(name) for name in distributions},
    )
    print(json.dumps(asdict(measured)), flush=True)


def peak_rss_bytes(status: Path = _STATUS) -> int:
    """The most memory that this process has had.

    Linux's `ru_maxrss` begins with what the parent had when it started this process; `VmHWM` is of
    this program alone.
    """
    try:
        lines = status.read_text(encoding="ascii").splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024

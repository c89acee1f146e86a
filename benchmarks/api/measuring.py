"""One measurement: requests for some seconds, and what the server's processes took for them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import psutil

from benchmarks.api.load import Request
from benchmarks.figures import BenchmarkFailed
from benchmarks.processes import started


@dataclass(frozen=True)
class Measured:
    """What a series of one request came to."""

    requests: int
    seconds: float
    cpu_seconds: float
    """User and system time of the server's processes, all their threads."""
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU of one request, in milliseconds."""
        return self.cpu_seconds / self.requests * 1000

    def __str__(self) -> str:
        return (
            f"{self.requests:,} requests, {self.per_second:,.0f}/s, p50 {self.p50_ms:.1f} ms,"
            f" p99 {self.p99_ms:.1f} ms, {self.cpu_ms:.2f} ms of CPU each"
        )


def measure(request: Request, server: Iterable[int]) -> Measured:
    """Send a request over and over; `server` are the ids of the processes that answer, which may
    have children.

    Raises:
        BenchmarkFailed: an answer was another than it has to be.
    """
    with started("benchmarks.api.load", json.dumps(asdict(request))) as load:
        load.await_ready()
        before = cpu_seconds(server)
        load.go()
        result = load.result()
        taken = cpu_seconds(server) - before
    if result["wrong"]:
        raise BenchmarkFailed(f"{request.method} {request.url}: {result['wrong']}")
    latencies = sorted(result["latencies"])
    return Measured(
        requests=len(latencies),
        seconds=result["seconds"],
        cpu_seconds=taken,
        p50_ms=statistics.median(latencies) * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
    )


def cpu_seconds(server: Iterable[int]) -> float:
    """What the processes and their children have taken so far."""
    total = 0.0
    for pid in server:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            times = one.cpu_times()
            total += times.user + times.system
    return total

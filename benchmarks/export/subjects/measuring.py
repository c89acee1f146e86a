"""How every subject is told what to do, and how it tells what that took.

Nothing of the project is imported here: a peer runs in an environment of its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

TABLE = "Payments"
INDEX = "gsi-merchant-created"
MERCHANT = "merchant-000001"
BUCKET = "remit-exports"
FIRST_DAY, LAST_DAY = "2026-01-01", "2026-01-31"


@dataclass(frozen=True)
class Parameters:
    """Where the stand-ins are, and what is wanted."""

    dynamodb: str
    s3: str
    format: str = "csv"
    export_id: str = "export-bench"
    piece: dict[str, Any] | None = None


@dataclass(frozen=True)
class Measured:
    """What an export took. CPU is that of the subject's process, all its threads, after imports."""

    rows: int
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    settings: str
    result: Any = None


def measure(export: Callable[[Parameters], tuple[int, Any]], settings: str) -> None:
    """Run an export and print what it took; it returns its rows, and what else is to be told."""
    parameters = Parameters(**json.loads(sys.argv[1]))
    wall, cpu = time.perf_counter(), time.process_time()
    rows, result = export(parameters)
    measured = Measured(
        rows=rows,
        wall_seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        settings=settings,
        result=result,
    )
    print(json.dumps(asdict(measured)), flush=True)

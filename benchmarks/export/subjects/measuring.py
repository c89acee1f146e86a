"""How every subject is told what to do, and how it tells what that took.

Nothing is imported here that needs a package: a peer runs in an environment of its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from benchmarks.processes import READY

TABLE = "Payments"
INDEX = "gsi-merchant-created"
MERCHANT = "merchant-000001"
BUCKET = "remit-exports"
FIRST_DAY, LAST_DAY = "2026-01-01", "2026-01-31"

UNSIGNED_BODIES = {"payload_signing_enabled": False}
"""botocore's setting for S3: over TLS, as in real life, it does not sign bodies. The stand-ins
speak plain HTTP, where it would hash every part once more; nobody is to pay for that here."""


@dataclass(frozen=True)
class Parameters:
    """Where the stand-ins are, and what is wanted."""

    dynamodb: str
    s3: str
    format: str = "csv"
    export_id: str = "export-bench"
    piece: dict[str, Any] | None = None


@dataclass(frozen=True)
class Done:
    """What an export says that it did: its rows, the records that it left out, and the objects that
    it wrote, with their bytes where it knows them; of its time, that of rendering, where it tells
    that apart. `result` is for whoever goes on with it."""

    rows: int
    rejects: int = 0
    written: Mapping[str, int | None] = field(default_factory=dict)
    rendering_seconds: float | None = None
    result: Any = None


@dataclass(frozen=True)
class Measured:
    """What an export took. CPU is that of the subject's process, all its threads, after imports."""

    done: Done
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    settings: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Measured:
        """The inverse of `asdict`."""
        return cls(**{**value, "done": Done(**value["done"])})


def measure(
    export: Callable[[Parameters], Done], settings: str, distributions: Sequence[str]
) -> None:
    """Run an export when it is asked for, and print what it took.

    `distributions` are what it stands on: their versions are told, too.
    """
    parameters = Parameters(**json.loads(sys.argv[1]))
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    if not sys.stdin.readline():
        return  # whoever asked has gone
    wall, cpu = time.perf_counter(), time.process_time()
    done = export(parameters)
    measured = Measured(
        done,
        wall_seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        settings=settings,
        versions={name: version(name) for name in distributions},
    )
    print(json.dumps(asdict(measured)), flush=True)

"""A worker as a process of its own, for tests that kill it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def worker(module: str, endpoint: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module endpoint`, killed at the end of the block if it is still there."""
    path = os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])
    process = subprocess.Popen(
        [sys.executable, "-m", module, endpoint],
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)

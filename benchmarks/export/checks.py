"""What holds a run to what it says that it did."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.export.subjects.measuring import Done
from benchmarks.figures import BenchmarkFailed


def check_done(name: str, done: Done, rows: int, sizes: Mapping[str, int]) -> None:
    """Hold it against the table's rows and the bucket's `sizes` of what it wrote.

    Raises:
        BenchmarkFailed: they do not agree.
    """
    if done.rows != rows:
        raise BenchmarkFailed(f"{name}: {done.rows:,} rows, and the table has {rows:,}")
    if done.rejects:
        raise BenchmarkFailed(f"{name}: {done.rejects:,} records were left out")
    for key, size in done.written.items():
        if size is not None and size != sizes[key]:
            raise BenchmarkFailed(f"{name}: {key} has {sizes[key]:,} bytes, not {size:,}")

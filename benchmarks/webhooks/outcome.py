"""What every part of the benchmark comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import Figure


@dataclass(frozen=True)
class Outcome:
    """The figures of a part, those with a bar first, and what they were reckoned from, as JSON has
    it."""

    figures: Mapping[str, Figure]
    runs: Mapping[str, Any] = field(default_factory=dict)


def at_least(value: float, bar: float) -> Figure:
    """A figure that may not be smaller."""
    return Figure(value, bar, at_least=True)

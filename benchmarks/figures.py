"""Figures and their bars, as every benchmark reports them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value and its bar: the most that it may be, or the least. None: not judged."""

    value: float
    bar: float | None = None
    at_least: bool = False

    @property
    def ok(self) -> bool:
        """Whether the value is within its bar."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar


def finish(figures: dict[str, Figure]) -> int:
    """Print the figures as a table and as the last line of stdout; returns the exit status."""
    width = max(map(len, figures))
    print()
    for name, figure in figures.items():
        kind = "at least" if figure.at_least else "at most"
        verdict = "" if figure.bar is None else f"  {kind} {figure.bar:.3f}"
        verdict += "" if figure.ok else "  MISSED"
        print(f"{name:{width}}  {figure.value:9.3f}{verdict}")
    ok = all(figure.ok for figure in figures.values())
    report = {
        name: {"value": figure.value, "bar": figure.bar, "ok": figure.ok}
        for name, figure in figures.items()
    }
    sys.stdout.flush()
    print(json.dumps({"ok": ok, "figures": report}), flush=True)
    return 0 if ok else 1

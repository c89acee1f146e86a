"""Figures and their bars, as every benchmark reports them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value and the most that it may be; None: reported, not judged."""

    value: float
    bar: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the value is within its bar."""
        return self.bar is None or self.value <= self.bar


def finish(figures: dict[str, Figure]) -> int:
    """Print the figures as a table and as the last line of stdout; returns the exit status."""
    width = max(map(len, figures))
    print()
    for name, figure in figures.items():
        verdict = "" if figure.bar is None else f"  at most {figure.bar:.3f}"
        verdict += "" if figure.ok else "  MISSED"
        print(f"{name:{width}}  {figure.value:9.3f}{verdict}")
    ok = all(figure.ok for figure in figures.values())
    report = {name: {**asdict(figure), "ok": figure.ok} for name, figure in figures.items()}
    sys.stdout.flush()
    print(json.dumps({"ok": ok, "figures": report}), flush=True)
    return 0 if ok else 1

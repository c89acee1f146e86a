"""Figures and their bars, as every benchmark reports them."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class BenchmarkFailed(Exception):
    """A run did not come to its end, or not to the right one: there are no figures."""


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

    def to_json(self) -> dict[str, float | bool | None]:
        """As it is reported."""
        return {"value": self.value, "bar": self.bar, "ok": self.ok}

    def __str__(self) -> str:
        told = _told(self.value)
        if self.bar is None:
            return told
        kind = "at least" if self.at_least else "at most"
        return f"{told}  {kind} {self.bar:.3f}{'' if self.ok else '  MISSED'}"


def report(measure: Callable[[], Mapping[str, Figure]]) -> int:
    """Measure, and report the figures; returns the exit status.

    Whatever goes wrong, the last line of stdout is the report: that nothing is ok.
    """
    try:
        figures = measure()
    except Exception:  # noqa: BLE001 - the last line says so, whatever it was
        traceback.print_exc()
        return _last_line({}, ok=False)
    return finish(figures)


def finish(figures: Mapping[str, Figure]) -> int:
    """Print the figures as a table, and those with a bar as the last line of stdout; returns the
    exit status."""
    width = max(map(len, figures), default=0)
    print()
    for name, figure in figures.items():
        print(f"{name:{width}}  {figure}")
    judged = {name: figure for name, figure in figures.items() if figure.bar is not None}
    return _last_line(judged, ok=all(figure.ok for figure in judged.values()))


def _last_line(figures: Mapping[str, Figure], *, ok: bool) -> int:
    document = {"ok": ok, "figures": {name: one.to_json() for name, one in figures.items()}}
    sys.stdout.flush()
    sys.stderr.flush()
    print(json.dumps(document), flush=True)
    return 0 if ok else 1


def _told(value: float) -> str:
    return f"{value:9,.0f}    " if abs(value) >= 1000 else f"{value:13.3f}"

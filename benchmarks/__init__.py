"""Benchmarks: programs, not tests. Each ends with one JSON object on the last line of stdout:

    {"ok": bool, "figures": {name: {"value", "bar", "ok"}}}

and exits with 1 when a figure misses its bar, or when there are none, for something went wrong.
Figures without a bar are in the table above that line.
"""

from __future__ import annotations

import demo  # noqa: F401 - puts plugins/ on sys.path, for every program here

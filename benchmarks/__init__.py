"""Benchmarks: programs, not tests. Each ends with one JSON object on the last line of stdout:

    {"ok": bool, "figures": {name: {"value", "bar", "ok"}}}

and exits with 1 when a figure misses its bar. A figure without a bar is reported as it is.
"""

from __future__ import annotations

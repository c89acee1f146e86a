"""`benchmarks/results/webhooks.json`: everything that was measured, and on what."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import Plan

PATH = Path(__file__).resolve().parents[1] / "results" / "webhooks.json"


def document(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """All of it, by parts, as JSON has it."""
    return {
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "processor": platform.machine(),
        },
        "plan": asdict(plan),
        "runs": {part: one.runs for part, one in outcomes.items()},
        "figures": {
            name: figure.to_json()
            for one in outcomes.values()
            for name, figure in one.figures.items()
        },
    }


def write(plan: Plan, outcomes: Mapping[str, Outcome], path: Path = PATH) -> None:
    """Write the document."""
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(document(plan, outcomes), indent=2)
    path.write_text(text + "\n", encoding="utf-8")

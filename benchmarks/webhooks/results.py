"""`benchmarks/results/webhooks.json`: everything that was measured, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.documents import RESULTS, machine, write_document
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import Plan

PATH = RESULTS / "webhooks.json"


def document(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """All of it, by parts, as JSON has it."""
    return {
        "machine": machine(),
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
    write_document(path, document(plan, outcomes))

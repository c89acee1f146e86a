"""Builders of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from remit.schedules.periods import Cadence, Rhythm
from remit.schedules.schedule import Schedule
from remit.schedules.schedule_request import Rules
from remit.settings import Settings
from tests.support.exports import REPORTS

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ID = "schedule-" + "0" * 26
MERCHANT = "merchant-1"


def rules(destinations: str = "") -> Rules:
    """Those of a deployment with the reports that are shipped."""
    return Rules.of(Settings(export_destinations=destinations), REPORTS)


def new(destinations: str = "", **values: Any) -> Schedule:
    """A schedule as it is asked for."""
    return rules(destinations).new(ID, MERCHANT, values, NOW)


def schedule(
    cadence: str = "daily",
    weekday: int = 0,
    options: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Schedule:
    """A schedule in Berlin, unless its options say otherwise."""
    fields: dict[str, Any] = {
        "merchant_id": MERCHANT,
        "id": ID,
        "rhythm": Rhythm(Cadence(cadence), weekday),
        "options": {"timezone": "Europe/Berlin"} if options is None else options,
        "created_at": NOW,
        "updated_at": NOW,
        **changes,
    }
    return Schedule(**fields)

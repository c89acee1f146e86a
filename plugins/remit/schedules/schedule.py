"""A schedule: what it exports of which periods, its record, and the ids of its exports."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from remit.aws.items import Item
from remit.clock import format_instant, parse_instant
from remit.exports.job import DEFAULT_REPORT
from remit.exports.request import ExportRequest
from remit.exports.zones import time_zone
from remit.ids import RandomBits, ulid
from remit.schedules.periods import (
    WEEKDAYS,
    Cadence,
    Period,
    Rhythm,
    period_before,
    period_containing,
    periods_ending_in,
)

MAX_SCHEDULES = 100
"""Of one merchant, paused ones too."""

SCHEDULE_ID = re.compile(r"schedule-[0-9a-z]{26}")

DEFAULT_ZONE: str = ExportRequest.model_fields["timezone"].default

_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Schedule:
    """One schedule.

    `options` is what `as_values` has of the export's request, without its dates: the report, the
    time zone, the format and so on, as far as they differ from the defaults.
    """

    merchant_id: str
    id: str
    rhythm: Rhythm
    options: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 1
    """Grows by one with every change."""
    name: str | None = None
    description: str | None = None
    active_from: str | None = None
    """A day or an instant, as an export's `start_date`; None: since it was created."""
    active_until: str | None = None
    """A day or an instant, as an export's `end_date`; None: for ever."""
    notify: bool = True
    settle: timedelta = timedelta()
    """How long after the end of a period its export is made: for what comes in late."""
    refresh_periods: int = 0
    """How many of the periods before are made again with each: for what comes in later still."""
    destination: str | None = None
    paused_at: datetime | None = None

    @property
    def report(self) -> str:
        """The name of the report."""
        return str(self.options.get("report", DEFAULT_REPORT))

    @property
    def timezone(self) -> str:
        """The IANA zone of the periods, and of the days in the files."""
        return str(self.options.get("timezone", DEFAULT_ZONE))

    @property
    def active(self) -> tuple[datetime, datetime | None]:
        """The instants between which a period has to end: after the first one, and no later than
        the second one, if there is one."""
        zone, start, end = self.timezone, self.active_from, self.active_until
        return (
            self.created_at if start is None else start_bound(start, zone),
            None if end is None else end_bound(end, zone),
        )

    def periods_ending_in(self, start: datetime, end: datetime) -> Iterator[Period]:
        """The schedule's periods that end after `start` and no later than `end`; none while it is
        paused."""
        since, until = self.active
        last = end if until is None else min(end, until)
        if self.paused_at is None and max(start, since) < last:
            yield from periods_ending_in(max(start, since), last, self.rhythm, self._zone)

    def next_period(self, now: datetime) -> Period | None:
        """The first of the schedule's periods that ends after `now`; None: there is no more, or it
        is paused."""
        return None if self.paused_at else first_period(self, now)

    def refreshed(self, period: Period) -> list[Period]:
        """The periods that are made again with this one, the earliest first."""
        since, _ = self.active
        before = islice(_each_before(period, self.rhythm, self._zone), self.refresh_periods)
        return [one for one in before if one.end > since][::-1]

    def values_for(self, period: Period) -> dict[str, Any]:
        """An export of a period, as `parse_request` takes it."""
        start_date, end_date = period.dates
        return {**self.options, "start_date": start_date, "end_date": end_date}

    def export_id(self, period: Period) -> str:
        """The id of a period's export: the same whichever run makes it, and as often as it is made.
        Schedules of a merchant that ask for the same share it."""
        return scheduled_export_id(self.merchant_id, self.options, period)

    @property
    def _zone(self) -> ZoneInfo:
        return time_zone(self.timezone)


def first_period(schedule: Schedule, now: datetime) -> Period | None:
    """The first period of a schedule that ends after `now`, though it may be paused."""
    since, until = schedule.active
    zone = time_zone(schedule.timezone)
    found = period_containing(max(now, since), schedule.rhythm, zone)
    return found if until is None or found.end <= until else None


def start_bound(text: str, timezone: str) -> datetime:
    """The instant of a day or an instant, as an export's `start_date` has it.

    Raises:
        pydantic.ValidationError: it is neither.
    """
    return ExportRequest(timezone=timezone, start_date=text, end_date=text).range.start


def end_bound(text: str, timezone: str) -> datetime:
    """The instant of a day, which is whole, or an instant, as an export's `end_date` has it.

    Raises:
        pydantic.ValidationError: it is neither.
    """
    return ExportRequest(timezone=timezone, start_date=text, end_date=text).range.end


def schedule_id(now: datetime, random_bits: RandomBits) -> str:
    """A new schedule's id."""
    return f"schedule-{ulid(now, random_bits)}"


def scheduled_export_id(merchant_id: str, options: Mapping[str, Any], period: Period) -> str:
    """The id of the export of a merchant, a report with its options, and a local period. The name
    of a period tells its rhythm, and the zone is one of the options."""
    given = {"report": DEFAULT_REPORT, "timezone": DEFAULT_ZONE, **options}
    text = json.dumps([merchant_id, given, period.name], sort_keys=True, separators=(",", ":"))
    return f"export-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


@dataclass(frozen=True)
class _Kept:
    """An attribute of a record that is left out where it is as by default."""

    attribute: str
    write: Any = field(default=lambda value: value)
    read: Any = field(default=lambda value: value)


_OPTIONAL: Mapping[str, _Kept] = MappingProxyType(
    {
        "name": _Kept("name"),
        "description": _Kept("description"),
        "active_from": _Kept("activeFrom"),
        "active_until": _Kept("activeUntil"),
        "notify": _Kept("notify"),
        "settle": _Kept(
            "settleSeconds",
            lambda value: int(value.total_seconds()),
            lambda number: timedelta(seconds=int(number)),
        ),
        "refresh_periods": _Kept("refreshPeriods"),
        "destination": _Kept("destination"),
        "paused_at": _Kept("pausedAt", format_instant, parse_instant),
    }
)
"""Field to attribute, and how its value is written and read."""


def record_of(schedule: Schedule) -> Item:
    """The record of a schedule, without its place in the index."""
    defaults = Schedule.__dataclass_fields__
    record = {
        "merchantID": schedule.merchant_id,
        "id": schedule.id,
        "cadence": schedule.rhythm.cadence.value,
        "options": dict(schedule.options),
        "createdAt": format_instant(schedule.created_at),
        "updatedAt": format_instant(schedule.updated_at),
        "version": schedule.version,
    }
    if schedule.rhythm.cadence is Cadence.WEEKLY:
        record["weekday"] = WEEKDAYS[schedule.rhythm.weekday]
    for name, kept in _OPTIONAL.items():
        if (value := getattr(schedule, name)) != defaults[name].default:
            record[kept.attribute] = kept.write(value)
    return record


def schedule_in(record: Item) -> Schedule:
    """The schedule that a record describes."""
    optional = {
        name: kept.read(record[kept.attribute])
        for name, kept in _OPTIONAL.items()
        if kept.attribute in record
    }
    weekday = WEEKDAYS.index(record.get("weekday", WEEKDAYS[0]))
    return Schedule(
        merchant_id=record["merchantID"],
        id=record["id"],
        rhythm=Rhythm(Cadence(record["cadence"]), weekday),
        options=record["options"],
        created_at=parse_instant(record["createdAt"]),
        updated_at=parse_instant(record["updatedAt"]),
        version=record["version"],
        **optional,
    )


def _each_before(period: Period, rhythm: Rhythm, zone: ZoneInfo) -> Iterator[Period]:
    while True:
        period = period_before(period, rhythm, zone)
        yield period

"""What a schedule can be asked to be: the fields of an export without its dates, which the parser
of exports checks, and the fields of a schedule, which are checked here. All errors are told
together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from remit.clock import format_instant
from remit.errors import FieldError, InvalidRequest
from remit.exports.reports import Report
from remit.exports.request import ALLOWED, ExportRequest, as_values, parse_request
from remit.exports.zones import time_zones
from remit.schedules.destinations import check_destination
from remit.schedules.periods import WEEKDAYS, Cadence, Rhythm
from remit.schedules.schedule import (
    DEFAULT_ZONE,
    Schedule,
    end_bound,
    first_period,
    start_bound,
)
from remit.settings import Settings
from remit.webhooks.endpoint_request import shown

MAX_NAME = 100
MAX_DESCRIPTION = 500
MAX_SETTLE_SECONDS = 7 * 86_400
MAX_REFRESH_PERIODS = 31

Parse = Callable[[Mapping[str, Any]], ExportRequest]
"""`parse_request` with the reports that there are: for the hook, of those that the token allows."""

CADENCES = tuple(cadence.value for cadence in Cadence)

_DATES: Mapping[str, str] = MappingProxyType({"start_date": "2026-01-01", "end_date": "2026-01-01"})
"""The parser wants a range, and a schedule has none yet."""

EXPORT_FIELDS = tuple(name for name in ExportRequest.model_fields if name not in _DATES)
"""The fields that a schedule shares with `POST /payments/export`."""


@dataclass(frozen=True)
class Rule:
    """What a field may hold: in words, and as a function from a value to its fault."""

    allowed: str | tuple[str, ...]
    fault: Callable[[Any], str | None]


def _text_fault(most: int) -> Callable[[Any], str | None]:
    def fault(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"{shown(value)} is not text"
        if not 1 <= len(value) <= most:
            return f"it has {len(value)} characters"
        return None if value.isprintable() else "it holds characters that cannot be printed"

    return fault


def _choice_fault(choices: tuple[str, ...]) -> Callable[[Any], str | None]:
    def fault(value: Any) -> str | None:
        known = isinstance(value, str) and value in choices
        return None if known else f"{shown(value)} is not one of them"

    return fault


def _number_fault(most: int) -> Callable[[Any], str | None]:
    def fault(value: Any) -> str | None:
        right = type(value) is int and 0 <= value <= most
        return None if right else f"{shown(value)} is not a whole number from 0 to {most}"

    return fault


def _truth_fault(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"{shown(value)} is neither true nor false"


_BOUNDS: Mapping[str, Callable[[str, str], datetime]] = MappingProxyType(
    {"active_from": start_bound, "active_until": end_bound}
)

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "name": Rule(f"printable text of 1 to {MAX_NAME} characters", _text_fault(MAX_NAME)),
        "description": Rule(
            f"printable text of 1 to {MAX_DESCRIPTION} characters", _text_fault(MAX_DESCRIPTION)
        ),
        "cadence": Rule(CADENCES, _choice_fault(CADENCES)),
        "weekday": Rule(WEEKDAYS, _choice_fault(WEEKDAYS)),
        "notify": Rule("true or false", _truth_fault),
        "settle_seconds": Rule(
            f"0 to {MAX_SETTLE_SECONDS} seconds (7 days)", _number_fault(MAX_SETTLE_SECONDS)
        ),
        "refresh_periods": Rule(
            f"0 to {MAX_REFRESH_PERIODS} periods", _number_fault(MAX_REFRESH_PERIODS)
        ),
        "destination": Rule("a destination that the deployment allows", _text_fault(500)),
    }
)
"""Field of a schedule to its rule. What is null is not given; `cadence` has to be."""

FIELDS = (*RULES, *_BOUNDS, *EXPORT_FIELDS)
"""What a new schedule may be given, and a change set."""

_TIMES = ("cadence", "weekday", "timezone", "active_from", "active_until")


def fields_of(schedule: Schedule) -> dict[str, Any]:
    """A schedule's fields as they may be given, without those that are as by default."""
    weekly = schedule.rhythm.cadence is Cadence.WEEKLY
    values = {
        "name": schedule.name,
        "description": schedule.description,
        "cadence": schedule.rhythm.cadence.value,
        "weekday": WEEKDAYS[schedule.rhythm.weekday] if weekly else None,
        "active_from": schedule.active_from,
        "active_until": schedule.active_until,
        "notify": None if schedule.notify else False,
        "settle_seconds": int(schedule.settle.total_seconds()) or None,
        "refresh_periods": schedule.refresh_periods or None,
        "destination": schedule.destination,
        **schedule.options,
    }
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Rules:
    """What a deployment, and a caller, may ask for: the parser of exports, and the setting that
    lists the destinations."""

    parse: Parse
    destinations: str = ""

    @classmethod
    def of(cls, settings: Settings, reports: Mapping[str, Report]) -> Rules:
        """Those of a deployment with these reports, for a caller who may ask for all of them."""
        return cls(partial(parse_request, reports=reports), settings.export_destinations)

    def new(
        self, schedule_id: str, merchant_id: str, values: Mapping[str, Any], now: datetime
    ) -> Schedule:
        """A new schedule of these fields.

        Raises:
            InvalidRequest: at least one field is wrong, or it could never run; all are named.
            NotPermitted: the caller lacks the report's permission.
        """
        schedule = self._checked(schedule_id, merchant_id, values, now)
        _check_runs(schedule, now)
        return schedule

    def changed(self, schedule: Schedule, values: Mapping[str, Any], now: datetime) -> Schedule:
        """The schedule with these fields set; null takes one back to what it is by default. The
        day that a week starts with goes with a cadence that has no weeks.

        Raises:
            InvalidRequest: at least one field is wrong, or it could never run; all are named.
            NotPermitted: the caller lacks the report's permission.
        """
        before = fields_of(schedule)
        if values.get("cadence", Cadence.WEEKLY) != Cadence.WEEKLY:
            before.pop("weekday", None)
        after = {**before, **values}
        checked = self._checked(schedule.id, schedule.merchant_id, after, now)
        found = replace(
            checked,
            created_at=schedule.created_at,
            version=schedule.version + 1,
            paused_at=schedule.paused_at,
        )
        if any(before.get(name) != after.get(name) for name in _TIMES):
            _check_runs(found, now)
        return found

    def _checked(
        self, schedule_id: str, merchant_id: str, values: Mapping[str, Any], now: datetime
    ) -> Schedule:
        given = {name: value for name, value in values.items() if value is not None}
        errors = [*_unknown(given), *_wrong(given), *_date_errors(given)]
        options: dict[str, Any] = {}
        try:
            exported = {name: given[name] for name in EXPORT_FIELDS if name in given}
            options = as_values(self.parse({**exported, **_DATES}))
        except InvalidRequest as error:
            errors += error.errors
        if "destination" in given and not any(one.field == "destination" for one in errors):
            errors += _errors_of(
                lambda: check_destination(given["destination"], merchant_id, self.destinations)
            )
        if errors:
            raise InvalidRequest(*errors)
        weekday = WEEKDAYS.index(given.get("weekday", WEEKDAYS[0]))
        return Schedule(
            merchant_id=merchant_id,
            id=schedule_id,
            rhythm=Rhythm(Cadence(given["cadence"]), weekday),
            options={name: value for name, value in options.items() if name not in _DATES},
            created_at=now,
            updated_at=now,
            name=given.get("name"),
            description=given.get("description"),
            active_from=given.get("active_from"),
            active_until=given.get("active_until"),
            notify=given.get("notify", True),
            settle=timedelta(seconds=given.get("settle_seconds", 0)),
            refresh_periods=given.get("refresh_periods", 0),
            destination=given.get("destination"),
        )


def _unknown(values: Mapping[str, Any]) -> Iterator[FieldError]:
    for name in values:
        if name in _DATES:
            message = "a schedule exports the periods of its cadence"
            yield FieldError(name, message, "cadence, active_from and active_until")
        elif name == "paused":
            message = "it is no field that can be set"
            yield FieldError(name, message, "POST /schedules/{id}/pause and /resume")
        elif name not in FIELDS:
            yield FieldError(str(name), "unknown field", FIELDS)


def _wrong(values: Mapping[str, Any]) -> Iterator[FieldError]:
    for name, rule in RULES.items():
        if name in values and (fault := rule.fault(values[name])) is not None:
            yield FieldError(name, fault, rule.allowed)
    if "cadence" not in values:
        yield FieldError("cadence", "missing", CADENCES)
    elif "weekday" in values and values["cadence"] != Cadence.WEEKLY:
        yield FieldError("weekday", "only weeks start with one", "cadence 'weekly', or none")


def _date_errors(values: Mapping[str, Any]) -> Iterator[FieldError]:
    zone = values.get("timezone")
    known = zone if isinstance(zone, str) and zone in time_zones() else DEFAULT_ZONE
    for name, bound in _BOUNDS.items():
        if name in values and (fault := _date_fault(values[name], bound, known)) is not None:
            yield FieldError(name, fault, ALLOWED["start_date"])


def _date_fault(value: Any, bound: Callable[[str, str], datetime], timezone: str) -> str | None:
    if not isinstance(value, str):
        return f"{shown(value)} is not text"
    try:
        bound(value, timezone)
    except ValidationError as error:
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return None


def _errors_of(check: Callable[[], object]) -> tuple[FieldError, ...]:
    try:
        check()
    except InvalidRequest as error:
        return error.errors
    return ()


def _check_runs(schedule: Schedule, now: datetime) -> None:
    """Refuse a schedule that would never export anything.

    Raises:
        InvalidRequest: it ends before it starts, or no period ends in the time between.
    """
    since, until = schedule.active
    if until is None:
        return
    if schedule.active_from is not None and until <= since:
        message = f"it ends ({schedule.active_until}) before it starts ({schedule.active_from})"
        raise InvalidRequest(FieldError("active_until", message, "later than active_from"))
    if first_period(schedule, now) is None:
        first = first_period(replace(schedule, active_until=None), now)
        soonest = format_instant(first.end) if first else "none"
        start = format_instant(max(now, since))
        message = f"no {schedule.rhythm.cadence} period ends between {start} and then"
        rule = f"{soonest} or later, when the next one ends in {schedule.timezone}"
        raise InvalidRequest(FieldError("active_until", message, rule))

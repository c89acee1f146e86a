"""Schedules as merchants see them, and what the OpenAPI document says of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from remit.api.description import export_fields
from remit.clock import format_instant
from remit.exports.job import DEFAULT_REPORT
from remit.exports.request import ExportRequest
from remit.schedules.periods import WEEKDAYS, Period
from remit.schedules.schedule import Schedule
from remit.schedules.schedule_request import (
    CADENCES,
    EXPORT_FIELDS,
    MAX_DESCRIPTION,
    MAX_NAME,
    MAX_REFRESH_PERIODS,
    MAX_SETTLE_SECONDS,
    RULES,
    fields_of,
)

_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "notify": True,
        "settle_seconds": 0,
        "refresh_periods": 0,
        **{name: ExportRequest.model_fields[name].default for name in EXPORT_FIELDS},
        "report": DEFAULT_REPORT,
    }
)
_FIELDS = ("active_from", "active_until", *RULES, *EXPORT_FIELDS)


def schedule_document(schedule: Schedule, now: datetime) -> dict[str, Any]:
    """The answer that tells of a schedule: every field, and the period that it exports next."""
    given = fields_of(schedule)
    coming = schedule.next_period(now)
    return {
        "id": schedule.id,
        **{name: given.get(name, _DEFAULTS.get(name)) for name in _FIELDS},
        "paused": schedule.paused_at is not None,
        "paused_at": None if schedule.paused_at is None else format_instant(schedule.paused_at),
        "next_period": None if coming is None else _period(schedule, coming),
        "version": schedule.version,
        "created_at": format_instant(schedule.created_at),
        "updated_at": format_instant(schedule.updated_at),
    }


def _period(schedule: Schedule, period: Period) -> dict[str, Any]:
    return {
        "name": period.name,
        "start": format_instant(period.start),
        "end": format_instant(period.end),
        "due_at": format_instant(period.end + schedule.settle),
        "export_id": schedule.export_id(period),
    }


def _text(most: int, description: str) -> dict[str, Any]:
    return {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": most,
        "description": description,
    }


_INSTANT: Mapping[str, Any] = {"type": "string", "format": "date-time"}
_MAYBE: Mapping[str, Any] = {"type": ["string", "null"], "format": "date-time"}

_OWN: Mapping[str, Any] = {
    "name": _text(MAX_NAME, "What people call it"),
    "description": _text(MAX_DESCRIPTION, "What it is for"),
    "cadence": {
        "type": "string",
        "enum": list(CADENCES),
        "description": "How often: one export of each hour, day, week or month in `timezone`",
    },
    "weekday": {
        "type": ["string", "null"],
        "enum": [*WEEKDAYS, None],
        "description": "The day that weeks start with; for weekly schedules, Monday by default",
    },
    "active_from": _text(
        64,
        "A day, or an instant with its offset: periods that end later are exported. By default, "
        "from when the schedule is created",
    ),
    "active_until": _text(
        64,
        "A day, which is whole, or an instant with its offset: periods that end later are not "
        "exported. By default there is no end",
    ),
    "notify": {
        "type": ["boolean", "null"],
        "default": True,
        "description": "Whether each export is told to the webhook endpoints",
    },
    "settle_seconds": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": MAX_SETTLE_SECONDS,
        "default": 0,
        "description": "How long after the end of its period an export is made",
    },
    "refresh_periods": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": MAX_REFRESH_PERIODS,
        "default": 0,
        "description": "How many of the periods before are made again with each",
    },
    "destination": _text(
        500, "A second place for the files, s3://bucket/prefix/, of those that are allowed"
    ),
}

_EXPORTED: Mapping[str, Any] = {
    name: schema
    for name, schema in export_fields()["requestBody"]["content"]["application/json"]["schema"][
        "properties"
    ].items()
    if name in EXPORT_FIELDS
}

_VERSION: Mapping[str, Any] = {
    "type": "integer",
    "description": "Grows by one with every change",
}

_DOCUMENT: Mapping[str, Any] = {
    "title": "Schedule",
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        **_OWN,
        **_EXPORTED,
        "paused": {"type": "boolean"},
        "paused_at": _MAYBE,
        "next_period": {
            "type": ["object", "null"],
            "description": "What is exported next; null while it is paused, and after its end",
            "properties": {
                "name": {"type": "string", "description": "In local time, the same forever"},
                "start": _INSTANT,
                "end": {**_INSTANT, "description": "Exclusive"},
                "due_at": {**_INSTANT, "description": "When the export is made, at the earliest"},
                "export_id": {"type": "string", "description": "For GET /exports/{id}, by then"},
            },
        },
        "version": _VERSION,
        "created_at": _INSTANT,
        "updated_at": _INSTANT,
    },
}

_NEW_EXAMPLE: Mapping[str, Any] = {
    "name": "Daily payments",
    "cadence": "daily",
    "timezone": "Europe/Berlin",
    "format": "parquet",
    "settle_seconds": 3600,
}

_EXAMPLE: Mapping[str, Any] = {
    "id": "schedule-01kbp1v9x8m3q5w7e9r1t3y5z7",
    **{name: {**_DEFAULTS, **_NEW_EXAMPLE}.get(name) for name in _FIELDS},
    "paused": False,
    "paused_at": None,
    "next_period": {
        "name": "2026-10-25",
        "start": "2026-10-24T22:00:00.000000Z",
        "end": "2026-10-25T23:00:00.000000Z",
        "due_at": "2026-10-26T00:00:00.000000Z",
        "export_id": "export-6f1d1f0f6a5f4e0d9c0b7a8e5d4c3b2a19080706",
    },
    "version": 1,
    "created_at": "2026-10-25T09:12:44.120000Z",
    "updated_at": "2026-10-25T09:12:44.120000Z",
}

Responses = dict[int | str, dict[str, Any]]


def _response(description: str, schema: Mapping[str, Any], example: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": description, "content": content}


SCHEDULE: Responses = {200: _response("The schedule", _DOCUMENT, _EXAMPLE)}
"""The answer about one schedule, as FastAPI's `responses` wants it."""

CREATED: Responses = {
    201: {
        **_response("The new schedule", _DOCUMENT, _EXAMPLE),
    }
}

SCHEDULES: Responses = {
    200: _response(
        "A page of schedules",
        {
            "title": "SchedulePage",
            "type": "object",
            "required": ["data", "next_cursor"],
            "properties": {
                "data": {"type": "array", "items": _DOCUMENT},
                "next_cursor": {"type": ["string", "null"]},
            },
        },
        {"data": [_EXAMPLE], "next_cursor": None},
    )
}


def _body(schema: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        return dict(schema)  # it may be null already
    about = {name: schema[name] for name in ("description", "default") if name in schema}
    value = {name: part for name, part in schema.items() if name not in about}
    return {**about, "anyOf": [value, {"type": "null"}]}


_SETTABLE: Mapping[str, Any] = {
    **_OWN,
    **{name: _or_null(schema) for name, schema in _EXPORTED.items()},
}
"""What is null is as by default."""

NEW = _body(
    {
        "title": "NewSchedule",
        "type": "object",
        "properties": _SETTABLE,
        "required": ["cadence"],
        "additionalProperties": False,
    },
    _NEW_EXAMPLE,
)
"""What `POST /schedules` takes, as FastAPI's `openapi_extra` wants it."""

CHANGES = _body(
    {
        "title": "ScheduleChanges",
        "type": "object",
        "properties": {
            **_SETTABLE,
            "version": {**_VERSION, "description": "The version that the change is made from"},
        },
        "additionalProperties": False,
    },
    {"format": "csv", "destination": None, "version": 1},
)
"""What `PATCH /schedules/{id}` takes."""

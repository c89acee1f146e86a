"""What the OpenAPI document says beyond the routes: the fields of a request, and the problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from remit.api.problems import KINDS
from remit.exports.job import MOVES
from remit.exports.progress import Progress
from remit.exports.request import ALLOWED, FORMATS, ExportRequest

_NAMES: Mapping[str, str] = {
    "report": "A report of GET /reports",
    "columns": "Columns of the report, in the order of the file; by default the report's own",
}
"""What depends on the deployment, and where to find it."""

_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Stable, for programs"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                    "allowed": {"type": ["string", "array"], "items": {"type": "string"}},
                },
            },
        },
    },
}


_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}
_NUMBER: Mapping[str, Any] = {"type": ["integer", "null"]}
_INSTANT: Mapping[str, Any] = {**_TEXT, "format": "date-time"}
_CHECKSUM: Mapping[str, Any] = {
    "type": ["object", "null"],
    "properties": {"sha256": _TEXT, "crc64nvme": _TEXT},
}

_EXPORT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "export_id": {"type": "string"},
        "status": {"type": "string", "enum": list(MOVES)},
        "report": {"type": "string"},
        "format": {"type": "string", "enum": list(FORMATS)},
        "start_date": _TEXT,
        "end_date": _TEXT,
        "options": {"type": "object", "description": "What was asked for, beyond the defaults"},
        "created_at": _INSTANT,
        "updated_at": _INSTANT,
        "expires_at": _INSTANT,
        "progress": {
            "type": "object",
            "properties": {one.name: {"type": "integer"} for one in fields(Progress)},
        },
        "rows": _NUMBER,
        "bytes": _NUMBER,
        "error": {
            "type": ["object", "null"],
            "description": "Of a failed export, why there is no file; of one that is pending or "
            "processing, why the last try came to nothing: it is tried again",
            "properties": {
                "code": {"type": "string", "description": "Stable, for programs"},
                "message": {"type": "string", "description": "For people"},
            },
        },
        "files": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "rows": _NUMBER,
                    "bytes": _NUMBER,
                    "checksum": _CHECKSUM,
                    "url": {"type": "string"},
                    "expires_at": _INSTANT,
                },
            },
        },
        "checksum": _CHECKSUM,
        "download_url": _TEXT,
        "download_expires_at": _INSTANT,
        "manifest_url": _TEXT,
        "rejects": _NUMBER,
        "rejects_url": _TEXT,
    },
}

EXPORT: Mapping[int | str, dict[str, Any]] = {
    200: {
        "description": "How far the export is, and its files once it is completed",
        "content": {"application/json": {"schema": _EXPORT}},
    }
}
"""The answer about an export, as FastAPI's `responses` wants it."""


def _problems() -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {
        kind.status: {"description": kind.title, "content": content}
        for kind in reversed(list(KINDS.values()))  # the first of a status describes it
    }


PROBLEMS = _problems()
"""HTTP status to its description, as FastAPI's `responses` wants it."""


def export_fields() -> dict[str, Any]:
    """The fields of `ExportRequest`, as query parameters and as a JSON object.

    No parameter is required: it may be a member of the object instead.
    """
    schema = ExportRequest.model_json_schema()
    for name, field in schema["properties"].items():
        field.pop("title", None)
        field["description"] = _description(name, field)
    parameters = [_parameter(name, field) for name, field in schema["properties"].items()]
    # What the object lacks may be a parameter.
    body = {name: value for name, value in schema.items() if name != "required"}
    content = {"application/json": {"schema": body}}
    return {"parameters": parameters, "requestBody": {"required": False, "content": content}}


def _parameter(name: str, field: Mapping[str, Any]) -> dict[str, Any]:
    options = field.get("anyOf", [field])
    (kind,) = (option for option in options if option.get("type") != "null")
    schema = {key: value for key, value in kind.items() if key != "description"}
    parameter = {"name": name, "in": "query", "description": field["description"]}
    if schema["type"] == "array":
        parameter |= {"style": "form", "explode": False}  # a,b,c
    return {**parameter, "required": False, "schema": schema}


def _description(name: str, field: Mapping[str, Any]) -> str:
    if name in _NAMES:
        return _NAMES[name]
    allowed = ALLOWED.get(name)
    rule = f"One of: {', '.join(allowed)}" if isinstance(allowed, tuple) else allowed
    return ": ".join(text for text in (field.get("description"), rule) if text) or name

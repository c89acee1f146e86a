"""What the OpenAPI document says beyond the routes: the fields of a request, and the problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.api.problems import EVERY_KIND, PREFIX
from remit.exports.request import ALLOWED, ExportRequest

_NAMES: Mapping[str, str] = {
    "report": "A report of GET /reports",
    "columns": "Columns of the report, in the order of the file; by default the report's own",
}
"""What depends on the deployment, and where to find it."""

_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {
            "type": "string",
            "description": "Stable, for programs",
            "enum": sorted({f"{PREFIX}{kind.type}" for kind in EVERY_KIND}),
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "description": "As in `X-Request-ID` and in the log"},
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


def _problems() -> dict[int | str, dict[str, Any]]:
    content = {"application/problem+json": {"schema": _PROBLEM}}
    titles: dict[int, list[str]] = {}
    for kind in EVERY_KIND:
        titles.setdefault(kind.status, []).append(kind.title)
    return {
        status: {"description": "; or: ".join(dict.fromkeys(said)), "content": content}
        for status, said in sorted(titles.items())
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

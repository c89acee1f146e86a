"""What the OpenAPI document says beyond the routes: the fields of an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.exports.request import ALLOWED, ExportRequest

_NAMES: Mapping[str, str] = {
    "report": "A report of GET /reports",
    "columns": "Columns of the report, in the order of the file; by default the report's own",
}
"""What depends on the deployment, and where to find it."""

_ABOUT = """\
An export as it is asked for. A start day begins at its midnight in the export's time zone, an end \
day is exported whole; an end instant is exclusive. Amounts are in minor units. What is not in the \
object may be a query parameter."""

EXAMPLE: Mapping[str, Any] = {
    "start_date": "2026-01-01",
    "end_date": "2026-01-31",
    "format": "parquet",
    "status": "succeeded",
}


def export_fields() -> dict[str, Any]:
    """The fields of `ExportRequest`, as query parameters and as a JSON object.

    No parameter is required: it may be a member of the object instead.
    """
    schema = ExportRequest.model_json_schema()
    schema["description"] = _ABOUT
    for name, field in schema["properties"].items():
        field.pop("title", None)
        field["description"] = _description(name, field)
    parameters = [_parameter(name, field) for name, field in schema["properties"].items()]
    # What the object lacks may be a parameter.
    body = {name: value for name, value in schema.items() if name != "required"}
    content = {"application/json": {"schema": body, "example": EXAMPLE}}
    return {"parameters": parameters, "requestBody": {"required": False, "content": content}}


def _parameter(name: str, field: Mapping[str, Any]) -> dict[str, Any]:
    options = field.get("anyOf", [field])
    (kind,) = (option for option in options if option.get("type") != "null")
    schema = {key: value for key, value in kind.items() if key != "description"}
    parameter = {"name": name, "in": "query", "description": field["description"]}
    if schema["type"] == "array":
        parameter |= {"style": "form", "explode": False}  # a,b,c
    example = {"example": EXAMPLE[name]} if name in EXAMPLE else {}
    return {**parameter, "required": False, "schema": schema, **example}


def _description(name: str, field: Mapping[str, Any]) -> str:
    if name in _NAMES:
        return _NAMES[name]
    allowed = ALLOWED.get(name)
    rule = f"One of: {', '.join(allowed)}" if isinstance(allowed, tuple) else allowed
    return ": ".join(text for text in (field.get("description"), rule) if text) or name

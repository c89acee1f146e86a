"""What the OpenAPI document says of reports, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.exports.request import COMPRESSIONS, FORMATS

Responses = dict[int | str, dict[str, Any]]
"""As FastAPI's `responses` wants it."""

_TEXT: Mapping[str, Any] = {"type": "string"}
_MAYBE: Mapping[str, Any] = {"type": ["string", "null"]}
_FLAG: Mapping[str, Any] = {"type": "boolean"}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": _TEXT}


def _object(title: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
    }


_COLUMN = _object(
    "ReportColumn",
    {
        "name": _TEXT,
        "type": _TEXT,
        "unit": {**_MAYBE, "description": "Of amounts: minor or major units"},
        "optional": {**_FLAG, "description": "It is in the file only if `columns` names it"},
    },
)
_REPORT = _object(
    "Report",
    {
        "name": _TEXT,
        "title": _MAYBE,
        "description": _MAYBE,
        "permission": {**_TEXT, "description": "What a token needs for it"},
        "sliced": {**_FLAG, "description": "Large ranges are made in parallel slices"},
        "filters": {**_TEXTS, "description": "The fields of a request that it takes as filters"},
        "statuses": {**_TEXTS, "description": "What the filter `status` can be"},
        "columns": {"type": "array", "items": _COLUMN},
        "formats": {"type": "array", "items": {"enum": list(FORMATS)}},
        "compressions": {"type": "array", "items": {"enum": list(COMPRESSIONS)}},
    },
)
_EXAMPLE: Mapping[str, Any] = {
    "name": "payments",
    "title": "Payments",
    "description": "One row per payment created in the range, in the order of creation.",
    "permission": "payments",
    "sliced": True,
    "filters": ["status", "currency", "customer_id", "min_amount", "max_amount"],
    "statuses": ["pending", "succeeded", "failed", "refunded"],
    "columns": [
        {"name": "payment_id", "type": "text", "unit": None, "optional": False},
        {
            "name": "amount_minor",
            "type": "integer",
            "unit": "minor units of currency",
            "optional": False,
        },
    ],
    "formats": list(FORMATS),
    "compressions": list(COMPRESSIONS),
}


def _answer(description: str, schema: Mapping[str, Any], example: Any) -> Responses:
    content = {"application/json": {"schema": schema, "example": example}}
    return {200: {"description": description, "content": content}}


REPORT = _answer("The report", _REPORT, dict(_EXAMPLE))
REPORTS = _answer(
    "The reports",
    _object("Reports", {"reports": {"type": "array", "items": _REPORT}}),
    {"reports": [dict(_EXAMPLE)]},
)

"""What the OpenAPI document says of problems: one schema, and an example of each type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from remit.api.health import FAILING, OK
from remit.api.intake import BODY_SECONDS, DEFAULT_BODY_BYTES
from remit.api.problems import EVERY_KIND, KINDS, PREFIX, Kind
from remit.api.refusals import (
    BodyTooSlow,
    KeyInUse,
    PayloadTooLarge,
    RateLimited,
    UnsupportedMediaType,
)
from remit.errors import QueueFull, TooManyExports

MEDIA_TYPE = "application/problem+json"

PROBLEM: Mapping[str, Any] = MappingProxyType(
    {
        "title": "Problem",
        "description": "What went wrong (RFC 9457)",
        "type": "object",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            "type": {
                "type": "string",
                "description": "Stable, for programs",
                "enum": sorted({f"{PREFIX}{kind.type}" for kind in EVERY_KIND}),
            },
            "title": {"type": "string", "description": "The same for all of one type"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "For people; it may change"},
            "request_id": {
                "type": ["string", "null"],
                "description": "As in `X-Request-ID` and in the log",
            },
            "errors": {
                "type": "array",
                "description": "What is wrong with each field of an invalid request",
                "items": {
                    "type": "object",
                    "required": ["field", "message", "allowed"],
                    "properties": {
                        "field": {"type": "string"},
                        "message": {"type": "string", "description": "What is wrong"},
                        "allowed": {
                            "description": "What would be right",
                            "type": ["string", "array"],
                            "items": {"type": "string"},
                        },
                    },
                },
            },
            "components": {
                "type": "object",
                "description": "Of a hook that is not ready: which part fails",
                "additionalProperties": {"enum": [OK, FAILING]},
            },
        },
    }
)

_WAIT = timedelta(seconds=2)
_DETAILS: Mapping[str, str] = MappingProxyType(
    {
        "invalid-request": "format: Input should be 'csv', 'json', 'parquet' or 'xlsx'",
        "not-permitted": "the token lacks the permission 'webhooks'",
        "not-found": "there is no export 'export-01m84ekemg2w5g23n8btf52x14'",
        "gone": "the export has expired, and its files are removed: ask for a new one",
        "idempotency-key-in-use": str(KeyInUse(_WAIT)),
        "conflict": "the export is completed: only one that is pending or processing can be "
        "canceled",
        "idempotency-key-reused": "this Idempotency-Key belongs to another request: another "
        "method, path or other values",
        "request-timeout": str(BodyTooSlow(BODY_SECONDS)),
        "payload-too-large": str(PayloadTooLarge(DEFAULT_BODY_BYTES)),
        "unsupported-media-type": str(UnsupportedMediaType("the content type is 'text/plain'")),
        "rate-limited": str(RateLimited(100, _WAIT)),
        "too-many-exports": str(TooManyExports("merchant-1", limit=20, retry_after=_WAIT)),
        "queue-full": str(
            QueueFull("merchant-1", limit=100_000, count=99_999, more=3, retry_after=_WAIT)
        ),
    }
)
"""Type to what is said of it, where that depends on the request."""

_MEMBERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "invalid-request": {
            "errors": [
                {
                    "field": "format",
                    "message": "Input should be 'csv', 'json', 'parquet' or 'xlsx'",
                    "allowed": ["csv", "json", "parquet", "xlsx"],
                }
            ]
        },
        "not-ready": {"components": {"store": OK, "export_payments": FAILING}},
    }
)

WAITS = frozenset({429, 503}) | {KINDS[KeyInUse].status}
"""Statuses whose answers may say when to come again."""


def example_of(kind: Kind) -> dict[str, Any]:
    """A problem of that kind."""
    return {
        "type": f"{PREFIX}{kind.type}",
        "title": kind.title,
        "status": kind.status,
        "detail": _DETAILS.get(kind.type, kind.detail),
        "request_id": "0f5d2c7f1b9a4e370f5d2c7f1b9a4e37",
        **_MEMBERS.get(kind.type, {}),
    }


def examples() -> dict[str, Any]:
    """An example of each type, by the type's last part, as `components` has them."""
    return {
        kind.type: {"summary": kind.title, "value": example_of(kind)}
        for kind in EVERY_KIND
        if _DETAILS.get(kind.type, kind.detail) is not None
    }


def problem_responses(kinds: Iterable[Kind]) -> dict[str, dict[str, Any]]:
    """Answers by their status."""
    by_status: dict[int, list[Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        str(status): {
            "description": "; or: ".join(kind.title for kind in found),
            "content": {
                MEDIA_TYPE: {
                    "schema": PROBLEM,
                    "examples": {
                        kind.type: {"$ref": f"#/components/examples/{kind.type}"} for kind in found
                    },
                }
            },
        }
        for status, found in sorted(by_status.items())
    }

"""What the OpenAPI document says of events that are published, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.api.event_bodies import MOST_EVENTS, RESERVED
from remit.webhooks.endpoint import EVENT_TYPE
from remit.webhooks.event import EVENT_ID, MAX_TYPE_LENGTH, PAYLOAD_LIMIT

Responses = dict[int | str, dict[str, Any]]
"""As FastAPI's `responses` wants it."""

_STRING: Mapping[str, Any] = {"type": "string"}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": _STRING}


def _not_reserved(name: str) -> dict[str, Any]:
    beginnings = "|".join(text.replace(".", "[.]") for text in RESERVED[name])
    return {"not": {"pattern": f"^({beginnings})"}}


_EVENT: Mapping[str, Any] = {
    "title": "Event",
    "type": "object",
    "required": ["type", "data"],
    "additionalProperties": False,
    "properties": {
        "id": {
            **_STRING,
            "pattern": f"^{EVENT_ID.pattern}$",
            **_not_reserved("id"),
            "description": "Made of what happened, and not of a random number: it makes the event "
            "one. Unique among all merchants; a fresh one if not given. Those that begin with "
            f"{' or '.join(RESERVED['id'])} are Remit's own",
        },
        "type": {
            **_STRING,
            "maxLength": MAX_TYPE_LENGTH,
            "pattern": f"^{EVENT_TYPE.pattern}$",
            **_not_reserved("type"),
            "description": "Dotted lower-case words. Those that begin with "
            f"{' or '.join(RESERVED['type'])} are Remit's own",
        },
        "data": {
            "type": "object",
            "description": "What receivers get. Amounts are integers in minor units; decimals stay "
            f"as they are written. With it, the event has {PAYLOAD_LIMIT} bytes at the most",
        },
        "created_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When it happened; unless given, now",
        },
    },
}
_EVENT_EXAMPLE: Mapping[str, Any] = {
    "id": "evt-pay_1-succeeded",
    "type": "payment.succeeded",
    "data": {"payment_id": "pay_1", "amount": 1999, "currency": "EUR"},
    "created_at": "2026-11-23T12:00:00Z",
}

_PUBLISHED: Mapping[str, Any] = {
    "event_id": _STRING,
    "webhook_ids": {**_TEXTS, "description": "One webhook for each endpoint that wants the type"},
    "duplicate": {"type": "boolean", "description": "It was published before"},
}
_IDS = ["wh-61d6ece3fa5f7f786245b75450aa9846"]

_TOLD: Mapping[str, Any] = {
    "event_id": _STRING,
    "status": {**_STRING, "enum": ["accepted", "duplicate", "conflict"]},
    "webhook_ids": _TEXTS,
    "detail": {"type": ["string", "null"], "description": "Of a conflict, why"},
}


def _answer(description: str, title: str, properties: Mapping[str, Any], example: Any) -> Responses:
    schema = {
        "title": title,
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
    }
    content = {"application/json": {"schema": schema, "example": example}}
    return {202: {"description": description, "content": content}}


def _body(schema: Mapping[str, Any], example: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": dict(schema), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


PUBLISHED = _answer(
    "The event is stored, and on its way to each endpoint",
    "Published",
    _PUBLISHED,
    {"event_id": "evt-pay_1-succeeded", "webhook_ids": _IDS, "duplicate": False},
)
BATCH = _answer(
    "What became of each event, in their order",
    "PublishedBatch",
    {
        "events": {
            "type": "array",
            "items": {"type": "object", "required": list(_TOLD), "properties": dict(_TOLD)},
        }
    },
    {
        "events": [
            {
                "event_id": "evt-pay_1-succeeded",
                "status": "accepted",
                "webhook_ids": _IDS,
                "detail": None,
            }
        ]
    },
)
EVENT_BODY = _body(_EVENT, _EVENT_EXAMPLE)
BATCH_BODY = _body(
    {
        "title": "EventBatch",
        "type": "object",
        "required": ["events"],
        "additionalProperties": False,
        "properties": {
            "events": {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": MOST_EVENTS}
        },
    },
    {"events": [_EVENT_EXAMPLE]},
)
"""Bodies, as FastAPI's `openapi_extra` wants them."""

"""An endpoint as merchants see it, and what the OpenAPI document says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from remit.clock import format_instant
from remit.webhooks.endpoint import MAX_ENDPOINTS, Endpoint, Secret
from remit.webhooks.endpoint_request import MAX_REASON, RULES
from remit.webhooks.rotation import MAX_OVERLAP

Responses = dict[int | str, dict[str, Any]]
"""As FastAPI's `responses` wants it."""


def endpoint_document(endpoint: Endpoint) -> dict[str, Any]:
    """All of an endpoint, but for its secrets themselves."""
    health = endpoint.health
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "rate": endpoint.rate,
        "concurrency": endpoint.concurrency,
        "schedule": [int(wait.total_seconds()) for wait in endpoint.schedule] or None,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "disabled_at": _text(endpoint.disabled_at),
        "fault": endpoint.fault,
        "health": {
            "failing_since": _text(health.failing_since),
            "last_success_at": _text(health.last_success_at),
            "breaker_open_until": _text(health.breaker_open_until),
        },
        "secrets": [_secret_document(secret) for secret in endpoint.secrets],
        "created_at": _text(endpoint.created_at),
        "updated_at": _text(endpoint.updated_at),
    }


def _secret_document(secret: Secret) -> dict[str, Any]:
    return {
        "id": secret.id,
        "created_at": _text(secret.created_at),
        "expires_at": _text(secret.expires_at),
        "last_used_at": _text(secret.last_used_at),
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


_STRING: Mapping[str, Any] = {"type": "string"}
_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}
_INSTANT: Mapping[str, Any] = {**_TEXT, "format": "date-time"}

_SETTINGS: Mapping[str, Any] = {
    "description": {**_TEXT, "description": f"What it is: {RULES['description'].allowed}"},
    "events": {
        "type": ["array", "null"],
        "items": _STRING,
        "description": f"Which events it gets, all unless given: {RULES['events'].allowed}",
    },
    "rate": {"type": ["integer", "null"], "description": RULES["rate"].allowed},
    "concurrency": {"type": ["integer", "null"], "description": RULES["concurrency"].allowed},
    "schedule": {
        "type": ["array", "null"],
        "items": {"type": "integer"},
        "description": f"Seconds between attempts: {RULES['schedule'].allowed}",
    },
}

_URL: Mapping[str, Any] = {**_STRING, "description": "Where webhooks are posted, by https"}
_SECRET: Mapping[str, Any] = {
    **_STRING,
    "description": "What deliveries are signed with, whsec_…; shown this once",
}
_OWN_SECRET: Mapping[str, Any] = {
    **_TEXT,
    "description": "One of your own; a fresh one if not given",
}

_ENDPOINT: Mapping[str, Any] = {
    "id": _STRING,
    "url": _URL,
    **_SETTINGS,
    "enabled": {"type": "boolean"},
    "disabled_reason": _TEXT,
    "disabled_at": _INSTANT,
    "fault": {**_TEXT, "description": "What of its record cannot be read: its webhooks wait"},
    "health": {
        "type": "object",
        "properties": {
            "failing_since": _INSTANT,
            "last_success_at": _INSTANT,
            "breaker_open_until": {**_INSTANT, "description": "Until then nothing is sent"},
        },
    },
    "secrets": {
        "type": "array",
        "description": "The oldest first; those with `expires_at` sign until then",
        "items": {
            "type": "object",
            "properties": {
                "id": _STRING,
                "created_at": _INSTANT,
                "expires_at": _INSTANT,
                "last_used_at": _INSTANT,
            },
        },
    },
    "created_at": _INSTANT,
    "updated_at": _INSTANT,
}

_ID = "ep-01m84ekemg2w5g23n8btf52x14"
_EXAMPLE: Mapping[str, Any] = {
    "id": _ID,
    "url": "https://merchant.example/hooks",
    "description": "Bookkeeping",
    "events": ["payment.*"],
    "rate": 50,
    "concurrency": None,
    "schedule": None,
    "enabled": True,
    "disabled_reason": None,
    "disabled_at": None,
    "fault": None,
    "health": {
        "failing_since": None,
        "last_success_at": "2026-11-23T12:00:00.000000Z",
        "breaker_open_until": None,
    },
    "secrets": [
        {
            "id": "01m84ekemg2w5g23n8btf52x14",
            "created_at": "2026-11-23T11:00:00.000000Z",
            "expires_at": None,
            "last_used_at": "2026-11-23T12:00:00.000000Z",
        }
    ],
    "created_at": "2026-11-23T11:00:00.000000Z",
    "updated_at": "2026-11-23T11:00:00.000000Z",
}
_EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105 - nobody's


def _object(title: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
    }


def _answer(
    status: int,
    description: str,
    title: str,
    properties: Mapping[str, Any],
    example: Mapping[str, Any],
) -> Responses:
    schema = _object(title, properties)
    content = {"application/json": {"schema": schema, "example": dict(example)}}
    return {status: {"description": description, "content": content}}


_WITH_SECRET = {**_ENDPOINT, "secret": _SECRET}
_SECRET_EXAMPLE = {**_EXAMPLE, "secret": _EXAMPLE_SECRET}

ENDPOINT = _answer(200, "The endpoint", "Endpoint", _ENDPOINT, _EXAMPLE)
CREATED = _answer(
    201, "The endpoint, with its secret", "EndpointWithSecret", _WITH_SECRET, _SECRET_EXAMPLE
)
ROTATED = _answer(
    200, "The endpoint, with its new secret", "EndpointWithSecret", _WITH_SECRET, _SECRET_EXAMPLE
)
ENDPOINTS = _answer(
    200,
    f"All endpoints, {MAX_ENDPOINTS + 1} at the most: `default` first, the others by their age",
    "Endpoints",
    {
        "data": {
            "type": "array",
            "items": _object("Endpoint", _ENDPOINT),
        }
    },
    {"data": [_EXAMPLE]},
)
TESTED = _answer(
    202,
    "The test event is on its way; `GET /webhooks/{id}` tells of its attempts",
    "TestSent",
    {"webhook_id": _STRING, "event_id": _STRING},
    {
        "webhook_id": "wh-61d6ece3fa5f7f786245b75450aa9846",
        "event_id": "evt-test-0f5d2c7f1b9a4e370f5d2c7f1b9a4e37",
    },
)


def _body(
    title: str,
    properties: Mapping[str, Any],
    example: Mapping[str, Any],
    *,
    required: tuple[str, ...] = (),
) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
    }
    if required:
        schema["required"] = list(required)
    content = {"application/json": {"schema": schema, "example": dict(example)}}
    return {"requestBody": {"required": bool(required), "content": content}}


NEW = _body(
    "NewEndpoint",
    {"url": _URL, **_SETTINGS, "secret": _OWN_SECRET},
    {"url": "https://merchant.example/hooks", "events": ["payment.*"]},
    required=("url",),
)
CHANGES = _body("EndpointChanges", {"url": _URL, **_SETTINGS}, {"rate": 50, "description": None})
ROTATION = _body(
    "SecretRotation",
    {
        "overlap_seconds": {
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": int(MAX_OVERLAP.total_seconds()),
            "description": "So long the old secrets sign beside the new one; 0 ends them at once",
        },
        "secret": _OWN_SECRET,
    },
    {"overlap_seconds": 86_400},
)
REASON = _body(
    "DisableReason",
    {"reason": {**_STRING, "minLength": 1, "maxLength": MAX_REASON}},
    {"reason": "moving to another host"},
    required=("reason",),
)
"""Bodies, as FastAPI's `openapi_extra` wants them."""

"""What the OpenAPI document says of webhooks and replays, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.webhooks.listing import MOST_ATTEMPTS, STATUSES
from remit.webhooks.policy import Reason
from remit.webhooks.replay import Skip
from remit.webhooks.replay_filter import DEAD, DEFAULT_RATE, MAX_RATE, REASON_CODES
from remit.webhooks.replay_filter import STATUSES as ENDED
from remit.webhooks.replay_job import JobStatus

Responses = dict[int | str, dict[str, Any]]
"""As FastAPI's `responses` wants it."""

_STRING: Mapping[str, Any] = {"type": "string"}
_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}
_WHOLE: Mapping[str, Any] = {"type": "integer"}
_NUMBER: Mapping[str, Any] = {"type": ["integer", "null"]}
_INSTANT: Mapping[str, Any] = {**_TEXT, "format": "date-time"}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": _STRING}


def _object(title: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
    }


_WEBHOOK: Mapping[str, Any] = {
    "id": _STRING,
    "event_id": {
        **_TEXT,
        "description": "None: one of the platform's own, with its payload inside",
    },
    "type": _TEXT,
    "endpoint_id": _STRING,
    "status": {
        **_TEXT,
        "description": f"One of {', '.join(STATUSES)}. What failed and has a next attempt is "
        "still tried",
    },
    "reason_code": {
        **_TEXT,
        "description": f"Why it ended undelivered, for programs: {', '.join(Reason)}",
    },
    "reason": {**_TEXT, "description": "The same for people"},
    "attempt_count": {**_WHOLE, "description": "Since it was published, or replayed last"},
    "replay_count": _WHOLE,
    "response_status": {**_NUMBER, "description": "Of the last attempt; none without an answer"},
    "error": {**_TEXT, "description": "Of the last attempt: what kind of failure it was"},
    "created_at": _INSTANT,
    "updated_at": _INSTANT,
    "last_attempt_at": _INSTANT,
    "next_attempt_at": _INSTANT,
}
_WEBHOOK_EXAMPLE: Mapping[str, Any] = {
    "id": "wh-61d6ece3fa5f7f786245b75450aa9846",
    "event_id": "evt-pay_1-succeeded",
    "type": "payment.succeeded",
    "endpoint_id": "default",
    "status": "pending",
    "reason_code": None,
    "reason": None,
    "attempt_count": 1,
    "replay_count": 0,
    "response_status": 503,
    "error": None,
    "created_at": "2026-11-23T12:00:00.000000Z",
    "updated_at": "2026-11-23T12:00:01.000000Z",
    "last_attempt_at": "2026-11-23T12:00:01.000000Z",
    "next_attempt_at": "2026-11-23T12:00:03.200000Z",
}
_ATTEMPT: Mapping[str, Any] = {
    "at": {**_INSTANT, "description": "When it had ended"},
    "number": _NUMBER,
    "duration_ms": _NUMBER,
    "response_status": _NUMBER,
    "error": _TEXT,
    "response_excerpt": {**_STRING, "description": "The beginning of the answer's body"},
    "next_attempt_at": _INSTANT,
}
_DETAILS: Mapping[str, Any] = {
    **_WEBHOOK,
    "attempts": {
        "type": "array",
        "items": _object("Attempt", _ATTEMPT),
        "maxItems": MOST_ATTEMPTS,
        "description": "Those that are kept, of before a replay too; the newest last",
    },
    "more_attempts": {"type": "boolean", "description": "There are older ones"},
    "payload": {
        **_TEXT,
        "description": "The text that is posted, byte for byte; null: its event is gone by now",
    },
}
_DETAILS_EXAMPLE: Mapping[str, Any] = {
    **_WEBHOOK_EXAMPLE,
    "attempts": [
        {
            "at": "2026-11-23T12:00:01.000000Z",
            "number": 1,
            "duration_ms": 142,
            "response_status": 503,
            "error": None,
            "response_excerpt": "busy",
            "next_attempt_at": "2026-11-23T12:00:03.200000Z",
        }
    ],
    "more_attempts": False,
    "payload": '{"id":"evt-pay_1-succeeded","type":"payment.succeeded",'
    '"timestamp":"2026-11-23T12:00:00.000000Z","data":{"payment_id":"pay_1"}}',
}
_SKIPPED: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": _WHOLE,
    "description": f"How many were skipped, by why: {', '.join(Skip)}",
}
_REPLAY: Mapping[str, Any] = {
    "id": _STRING,
    "status": {**_TEXT, "description": f"One of {', '.join(JobStatus)}"},
    "reason": {**_TEXT, "description": "Why it failed"},
    "filter": _object(
        "ReplayFilter",
        {
            "since": _INSTANT,
            "until": _INSTANT,
            "endpoint": _TEXT,
            "type": _TEXTS,
            "status": _TEXTS,
            "reason": _TEXTS,
        },
    ),
    "rate": _NUMBER,
    "matched": _WHOLE,
    "replayed": _WHOLE,
    "skipped": _SKIPPED,
    "requested_by": _TEXT,
    "created_at": _INSTANT,
    "last_due_at": {**_INSTANT, "description": "When the last one that was replayed is due"},
    "finished_at": _INSTANT,
}
_REPLAY_EXAMPLE: Mapping[str, Any] = {
    "id": "replay-0f5d2c7f1b9a4e370f5d2c7f1b9a4e37",
    "status": "queued",
    "reason": None,
    "filter": {
        "since": "2026-11-23T00:00:00.000000Z",
        "until": "2026-11-23T12:00:00.000000Z",
        "endpoint": None,
        "type": ["payment.*"],
        "status": ["failed", "expired"],
        "reason": [],
    },
    "rate": 50,
    "matched": 0,
    "replayed": 0,
    "skipped": {},
    "requested_by": "ann@books.example",
    "created_at": "2026-11-23T12:00:00.000000Z",
    "last_due_at": None,
    "finished_at": None,
}
_COUNT: Mapping[str, Any] = {
    "matched": _WHOLE,
    "replayable": _WHOLE,
    "skipped": _SKIPPED,
    "complete": {"type": "boolean", "description": "False: there may be more than were counted"},
}


def _answer(
    status: int, description: str, title: str, properties: Mapping[str, Any], example: Any
) -> Responses:
    content = {"application/json": {"schema": _object(title, properties), "example": example}}
    return {status: {"description": description, "content": content}}


WEBHOOKS = _answer(
    200,
    "A page of webhooks, the newest first",
    "WebhookPage",
    {"data": {"type": "array", "items": _object("Webhook", _WEBHOOK)}, "next_cursor": _TEXT},
    {"data": [_WEBHOOK_EXAMPLE], "next_cursor": None},
)
WEBHOOK = _answer(
    200, "The webhook, with its attempts", "WebhookDetails", _DETAILS, _DETAILS_EXAMPLE
)
REQUEUED = _answer(
    202,
    "The webhook is in the queue once more",
    "WebhookRequeued",
    {"webhook_id": _STRING, "status": _STRING},
    {"webhook_id": "wh-61d6ece3fa5f7f786245b75450aa9846", "status": "pending"},
)
REPLAY = _answer(
    200, "How far the replay is, or what became of it", "Replay", _REPLAY, _REPLAY_EXAMPLE
)
REPLAY_REQUESTED = {
    **_answer(
        200,
        "A dry run: what a replay would do",
        "ReplayCount",
        _COUNT,
        {"matched": 12, "replayable": 11, "skipped": {"payload_gone": 1}, "complete": True},
    ),
    **_answer(202, "The replay is queued", "Replay", _REPLAY, _REPLAY_EXAMPLE),
}

_LIST: Mapping[str, Any] = {"type": ["array", "null"], "items": _STRING}

REPLAY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "title": "ReplayRequest",
                    "type": "object",
                    "required": ["since"],
                    "additionalProperties": False,
                    "properties": {
                        "since": {
                            **_STRING,
                            "format": "date-time",
                            "description": "Those created at this instant or later",
                        },
                        "until": {**_INSTANT, "description": "And before this one; by default now"},
                        "endpoint": {**_TEXT, "description": "Only those of this endpoint"},
                        "type": {
                            **_LIST,
                            "description": "Only these types; `payment.*` is several",
                        },
                        "status": {
                            "type": ["array", "null"],
                            "items": {**_STRING, "enum": list(ENDED)},
                            "description": f"That ended so; by default {' and '.join(DEAD)}",
                        },
                        "reason": {
                            "type": ["array", "null"],
                            "items": {**_STRING, "enum": list(REASON_CODES)},
                            "description": "Only those that ended for one of these reasons",
                        },
                        "rate": {
                            "type": ["integer", "null"],
                            "minimum": 1,
                            "maximum": MAX_RATE,
                            "description": f"Webhooks per second; by default {DEFAULT_RATE}",
                        },
                        "dry_run": {"type": "boolean", "description": "Count, and change nothing"},
                    },
                },
                "example": {"since": "2026-11-23T00:00:00Z", "type": ["payment.*"]},
            }
        },
    }
}
"""The body, as FastAPI's `openapi_extra` wants it."""

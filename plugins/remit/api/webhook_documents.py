"""A webhook with its attempts, and a replay, as merchants see them, whoever wrote their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.api.values import instant_text, text_of, whole_of
from remit.aws.items import Item
from remit.webhooks.endpoint import DEFAULT_ENDPOINT
from remit.webhooks.listing import WebhookDetails
from remit.webhooks.replay_pages import Count


def webhook_document(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a list says of a webhook."""
    return {
        "id": text_of(record, "id"),
        "event_id": text_of(record, "eventID"),
        "type": text_of(record, "eventType"),
        "endpoint_id": text_of(record, "endpointID") or DEFAULT_ENDPOINT,
        "status": text_of(record, "status"),
        "reason_code": text_of(record, "reasonCode"),
        "reason": text_of(record, "reason"),
        "attempt_count": whole_of(record, "attempts") or 0,
        "replay_count": whole_of(record, "replays") or 0,
        "response_status": whole_of(record, "responseCode") or None,
        "error": text_of(record, "lastError") or None,
        "created_at": instant_text(record, "createdAt"),
        "updated_at": instant_text(record, "updatedAt"),
        "last_attempt_at": instant_text(record, "lastAttempt"),
        "next_attempt_at": _next_attempt(record),
    }


def webhook_details(found: WebhookDetails) -> dict[str, Any]:
    """All of a webhook."""
    return {
        **webhook_document(found.record),
        "attempts": [_attempt_document(attempt) for attempt in found.attempts],
        "more_attempts": found.more_attempts,
        "payload": found.payload,
    }


def _next_attempt(record: Mapping[str, Any]) -> str | None:
    """When the next attempt is due. While one is under way, `dueAt` is the end of its lease."""
    if (retry := instant_text(record, "nextRetry")) is not None:
        return retry
    waits = "dueShard" in record and "claim" not in record
    return instant_text(record, "dueAt") if waits else None


def _attempt_document(attempt: Mapping[str, Any]) -> dict[str, Any]:
    at, _, _ = str(attempt["at"]).partition("#")
    return {
        "at": instant_text({"at": at}, "at"),
        "number": whole_of(attempt, "attempt"),
        "duration_ms": whole_of(attempt, "durationMs"),
        "response_status": whole_of(attempt, "status") or None,
        "error": text_of(attempt, "errorClass") or None,
        "response_excerpt": text_of(attempt, "excerpt") or "",
        "next_attempt_at": instant_text(attempt, "nextAttempt"),
    }


def count_document(count: Count) -> dict[str, Any]:
    """What a replay would do."""
    return {
        "matched": count.matched,
        "replayable": count.replayable,
        "skipped": {why.value: number for why, number in count.skipped.items()},
        "complete": count.complete,
    }


def replay_document(record: Item) -> dict[str, Any]:
    """How far a replay is, or what became of it."""
    wanted, skipped = record.get("filter"), record.get("skipped")
    return {
        "id": record["id"],
        "status": text_of(record, "status"),
        "reason": text_of(record, "reason"),
        "filter": _filter_document(wanted if isinstance(wanted, Mapping) else {}),
        "rate": whole_of(record, "rate"),
        "matched": whole_of(record, "matched") or 0,
        "replayed": whole_of(record, "replayed") or 0,
        "skipped": _counts(skipped if isinstance(skipped, Mapping) else {}),
        "requested_by": text_of(record, "actor"),
        "created_at": instant_text(record, "createdAt"),
        "last_due_at": instant_text(record, "lastDueAt"),
        "finished_at": instant_text(record, "finishedAt"),
    }


def _filter_document(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "since": instant_text(wanted, "since"),
        "until": instant_text(wanted, "until"),
        "endpoint": text_of(wanted, "endpoint"),
        "type": _texts(wanted.get("eventTypes")),
        "status": _texts(wanted.get("statuses")),
        "reason": _texts(wanted.get("reasonCodes")),
    }


def _texts(values: Any) -> list[str]:
    return [str(one) for one in values] if isinstance(values, list | tuple) else []


def _counts(values: Mapping[str, Any]) -> dict[str, int]:
    return {str(why): count for why, count in values.items() if type(count) is int}

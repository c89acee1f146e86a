"""What a deliverer writes about its webhooks: moves, each fenced, as data that `writer` writes.

A claim demands the record as it was read. Every later move demands the claim's token, so that a
deliverer which lost its lease changes nothing. Whatever takes a webhook out of the queue also takes
away `waitingFor`, by which its merchant's queue is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from remit.aws.items import Item
from remit.clock import epoch_seconds, format_instant
from remit.webhooks.policy import Decision, Reason, Status
from remit.webhooks.record import Lifespan, Webhook, waiting
from remit.webhooks.results import Result
from remit.webhooks.sender import Outcome

Changes = dict[str, Any]
"""Arguments of `Table.update_action` beside the key."""

_HELD = "#claim = :held"
_AS_READ = "#dueAt = :seen"
_NEVER_DUE = "attribute_exists(#dueShard) AND attribute_not_exists(#dueAt)"
_STATUS_AS_READ = "#dueAt = :seen AND #status = :status"
_PLACE = ("claim", "dueShard", "dueAt", "waitingFor")
_OUT_OF_QUEUE = (*_PLACE, "nextRetry")

_SHORT_BYTES = 42
"""Of a reason, its code and their names: as much as `dueShard` and `dueAt`, which leave the record
together with the queue."""

_SHORT_BYTES_OF_CLAIMED = 48
"""The same of one that its claim leaves, too, and that gets a `responseCode`."""

_ENDS = {
    Status.DELIVERED: Result.DELIVERED,
    Status.EXPIRED: Result.EXPIRED,
    Status.FAILED: Result.SET_ASIDE,
}
"""What it means that a webhook leaves the queue with a status."""


@dataclass(slots=True)
class Move:
    """One conditional write of a record. `result` is what became of the webhook once it is done,
    `attempt` the record of the attempt that goes with it, `short` the write after which the record
    is no larger than before, for one that has no room for more."""

    key: str
    change: Changes
    result: Result
    attempt: Item | None = field(default=None, repr=False)
    short: Callable[[], Changes] | None = None
    short_result: Result | None = None


class Seen(msgspec.Struct, frozen=True):
    """A queued record as it was read: what a move of one that is not claimed demands."""

    key: str
    due_at: str
    """Empty: there is none in it."""
    status: Any
    attempts: int | None
    """None: there is no such number in it."""

    @property
    def condition(self) -> tuple[str, dict[str, Any]]:
        """The record is as it was read: every claim moves `dueAt`, and the platform's own workers,
        which know nothing of that, move the status."""
        if not self.due_at:
            return _NEVER_DUE, {}
        if not isinstance(self.status, str):
            return _AS_READ, {"seen": self.due_at}
        return _STATUS_AS_READ, {"seen": self.due_at, "status": self.status}


@dataclass(frozen=True, slots=True)
class Times:
    """How long things are leased and kept."""

    lease: timedelta
    retention: timedelta


class Attempt(msgspec.Struct, frozen=True):
    """An attempt that was made: what came of it, what follows, and when it had ended."""

    number: int
    outcome: Outcome
    decision: Decision
    at: datetime


_MILLISECOND = timedelta(milliseconds=1)


def claim(seen: Seen, token: str, leased_until: str) -> Move:
    """Claim a webhook, which begins an attempt; the instant is written as in `dueAt`."""
    condition, values = seen.condition
    attempts = (seen.attempts or 0) + 1
    return Move(
        seen.key,
        {
            "set": {"claim": token, "dueAt": leased_until, "attempts": attempts},
            "condition": condition,
            "values": values,
        },
        Result.CLAIMED,
        short=partial(_unclaimable, seen),
        short_result=Result.SET_ASIDE,
    )


def defer(seen: Seen, webhook: Webhook, until: datetime) -> Move:
    """Move a webhook that is not claimed to a later time, its deadline at the latest, without an
    attempt."""
    condition, values = seen.condition
    return Move(
        seen.key,
        {
            "set": {"dueAt": format_instant(webhook.by_deadline(until))},
            "remove": ("claim",),
            "condition": condition,
            "values": values,
        },
        Result.DEFERRED,
    )


def set_aside(seen: Seen, decision: Decision, now: datetime, retention: timedelta) -> Move:
    """Take a webhook that is not attempted out of the queue, with the reason."""
    condition, values = seen.condition
    return Move(
        seen.key,
        {
            "set": _ended(decision, now + retention, format_instant(now)),
            "remove": _OUT_OF_QUEUE,
            "condition": condition,
            "values": values,
        },
        _ENDS[decision.status],
        short=lambda: {
            "set": _in_short(decision, _SHORT_BYTES),
            "remove": (*_OUT_OF_QUEUE, "responseBody", "lastError"),
            "condition": condition,
            "values": values,
        },
    )


def drop(seen: Seen) -> Move:
    """Take a webhook that someone else brought to its end out of the queue, as it is."""
    condition, values = seen.condition
    return Move(
        seen.key,
        {"remove": _OUT_OF_QUEUE, "condition": condition, "values": values},
        Result.LOST,
    )


def put_back(key: str, token: str, due_at: datetime, *, attempts: int | None = None) -> Move:
    """Give a claimed webhook back. With `attempts`, the attempt that the claim counted was not
    made, and that is the number of those before it."""
    changes: Changes = {"dueAt": format_instant(due_at)}
    if attempts is not None:
        changes["attempts"] = attempts
    return Move(
        key,
        {"set": changes, "remove": ("claim",), "condition": _HELD, "values": {"held": token}},
        Result.PUT_BACK,
    )


def broken_off(
    webhook: Webhook, token: str, attempt: Attempt, due_at: datetime, retention: timedelta
) -> Move:
    """Give a webhook back whose attempt was broken off: it may have arrived, so it counts."""
    move = put_back(webhook.id, token, due_at)
    move.attempt = _attempt_record(webhook, attempt, format_instant(attempt.at), retention)
    return move


def outcome(webhook: Webhook, token: str, attempt: Attempt, times: Times, *, keeps: bool) -> Move:
    """Record an attempt. A webhook that this deliverer `keeps` stays claimed until a lease after
    its next attempt; any other one goes back to the queue, or leaves it."""
    decision, at = attempt.decision, format_instant(attempt.at)
    # Most are delivered at once: what only an earlier attempt leaves is not there to be changed.
    is_first = attempt.number == 1 and webhook.payload is None
    changes = _answered(attempt, at)
    if is_first and not changes["lastError"]:
        del changes["lastError"]
    remove: tuple[str, ...] = ()
    if decision.next_attempt is None:
        changes |= _ended(decision, attempt.at + times.retention, at)
        remove, became = _PLACE if is_first else _OUT_OF_QUEUE, _ENDS[decision.status]
    elif keeps:
        changes["dueAt"] = format_instant(decision.next_attempt + times.lease)
        became = Result.KEPT
    else:
        changes["dueAt"] = changes["nextRetry"]
        remove, became = ("claim",), Result.RELEASED
    return Move(
        webhook.id,
        {"set": changes, "remove": remove, "condition": _HELD, "values": {"held": token}},
        became,
        attempt=_attempt_record(webhook, attempt, at, times.retention),
        short=partial(_outcome_in_short, token, attempt),
        short_result=Result.RELEASED if became is Result.KEPT else became,
    )


def _attempt_record(webhook: Webhook, attempt: Attempt, at: str, retention: timedelta) -> Item:
    outcome, next_attempt = attempt.outcome, attempt.decision.next_attempt
    record = {
        "webhookID": webhook.id,
        "at": f"{at}#{attempt.number}",
        "merchantID": webhook.merchant_id,
        "endpointID": webhook.endpoint_id,
        "attempt": attempt.number,
        "durationMs": int(outcome.duration / _MILLISECOND),
        "status": outcome.status or 0,
        "errorClass": outcome.error or "",
        "excerpt": outcome.excerpt,
        "expiresAt": epoch_seconds(webhook.deliver_before + retention),
    }
    if next_attempt is not None:
        record["nextAttempt"] = format_instant(next_attempt)
    return record


def redelivery(webhook: Webhook, now: datetime, lifespan: Lifespan) -> Changes:
    """Put a webhook that is out of the queue into it once more, without a condition: its attempts
    and its schedule begin anew, and what it ended with goes."""
    return {
        "set": {
            "status": Status.PENDING.value,
            "attempts": 0,
            "updatedAt": format_instant(now),
            **lifespan.attributes(),
            **waiting(webhook.id, webhook.merchant_id, lifespan.begins),
        },
        "remove": ("claim", "nextRetry", "lastError", "reason", "reasonCode"),
    }


def _unclaimable(seen: Seen) -> Changes:
    """Takes out of the queue what DynamoDB lets nobody claim: nothing more fits into the record
    (400 KB), and what leaves it makes room for the reason."""
    decision = Decision(Status.FAILED, reason=Reason.UNCLAIMABLE, detail="claim refused")
    condition, values = seen.condition
    return {
        "set": _in_short(decision, _SHORT_BYTES),
        "remove": _OUT_OF_QUEUE,
        "condition": condition,
        "values": values,
    }


def _answered(attempt: Attempt, at: str) -> Changes:
    """What an attempt changes in the record. The answer's body is in the attempt's own record: here
    every later write would bill it again."""
    decision = attempt.decision
    changes: Changes = {
        "status": decision.status.value,
        "lastAttempt": at,
        "updatedAt": at,
        "responseCode": attempt.outcome.status or 0,
        "lastError": attempt.outcome.error or "",
    }
    if decision.next_attempt is not None:
        changes["nextRetry"] = format_instant(decision.next_attempt)
    return changes


def _ended(decision: Decision, expires_at: datetime, at: str) -> Changes:
    """It is kept for a while after its end; a dead letter with the reason."""
    ended: Changes = {
        "status": decision.status.value,
        "updatedAt": at,
        "expiresAt": epoch_seconds(expires_at),
    }
    if decision.reason is not None:
        ended |= {"reasonCode": decision.reason.value, "reason": decision.detail}
    return ended


def _outcome_in_short(token: str, attempt: Attempt) -> Changes:
    """The payload of a foreign record may leave no room for more. The claim goes, so it is not
    kept."""
    decision = attempt.decision
    changes = _in_short(decision, _SHORT_BYTES_OF_CLAIMED)
    changes["responseCode"] = attempt.outcome.status or 0
    remove = ["claim", "nextRetry", "responseBody", "lastError"]
    if decision.next_attempt is not None:
        changes["dueAt"] = format_instant(decision.next_attempt)
    else:
        remove = [*_OUT_OF_QUEUE, "responseBody", "lastError"]
    return {"set": changes, "remove": remove, "condition": _HELD, "values": {"held": token}}


def _in_short(decision: Decision, room: int) -> Changes:
    changes: Changes = {"status": decision.status.value}
    if decision.reason is not None:
        code = decision.reason.value
        left = room - len("reasonCode") - len(code) - len("reason")
        short = decision.detail.encode()[:left].decode(errors="ignore")
        changes |= {"reasonCode": code, "reason": short}
    return changes

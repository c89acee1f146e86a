"""What a delivery task writes about its webhooks. Every write is fenced by the claim token."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from remit.clock import epoch_seconds, format_instant
from remit.errors import ConditionFailed, LeaseLost, RecordRefused, StoreUnavailable
from remit.queue import IF_DUE, Claim
from remit.services import Services
from remit.webhooks.chunk import Held
from remit.webhooks.outbox import DEAD_LETTER_RETENTION
from remit.webhooks.policy import Decision, Status
from remit.webhooks.record import Webhook
from remit.webhooks.sender import Outcome

log = logging.getLogger(__name__)


class Result(StrEnum):
    """What became of one webhook in one try of the task; the keys of its summary."""

    DELIVERED = "delivered"
    KEPT = "kept"
    """Tried again by the next try of this task."""
    RELEASED = "released"
    """Tried again by whoever polls after its next attempt is due."""
    PUT_BACK = "put_back"
    """Not attempted, and due again: asked to stop, or the lease would not have lasted."""
    EXPIRED = "expired"
    SET_ASIDE = "set_aside"
    """No attempt can help; the record says why."""
    LOST = "lost"
    """Another deliverer holds it; nothing was changed."""
    UNRECORDED = "unrecorded"
    """The store did not take the write; the webhook comes due when its lease ends."""
    ERROR = "error"
    """Something unexpected, which the log has; the webhook comes due when its lease ends."""


Changes = dict[str, Any]
"""Attributes of a record and their new values."""

_SHORT_REASON_BYTES = 40
"""So much of a reason takes the place of what leaves the record together with the queue."""


class Ledger:
    """The writes of one delivery task."""

    def __init__(self, services: Services) -> None:
        self._queue = services.webhook_queue
        self._clock = services.clock
        self._lease = services.settings.webhook_lease

    def begin(self, held: Held) -> Claim | Result:
        """Claim a webhook, which begins an attempt: due ones, and those that the chunk holds.

        `LOST`: another deliverer has it, or it has left the queue. `SET_ASIDE`: DynamoDB refuses
        every claim of it.

        Raises:
            StoreUnavailable: it is not known whether it is claimed.
        """
        condition, values = (IF_DUE, {}) if held.token is None else _if_held(held.token)
        try:
            claim = self._queue.claim(
                held.id, self._lease, condition=condition, values=values, add={"attempts": 1}
            )
        except RecordRefused:
            return self._begin_oddly(held.id, condition, values)
        return claim or Result.LOST

    def _begin_oddly(self, key: str, condition: str, values: Mapping[str, Any]) -> Claim | Result:
        """Begin with a record whose claim DynamoDB refuses, so that nobody can hold it."""
        try:
            # `attempts` is no number: claimed as it is, to be set aside.
            claim = self._queue.claim(
                key,
                self._lease,
                condition="NOT attribute_type(#attempts, :number)",
                values={"number": "N"},
            )
        except RecordRefused:
            claim = None
        return claim or self._set_aside_unclaimed(key, condition, values)

    def _set_aside_unclaimed(self, key: str, condition: str, values: Mapping[str, Any]) -> Result:
        """Nothing more fits into the record (400 KB): what leaves it makes room for the reason."""
        reason = "DynamoDB refuses its claim"
        try:
            self._queue.table.update(
                key,
                set={"status": Status.FAILED.value, "reason": reason},
                remove=("claim", "dueShard", "dueAt", "nextRetry"),
                condition=f"attribute_exists(#dueShard) AND ({condition})",
                values={**values, "now": format_instant(self._clock())},
            )
        except ConditionFailed:
            return Result.LOST
        log.warning("webhook=%r failed without an attempt: %s", key, reason)
        return Result.SET_ASIDE

    def keep(self, claim: Claim, outcome: Outcome, decision: Decision, next_at: datetime) -> Result:
        """Record the outcome and hold the claim for the next attempt of this chunk."""
        lease = next_at - self._clock() + self._lease
        return self._outcome(
            claim,
            outcome,
            decision,
            Result.KEPT,
            lambda changes: self._queue.extend(claim, lease, set=changes),
        )

    def release(
        self, claim: Claim, outcome: Outcome, decision: Decision, next_at: datetime
    ) -> Result:
        """Record the outcome and leave the next attempt to whoever polls."""
        return self._outcome(
            claim,
            outcome,
            decision,
            Result.RELEASED,
            lambda changes: self._queue.release(claim, next_at, set=changes),
        )

    def finish(self, claim: Claim, outcome: Outcome, decision: Decision) -> Result:
        """Record the outcome and take the webhook out of the queue."""
        return self._outcome(
            claim,
            outcome,
            decision,
            _ENDS[decision.status],
            lambda changes: self._queue.finish(claim, changes, ["nextRetry"]),
        )

    def set_aside(self, claim: Claim, status: Status, reason: str) -> Result:
        """Take a webhook that was not attempted out of the queue, with the reason."""
        decision, uncounted = Decision(status, reason=reason), _uncounted(claim)
        changes = {**self._ended(decision), **uncounted}
        log.warning("webhook=%r %s without an attempt: %s", claim.key, status, reason)
        return self._fitting(
            _ENDS[status],
            claim,
            lambda: self._queue.finish(claim, changes, ["nextRetry"]),
            lambda: self._in_short(claim, decision, uncounted),
        )

    def drop(self, claim: Claim) -> Result:
        """Take a webhook that someone else brought to its end out of the queue, as it is."""
        changes = _uncounted(claim)
        return self._fenced(Result.LOST, lambda: self._queue.finish(claim, changes))

    def put_back(self, claim: Claim, due_at: datetime, *, attempted: bool) -> Result:
        """Give a webhook back. An attempt that was not made does not count."""
        changes = {} if attempted else _uncounted(claim)
        return self._fenced(
            Result.PUT_BACK, lambda: self._queue.release(claim, due_at, set=changes)
        )

    def _outcome(
        self,
        claim: Claim,
        outcome: Outcome,
        decision: Decision,
        result: Result,
        write: Callable[[Changes], object],
    ) -> Result:
        changes = self._attributes(outcome, decision)
        return self._fitting(
            result,
            claim,
            lambda: write(changes),
            lambda: self._in_short(claim, decision, {"responseCode": outcome.status or 0}),
        )

    def _attributes(self, outcome: Outcome, decision: Decision) -> Changes:
        """What an attempt changes in the record."""
        now = format_instant(self._clock())
        changes = {
            "status": decision.status.value,
            "lastAttempt": now,
            "updatedAt": now,
            "responseCode": outcome.status or 0,
            "responseBody": outcome.excerpt,
            "lastError": outcome.error or "",
        }
        if decision.next_attempt is not None:
            return changes | {"nextRetry": format_instant(decision.next_attempt)}
        return changes if decision.status is Status.DELIVERED else changes | self._ended(decision)

    def _ended(self, decision: Decision) -> Changes:
        """A dead letter: kept for a while after its lifetime, with the reason."""
        now = self._clock()
        return {
            "status": decision.status.value,
            "reason": decision.reason,
            "updatedAt": format_instant(now),
            "expiresAt": epoch_seconds(now + DEAD_LETTER_RETENTION),
        }

    def _in_short(self, claim: Claim, decision: Decision, more: Changes) -> Result:
        """Record what was decided in a write after which the record is no larger than claimed: the
        payload of a foreign one may leave no room for more. The claim goes, so it is not kept."""
        changes = {"status": decision.status.value, **more}
        remove = ["claim", "nextRetry", "responseBody", "lastError"]
        if decision.next_attempt is not None:
            result = Result.RELEASED
            changes["dueAt"] = format_instant(decision.next_attempt)
        else:
            result = _ENDS[decision.status]
            remove += ["dueShard", "dueAt"]
        if decision.reason is not None:
            short = decision.reason.encode()[:_SHORT_REASON_BYTES]
            changes["reason"] = short.decode(errors="ignore")
        return self._fenced(result, lambda: self._queue.write(claim, set=changes, remove=remove))

    def _fitting(
        self,
        result: Result,
        claim: Claim,
        write: Callable[[], object],
        in_short: Callable[[], Result],
    ) -> Result:
        """Write; where DynamoDB refuses that for this record, write in short."""
        try:
            return self._fenced(result, write)
        except RecordRefused as error:
            log.warning("webhook=%r is recorded in short: %s", claim.key, error)
            return in_short()

    def _fenced(self, result: Result, write: Callable[[], object]) -> Result:
        try:
            write()
        except LeaseLost as error:
            log.warning("%s", error)
            return Result.LOST
        except StoreUnavailable as error:
            log.warning("%s", error)
            return Result.UNRECORDED
        return result


_ENDS = {
    Status.DELIVERED: Result.DELIVERED,
    Status.EXPIRED: Result.EXPIRED,
    Status.FAILED: Result.SET_ASIDE,
}
"""What it means that a webhook leaves the queue with a status."""


def _if_held(token: str) -> tuple[str, dict[str, Any]]:
    """The claim is still ours, and the next attempt due: the chunk of a worker that was killed may
    be older than the last outcome, and no attempt comes before its time."""
    return (
        "#claim = :held AND (attribute_not_exists(#nextRetry) OR #nextRetry <= :now)",
        {"held": token},
    )


def _uncounted(claim: Claim) -> dict[str, int]:
    """Takes back the attempt that the claim counted."""
    attempts = claim.item.get("attempts")
    return {"attempts": attempts - 1} if isinstance(attempts, int) and attempts > 0 else {}


def log_attempt(webhook: Webhook, outcome: Outcome, decision: Decision) -> None:
    """The one line that an attempt leaves in the log: no payload, no secret."""
    log.info(
        "webhook=%s event=%s attempt=%d answer=%s ms=%d status=%s next=%s",
        webhook.id,
        webhook.event_type,
        webhook.attempts,
        outcome.status or outcome.error,
        outcome.duration / timedelta(milliseconds=1),
        decision.status,
        format_instant(decision.next_attempt) if decision.next_attempt else "none",
    )

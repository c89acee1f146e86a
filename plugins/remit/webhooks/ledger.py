"""What a delivery task writes about its webhooks. Every write is fenced by the claim token."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from remit.clock import epoch_seconds, format_instant
from remit.errors import LeaseLost, StoreUnavailable
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


class Ledger:
    """The writes of one delivery task."""

    def __init__(self, services: Services) -> None:
        self._queue = services.webhook_queue
        self._clock = services.clock
        self._lease = services.settings.webhook_lease

    def begin(self, held: Held) -> Claim | None:
        """Claim a webhook, which begins an attempt: due ones, and those that the chunk holds.

        None: another deliverer has it, or it has left the queue.

        Raises:
            StoreUnavailable: it is not known whether it is claimed.
        """
        condition, values = (IF_DUE, {}) if held.token is None else _if_held(held.token)
        try:
            return self._queue.claim(
                held.id, self._lease, condition=condition, values=values, add={"attempts": 1}
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationException":
                raise
            # `attempts` is no number, so nobody can begin an attempt and nobody holds it: claimed
            # as it is, to be set aside.
            return self._queue.claim(
                held.id,
                self._lease,
                condition="NOT attribute_type(#attempts, :number)",
                values={"number": "N"},
            )

    def keep(self, claim: Claim, outcome: Outcome, decision: Decision, next_at: datetime) -> Result:
        """Record the outcome and hold the claim for the next attempt of this chunk."""
        lease = next_at - self._clock() + self._lease
        changes, _ = self._attributes(outcome, decision)
        return self._fenced(Result.KEPT, lambda: self._queue.extend(claim, lease, set=changes))

    def release(
        self, claim: Claim, outcome: Outcome, decision: Decision, next_at: datetime
    ) -> Result:
        """Record the outcome and leave the next attempt to whoever polls."""
        changes, _ = self._attributes(outcome, decision)
        return self._fenced(
            Result.RELEASED, lambda: self._queue.release(claim, next_at, set=changes)
        )

    def finish(self, claim: Claim, outcome: Outcome, decision: Decision) -> Result:
        """Record the outcome and take the webhook out of the queue."""
        changes, remove = self._attributes(outcome, decision)
        result = {
            Status.DELIVERED: Result.DELIVERED,
            Status.EXPIRED: Result.EXPIRED,
        }.get(decision.status, Result.SET_ASIDE)
        return self._fenced(result, lambda: self._queue.finish(claim, changes, [*remove]))

    def set_aside(self, claim: Claim, status: Status, reason: str) -> Result:
        """Take a webhook that was not attempted out of the queue, with the reason."""
        result = Result.EXPIRED if status is Status.EXPIRED else Result.SET_ASIDE
        changes = {**self._ended(Decision(status, reason=reason)), **_uncounted(claim)}
        log.warning("webhook=%r %s without an attempt: %s", claim.key, status, reason)
        return self._fenced(result, lambda: self._queue.finish(claim, changes, ["nextRetry"]))

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

    def _attributes(
        self, outcome: Outcome, decision: Decision
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What an attempt changes in the record, and what it removes."""
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
            return changes | {"nextRetry": format_instant(decision.next_attempt)}, ()
        if decision.status is Status.DELIVERED:
            return changes, ("nextRetry",)
        return changes | self._ended(decision), ("nextRetry",)

    def _ended(self, decision: Decision) -> dict[str, Any]:
        """A dead letter: kept for a while after its lifetime, with the reason."""
        now = self._clock()
        return {
            "status": decision.status.value,
            "reason": decision.reason,
            "updatedAt": format_instant(now),
            "expiresAt": epoch_seconds(now + DEAD_LETTER_RETENTION),
        }

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

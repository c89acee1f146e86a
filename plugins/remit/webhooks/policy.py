"""The rules of delivery as tables: answer to action, and status to the statuses it may become."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from remit.webhooks.backoff import RetrySchedule


class Status(StrEnum):
    """What a webhook's `status` may be; the names are those of the platform's own service."""

    PENDING = "pending"
    """Not attempted yet, or in its first attempts."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """The first attempts are used up. In the queue: still retried. Out of it: set aside."""
    EXPIRED = "expired"
    """Not delivered within its lifetime."""


MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset(Status),
    Status.FAILED: frozenset({Status.FAILED, Status.DELIVERED, Status.EXPIRED}),
    Status.DELIVERED: frozenset(),
    Status.EXPIRED: frozenset(),
}
"""From a status to those it may become. Delivered and expired are final."""


class Reason(StrEnum):
    """Why a webhook ended without being delivered: its `reasonCode`, for programs and filters."""

    EXPIRED = "expired"
    """Not delivered within its lifetime."""
    GONE = "gone"
    """The endpoint answered 410."""
    DISABLED = "endpoint_disabled"
    DELETED = "endpoint_deleted"
    NO_SECRET = "no_secret"  # noqa: S105 - a code, not a secret
    """Nothing is sent unsigned."""
    URL = "url_refused"
    NO_EVENT = "event_missing"
    UNREADABLE = "unreadable"
    """An attribute is missing or of the wrong type."""
    UNCLAIMABLE = "unclaimable"
    """DynamoDB refuses to write to the record."""


class Action(StrEnum):
    """What an endpoint's answer leads to."""

    DELIVERED = "delivered"
    RETRY = "retry by the schedule"
    RETRY_AFTER = "retry by the schedule, and not before Retry-After"
    DISABLE = "set aside at once, and the endpoint is disabled"


@dataclass(frozen=True)
class Rule:
    """One row of the table: a range of HTTP statuses and the action."""

    first: int
    last: int
    action: Action


RULES = (
    Rule(200, 299, Action.DELIVERED),
    Rule(300, 399, Action.RETRY),  # a redirect is never followed: a 302 would turn POST into GET
    Rule(410, 410, Action.DISABLE),
    Rule(429, 429, Action.RETRY_AFTER),
    Rule(503, 503, Action.RETRY_AFTER),
    Rule(400, 599, Action.RETRY),
)
"""The first row that holds the status decides. No answer at all, and any other status: retry."""


def action_for(status: int | None) -> Action:
    """The action for an HTTP status; None stands for no answer."""
    if status is not None:
        for rule in RULES:
            if rule.first <= status <= rule.last:
                return rule.action
    return Action.RETRY


class Decision(msgspec.Struct, frozen=True):
    """What becomes of a webhook. Without `next_attempt` it leaves the queue; `detail` says in words
    what `reason` says to programs."""

    status: Status
    next_attempt: datetime | None = None
    reason: Reason | None = None
    detail: str = ""


def decide(
    answer: int | None,
    retry_after: timedelta | None,
    *,
    status: Status,
    attempts: int,
    deliver_before: datetime,
    now: datetime,
    schedule: RetrySchedule,
    random: float,
) -> Decision:
    """The decision after an attempt.

    `answer` is the HTTP status of the attempt, `status` the webhook's before it; `attempts` counts
    this one too; `random` is in [0, 1).
    """
    action = action_for(answer)
    if action is Action.DELIVERED:
        return Decision(Status.DELIVERED)
    if action is Action.DISABLE:
        detail = f"the endpoint answered {answer}: gone for good"
        return Decision(Status.FAILED, reason=Reason.GONE, detail=detail)
    wait = schedule.wait(attempts, random)
    if action is Action.RETRY_AFTER and retry_after is not None:
        # Those that were told the same moment do not come back together, and none comes before it.
        wait = max(wait, schedule.lengthened(retry_after, random))
    next_attempt = now + wait
    # Decided now and not when the time is up: no attempt can follow.
    if next_attempt >= deliver_before:
        return expired(attempts)
    return Decision(status if attempts < schedule.burst_attempts else Status.FAILED, next_attempt)


def expired(attempts: int) -> Decision:
    """The decision about a webhook that was not delivered in its lifetime."""
    detail = f"not delivered in {attempts} attempts"
    return Decision(Status.EXPIRED, reason=Reason.EXPIRED, detail=detail)

"""Every write of a deliverer: fenced, and complete in what it takes out of the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remit.aws.table import Table
from remit.clock import epoch_seconds, format_instant
from remit.queue import new_token
from remit.webhooks import moves
from remit.webhooks.moves import Attempt, Changes, Move, Seen, Times
from remit.webhooks.policy import Decision, Reason, Status
from remit.webhooks.record import Webhook
from remit.webhooks.results import Result
from remit.webhooks.sender import Outcome

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=4)
SECOND = timedelta(seconds=1)
TIMES = Times(lease=timedelta(seconds=60), retention=timedelta(days=7))
SEEN = Seen("wh-1", "2026-11-23T11:00:00.000000Z", "pending", 2)
WEBHOOK = Webhook(
    id="wh-1",
    merchant_id="merchant-1",
    endpoint_id="ep-1",
    event_type="payment.succeeded",
    url="",
    status=Status.PENDING,
    attempts=2,
    deliver_before=NOW + timedelta(hours=20),
    event_id="evt-1",
    payload=None,
)
QUEUE = {"claim", "dueShard", "dueAt", "nextRetry", "waitingFor"}

DELIVERED = Decision(Status.DELIVERED)
AGAIN = Decision(Status.PENDING, LATER)
GONE = Decision(Status.FAILED, reason=Reason.GONE, detail="the endpoint answered 410")
EXPIRED = Decision(Status.EXPIRED, reason=Reason.EXPIRED, detail="not delivered in 3 attempts")


def outcome(decision: Decision, *, keeps: bool = False, status: int | None = 200) -> Move:
    answer = Outcome(timedelta(milliseconds=120), status=status, excerpt="ok")
    return moves.outcome(WEBHOOK, "token", Attempt(3, answer, decision, NOW), TIMES, keeps=keeps)


UNCLAIMED = {
    "claim": lambda: moves.claim(SEEN, "token", format_instant(LATER)),
    "defer": lambda: moves.defer(SEEN, WEBHOOK, LATER),
    "set aside": lambda: moves.set_aside(SEEN, GONE, NOW, TIMES.retention),
    "drop": lambda: moves.drop(SEEN),
}
CLAIMED = {
    "put back": lambda: moves.put_back("wh-1", "token", LATER),
    "put back uncounted": lambda: moves.put_back("wh-1", "token", LATER, attempts=2),
    "delivered": lambda: outcome(DELIVERED),
    "released": lambda: outcome(AGAIN),
    "kept": lambda: outcome(AGAIN, keeps=True),
    "gone": lambda: outcome(GONE),
    "expired": lambda: outcome(EXPIRED),
}
ENDS = {
    "set aside": UNCLAIMED["set aside"],
    "drop": UNCLAIMED["drop"],
    "delivered": CLAIMED["delivered"],
    "gone": CLAIMED["gone"],
    "expired": CLAIMED["expired"],
}

Made = Callable[[], Move]


def all_writes(move: Move) -> list[Changes]:
    return [move.change, *([move.short()] if move.short else [])]


@pytest.mark.parametrize("made", UNCLAIMED.values(), ids=UNCLAIMED)
def test_a_move_of_what_is_not_claimed_demands_the_record_as_it_was_read(made: Made) -> None:
    for change in all_writes(made()):
        assert change["condition"] == "#dueAt = :seen AND #status = :status"
        assert change["values"] == {"seen": SEEN.due_at, "status": "pending"}


@pytest.mark.parametrize("status", [None, 7])
def test_of_a_record_without_a_status_the_due_time_is_demanded(status: Any) -> None:
    move = moves.defer(Seen("wh-1", SEEN.due_at, status, None), WEBHOOK, LATER)
    assert (move.change["condition"], move.change["values"]) == (
        "#dueAt = :seen",
        {"seen": SEEN.due_at},
    )


def test_of_a_record_without_a_due_time_its_absence_is_demanded() -> None:
    change = moves.set_aside(Seen("wh-1", "", "pending", 0), GONE, NOW, TIMES.retention).change
    assert change["condition"] == "attribute_exists(#dueShard) AND attribute_not_exists(#dueAt)"
    assert change["values"] == {}


@pytest.mark.parametrize("made", CLAIMED.values(), ids=CLAIMED)
def test_a_move_of_what_is_claimed_demands_the_claim(made: Made) -> None:
    for change in all_writes(made()):
        assert change["condition"] == "#claim = :held"
        assert change["values"] == {"held": "token"}


@pytest.mark.parametrize("made", ENDS.values(), ids=ENDS)
def test_whatever_leaves_the_queue_leaves_nothing_of_its_place_behind(made: Made) -> None:
    for change in all_writes(made()):
        assert set(change["remove"]) >= QUEUE
        assert QUEUE.isdisjoint(change.get("set", {}))


STAYS = {n: m for n, m in {**UNCLAIMED, **CLAIMED}.items() if n not in ENDS}


@pytest.mark.parametrize("made", STAYS.values(), ids=STAYS)
def test_whatever_stays_in_the_queue_has_a_due_time_and_is_still_counted(made: Made) -> None:
    change = made().change
    assert "dueAt" in change["set"]
    assert {"waitingFor", "dueShard", "dueAt"}.isdisjoint(change.get("remove", ()))


@pytest.mark.parametrize("made", [*UNCLAIMED.values(), *CLAIMED.values()])
def test_every_write_is_one_that_dynamodb_can_be_asked_for(made: Made) -> None:
    table: Table[str] = Table(None, "Webhooks")
    for change in all_writes(made()):
        update = table.update_action("wh-1", **change)
        assert update["ConditionExpression"]
        assert not set(change.get("set", {})) & set(change.get("remove", ()))


def test_a_claim_begins_an_attempt() -> None:
    move = UNCLAIMED["claim"]()
    assert move.result is Result.CLAIMED
    assert move.change["set"] == {
        "claim": "token",
        "dueAt": format_instant(LATER),
        "attempts": 3,
    }


def test_one_that_nobody_can_claim_leaves_the_queue_with_the_reason() -> None:
    move = UNCLAIMED["claim"]()
    assert move.short is not None
    short = move.short()
    assert move.short_result is Result.SET_ASIDE
    assert short["set"]["status"] == "failed"
    assert short["set"]["reasonCode"] == "unclaimable"
    assert short["set"]["reason"] == "claim refused"
    assert set(short["remove"]) >= QUEUE


@pytest.mark.parametrize(
    ("until", "due_at"),
    [
        (WEBHOOK.deliver_before - SECOND, WEBHOOK.deliver_before - SECOND),
        (WEBHOOK.deliver_before, WEBHOOK.deliver_before),
        (WEBHOOK.deliver_before + SECOND, WEBHOOK.deliver_before),
        (datetime.max.replace(tzinfo=UTC), WEBHOOK.deliver_before),
    ],
)
def test_nothing_is_put_off_beyond_its_deadline(until: datetime, due_at: datetime) -> None:
    change = moves.defer(SEEN, WEBHOOK, until).change
    assert change["set"] == {"dueAt": format_instant(due_at)}


def test_to_defer_consumes_no_attempt_and_ends_an_old_claim() -> None:
    change = UNCLAIMED["defer"]().change
    assert change["set"] == {"dueAt": format_instant(LATER)}
    assert change["remove"] == ("claim",)


def test_what_is_put_back_counts_unless_it_is_said_otherwise() -> None:
    assert "attempts" not in CLAIMED["put back"]().change["set"]
    assert CLAIMED["put back uncounted"]().change["set"]["attempts"] == 2


def test_a_success_is_recorded_with_the_answer() -> None:
    move = outcome(DELIVERED)
    assert move.result is Result.DELIVERED
    assert move.change["set"] == {
        "status": "delivered",
        "lastAttempt": format_instant(NOW),
        "updatedAt": format_instant(NOW),
        "responseCode": 200,
        "lastError": "",
        "expiresAt": epoch_seconds(NOW + TIMES.retention),
    }


def test_what_no_earlier_attempt_has_left_is_not_removed() -> None:
    """Every clause costs: most webhooks are delivered at once."""
    place = ("claim", "dueShard", "dueAt", "waitingFor")
    foreign = replace(WEBHOOK, event_id=None, payload="{}")
    removed = {
        name: moves.outcome(webhook, "t", attempt, TIMES, keeps=False).change
        for name, webhook, attempt in (
            ("first", WEBHOOK, Attempt(1, Outcome(SECOND, status=200), DELIVERED, NOW)),
            ("second", WEBHOOK, Attempt(2, Outcome(SECOND, status=200), DELIVERED, NOW)),
            ("foreign", foreign, Attempt(1, Outcome(SECOND, status=200), DELIVERED, NOW)),
        )
    }
    assert removed["first"]["remove"] == place
    assert removed["second"]["remove"] == removed["foreign"]["remove"] == (*place, "nextRetry")
    assert "lastError" not in removed["first"]["set"]
    assert removed["second"]["set"]["lastError"] == removed["foreign"]["set"]["lastError"] == ""


def test_a_failure_is_released_to_its_next_attempt() -> None:
    move = outcome(AGAIN, status=500)
    changes = move.change["set"]
    assert move.result is Result.RELEASED
    assert changes["dueAt"] == changes["nextRetry"] == format_instant(LATER)
    assert move.change["remove"] == ("claim",)
    assert "expiresAt" not in changes


def test_one_that_is_kept_stays_claimed_a_lease_beyond_its_next_attempt() -> None:
    move = outcome(AGAIN, keeps=True, status=500)
    changes = move.change["set"]
    assert move.result is Result.KEPT
    assert changes["nextRetry"] == format_instant(LATER)
    assert changes["dueAt"] == format_instant(LATER + TIMES.lease)
    assert "claim" not in move.change["remove"]


def test_one_that_is_recorded_in_short_is_not_kept() -> None:
    move = outcome(AGAIN, keeps=True, status=500)
    assert move.short is not None
    assert move.short_result is Result.RELEASED
    assert move.short()["set"]["dueAt"] == format_instant(LATER)
    assert "claim" in move.short()["remove"]


@pytest.mark.parametrize(
    ("decision", "result"), [(GONE, Result.SET_ASIDE), (EXPIRED, Result.EXPIRED)]
)
def test_a_dead_letter_says_why_in_words_and_for_programs(
    decision: Decision, result: Result
) -> None:
    for move in (outcome(decision, status=410), moves.set_aside(SEEN, decision, NOW, timedelta(1))):
        assert move.result is result
        assert decision.reason is not None
        assert move.change["set"]["reasonCode"] == decision.reason.value
        assert move.change["set"]["reason"] == decision.detail
        assert move.change["set"]["status"] == decision.status.value


def test_a_reason_in_short_is_cut_between_characters() -> None:
    long = Decision(Status.FAILED, reason=Reason.GONE, detail="ü" * 100)
    for move, left in (
        (moves.set_aside(SEEN, long, NOW, TIMES.retention), 11),
        (outcome(long, status=410), 14),
    ):
        assert move.short is not None
        assert move.short()["set"]["reasonCode"] == "gone"
        assert move.short()["set"]["reason"] == "ü" * left


@pytest.mark.parametrize("reason", Reason)
def test_whatever_the_reason_in_short_it_takes_the_place_of_what_leaves(reason: Reason) -> None:
    decision = Decision(Status.FAILED, reason=reason, detail="x" * 100)
    place = {"dueShard": "63", "dueAt": format_instant(NOW)}
    claimed = {**place, "claim": new_token()}
    for move, leaves, adds in (
        (moves.set_aside(SEEN, decision, NOW, TIMES.retention), place, {}),
        (outcome(decision, status=410), claimed, {"responseCode": "410"}),
    ):
        assert move.short is not None
        short = {name: move.short()["set"][name] for name in ("reason", "reasonCode")}
        assert short["reason"]
        assert _bytes(short) + _bytes(adds) <= _bytes(leaves)


def _bytes(attributes: dict[str, str]) -> int:
    """What attributes add to an item. A number takes less than its text does."""
    return sum(len(name) + len(value) for name, value in attributes.items())


def test_every_outcome_has_the_record_of_its_attempt() -> None:
    move = outcome(AGAIN, status=500)
    assert move.attempt == {
        "webhookID": "wh-1",
        "at": f"{format_instant(NOW)}#3",
        "merchantID": "merchant-1",
        "endpointID": "ep-1",
        "attempt": 3,
        "durationMs": 120,
        "status": 500,
        "errorClass": "",
        "excerpt": "ok",
        "expiresAt": epoch_seconds(WEBHOOK.deliver_before + TIMES.retention),
        "nextAttempt": format_instant(LATER),
    }


def test_an_attempt_without_an_answer_says_what_prevented_it() -> None:
    failed = Outcome(timedelta(seconds=30), error="timeout")
    move = moves.outcome(WEBHOOK, "token", Attempt(3, failed, AGAIN, NOW), TIMES, keeps=False)
    assert move.attempt is not None
    assert (move.attempt["status"], move.attempt["errorClass"]) == (0, "timeout")
    assert (move.change["set"]["responseCode"], move.change["set"]["lastError"]) == (0, "timeout")


def test_no_move_but_those_of_attempts_has_a_record_of_one() -> None:
    for made in (*UNCLAIMED.values(), CLAIMED["put back"]):
        assert made().attempt is None

"""Writing moves in batches: what is stale or refused costs only itself."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import remit.webhooks.writer
from remit.aws.table import Table
from remit.aws.wire import Reasons, WireRefused
from remit.errors import ConditionFailed, RecordRefused, RemitError, StoreUnavailable
from remit.webhooks.moves import Move
from remit.webhooks.results import Result
from remit.webhooks.writer import Writer

STALE, CONFLICT, THROTTLED = "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError"


class Tables:
    """The two tables that are written, without a client."""

    webhooks: Table[str] = Table(None, "Webhooks")
    attempts: Table[Any] = Table(None, "WebhookAttempts", key="webhookID", sort="at")


class Wire:
    """Answers transactions and single calls as told; without a word, all is done."""

    def __init__(self) -> None:
        self.answers: deque[Reasons | RemitError | None] = deque()
        self.alone: dict[str, RemitError] = {}
        self.transactions: list[list[str]] = []
        self.calls: list[str] = []
        self.patience: set[float] = set()

    async def transact(
        self, actions: Sequence[Mapping[str, Any]], patience: float
    ) -> Reasons | None:
        self.patience.add(patience)
        self.transactions.append([_named(action) for action in actions])
        answer = self.answers.popleft() if self.answers else None
        if isinstance(answer, RemitError):
            raise answer
        return answer

    async def call(
        self, operation: str, request: Mapping[str, Any], patience: float
    ) -> dict[str, Any]:
        self.patience.add(patience)
        name = _named({{"UpdateItem": "Update", "PutItem": "Put"}[operation]: request})
        short = "short " if ":set_short" in request.get("ExpressionAttributeValues", {}) else ""
        self.calls.append(short + name)
        if short + name in self.alone:
            raise self.alone[short + name]
        return {}


def _named(action: Mapping[str, Any]) -> str:
    if "Put" in action:
        return f"attempt of {action['Put']['Item']['webhookID']['S']}"
    return str(action["Update"]["Key"]["id"]["S"])


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def writer(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Writer:
    monkeypatch.setattr(remit.webhooks.writer, "_WAIT_SECONDS", 0)
    return Writer(Tables(), wire)  # type: ignore[arg-type]


def move(key: str, result: Result = Result.CLAIMED, **more: Any) -> Move:
    change = {"set": {"claim": "mine"}, "condition": "#claim = :held", "values": {"held": "t"}}
    return Move(key, change, result, **more)


def outcome(key: str) -> Move:
    """A move with the record of its attempt."""
    return move(key, Result.DELIVERED, attempt={"webhookID": key, "at": "now"})


def short_of(result: Result) -> dict[str, Any]:
    short = {"set": {"short": 1}, "condition": "#claim = :held", "values": {"held": "t"}}
    return {"short": lambda: short, "short_result": result}


async def test_what_is_written_together_is_one_transaction(writer: Writer, wire: Wire) -> None:
    results = await writer.write([move("a"), move("b", Result.DEFERRED)])
    assert results == [Result.CLAIMED, Result.DEFERRED]
    assert wire.transactions == [["a", "b"]]


async def test_nothing_costs_nothing(writer: Writer, wire: Wire) -> None:
    assert await writer.write([]) == []
    assert wire.transactions == []


async def test_a_transaction_has_a_hundred_actions_at_the_most(writer: Writer, wire: Wire) -> None:
    await writer.write([move(str(n)) for n in range(101)])
    assert sorted(map(len, wire.transactions)) == [1, 100]


async def test_an_outcome_is_two_of_them(writer: Writer, wire: Wire) -> None:
    assert await writer.write([outcome(str(n)) for n in range(51)]) == [Result.DELIVERED] * 51
    assert sorted(map(len, wire.transactions)) == [2, 100]
    assert wire.transactions[0][:2] == ["0", "attempt of 0"]


async def test_a_canceled_batch_drops_only_what_is_stale(writer: Writer, wire: Wire) -> None:
    wire.answers += [[None, STALE, None], None]
    results = await writer.write([move("a"), move("b"), move("c")])
    assert results == [Result.CLAIMED, Result.LOST, Result.CLAIMED]
    assert wire.transactions == [["a", "b", "c"], ["a", "c"]]


async def test_a_batch_of_which_all_is_stale_is_not_sent_again(writer: Writer, wire: Wire) -> None:
    wire.answers.append([STALE, STALE])
    assert await writer.write([move("a"), move("b")]) == [Result.LOST] * 2
    assert len(wire.transactions) == 1


async def test_the_attempt_of_a_stale_outcome_is_recorded_all_the_same(
    writer: Writer, wire: Wire
) -> None:
    wire.answers.append([STALE, None, None, None])
    results = await writer.write([outcome("a"), outcome("b")])
    assert results == [Result.LOST, Result.DELIVERED]
    assert wire.transactions[1] == ["attempt of a", "b", "attempt of b"]


async def test_a_claim_that_meets_another_transaction_is_anothers(
    writer: Writer, wire: Wire
) -> None:
    wire.answers += [[CONFLICT, None], None]
    assert await writer.write([move("a"), move("b")]) == [Result.LOST, Result.CLAIMED]


async def test_an_outcome_that_meets_another_transaction_is_written_again(
    writer: Writer, wire: Wire
) -> None:
    wire.answers += [[CONFLICT, None], [CONFLICT, None], None]
    assert await writer.write([outcome("a")]) == [Result.DELIVERED]
    assert len(wire.transactions) == 3


async def test_what_is_throttled_beside_something_stale_is_written_again(
    writer: Writer, wire: Wire
) -> None:
    wire.answers += [[STALE, THROTTLED], None]
    assert await writer.write([move("a"), move("b")]) == [Result.LOST, Result.CLAIMED]
    assert wire.transactions[1] == ["b"]


async def test_conflicts_without_end_leave_it_unrecorded(writer: Writer, wire: Wire) -> None:
    wire.answers += [[CONFLICT, None]] * 50
    assert await writer.write([outcome("a")]) == [Result.UNRECORDED]
    assert len(wire.transactions) == 8


async def test_an_outage_leaves_it_unrecorded(writer: Writer, wire: Wire) -> None:
    wire.answers.append(StoreUnavailable("out of reach"))
    assert await writer.write([move("a"), outcome("b")]) == [Result.UNRECORDED] * 2


async def test_an_outage_of_one_batch_is_not_that_of_another(writer: Writer, wire: Wire) -> None:
    wire.answers.append(StoreUnavailable("out of reach"))
    results = await writer.write([move(str(n)) for n in range(101)])
    assert results == [Result.UNRECORDED] * 100 + [Result.CLAIMED]


async def test_a_refused_batch_is_written_one_by_one(writer: Writer, wire: Wire) -> None:
    wire.answers.append(RecordRefused("too large"))
    wire.alone["a"] = RecordRefused("too large")
    moves = [move("a", **short_of(Result.SET_ASIDE)), move("b")]
    assert await writer.write(moves) == [Result.SET_ASIDE, Result.CLAIMED]
    assert sorted(wire.calls) == ["a", "b", "short a"]


async def test_one_that_is_named_as_refused_goes_alone(writer: Writer, wire: Wire) -> None:
    wire.answers += [[None, "ValidationError"], None]
    assert await writer.write([move("a"), move("b")]) == [Result.CLAIMED] * 2
    assert (wire.transactions[1], wire.calls) == (["a"], ["b"])


async def test_a_refused_outcome_goes_alone_with_its_attempt(writer: Writer, wire: Wire) -> None:
    wire.answers += [["ValidationError", None, None, None], None]
    assert await writer.write([outcome("a"), outcome("b")]) == [Result.DELIVERED] * 2
    assert wire.calls == ["a", "attempt of a"]
    assert wire.transactions[1] == ["b", "attempt of b"]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (ConditionFailed("stale"), Result.LOST),
        (StoreUnavailable("out of reach"), Result.UNRECORDED),
        (RecordRefused("too large"), Result.ERROR),
        (WireRefused("not permitted"), Result.ERROR),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_becomes_of_one_that_goes_alone(
    writer: Writer, wire: Wire, error: RemitError, result: Result
) -> None:
    wire.answers.append(RecordRefused("too large"))
    wire.alone["a"] = error
    assert await writer.write([move("a"), move("b")]) == [result, Result.CLAIMED]


async def test_the_attempt_of_one_that_goes_alone_is_recorded_whoever_holds_it_now(
    writer: Writer, wire: Wire
) -> None:
    wire.answers.append(RecordRefused("too large"))
    wire.alone["a"] = ConditionFailed("stale")
    assert await writer.write([outcome("a")]) == [Result.LOST]
    assert wire.calls == ["a", "attempt of a"]


async def test_one_that_is_recorded_without_its_attempt_is_recorded(
    writer: Writer, wire: Wire
) -> None:
    wire.answers.append(RecordRefused("too large"))
    wire.alone["attempt of a"] = StoreUnavailable("out of reach")
    assert await writer.write([outcome("a")]) == [Result.DELIVERED]


async def test_an_outage_is_outwaited_as_long_as_it_is_told(writer: Writer, wire: Wire) -> None:
    wire.answers.append([None, "ValidationError"])
    await writer.write([move("a"), move("b")], patience=60)
    assert wire.patience == {60}


async def test_one_that_is_refused_in_short_too_stays_as_it_is(writer: Writer, wire: Wire) -> None:
    wire.answers.append(RecordRefused("too large"))
    wire.alone |= {"a": RecordRefused("too large"), "short a": RecordRefused("too large")}
    assert await writer.write([move("a", **short_of(Result.SET_ASIDE))]) == [Result.ERROR]


async def test_what_is_not_permitted_is_told_and_stays_until_its_lease_ends(
    writer: Writer, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.answers.append(WireRefused("no permission to write WebhookAttempts"))
    assert await writer.write([outcome("a"), outcome("b")]) == [Result.ERROR] * 2
    (logged,) = (entry for entry in caplog.records if entry.levelno == logging.ERROR)
    assert "no permission" in str(logged.exc_info)


async def test_one_that_cannot_be_encoded_keeps_no_other_from_being_written(
    writer: Writer, wire: Wire
) -> None:
    odd = Move("odd", {"set": {"claim": object()}, "condition": "", "values": {}}, Result.CLAIMED)
    assert await writer.write([odd, move("b")]) == [Result.ERROR, Result.CLAIMED]
    assert wire.transactions == [["b"]]

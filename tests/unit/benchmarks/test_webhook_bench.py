"""The program, and what it starts from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.standins.reading import Request
from benchmarks.webhooks import __main__ as program
from benchmarks.webhooks.dataset import Fleet, all_due, load, path
from benchmarks.webhooks.measuring import Parameters, run
from benchmarks.webhooks.metering import Metered
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import QUICK, Plan
from benchmarks.webhooks.store import Store, empty_store
from remit.queue import SHARDS
from tests.conformance.tables import index, key_schema, n, s

PLAN = Plan()


@pytest.mark.parametrize(
    ("arguments", "plan", "parts", "keep"),
    [
        ([], PLAN, list(program.PARTS), True),
        (["--quick"], QUICK, list(program.PARTS), False),
        (["--only", "memory"], PLAN, ["memory"], False),
        (["--only", "mapped", "--only", "memory"], PLAN, ["mapped", "memory"], False),
        (
            ["--rounds", "5"],
            replace(PLAN, rounds=5, isolation_rounds=5),
            list(program.PARTS),
            False,
        ),
        (["--count", "400"], PLAN.sized(400), list(program.PARTS), False),
    ],
)
def test_options_choose_parts_and_sizes(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], plan: Plan, parts: list[str], keep: bool
) -> None:
    seen = []

    def measured(plan: Plan, parts: list[str], *, keep: bool) -> dict[str, Figure]:
        seen.append((plan, parts, keep))
        return {}

    monkeypatch.setattr(program, "measured", measured)
    monkeypatch.setattr(program, "raise_on_signals", lambda: None)
    monkeypatch.setattr(program, "adopt_orphans", lambda: None)
    assert program.main(arguments) == 0
    assert seen == [(plan, parts, keep)]


def test_a_size_goes_for_what_is_counted_in_thousands() -> None:
    sized = PLAN.sized(2_000)
    assert sized.count == 2_000
    assert (sized.memory_small, sized.memory_large) == (200, 2_000)


@pytest.mark.parametrize("keep", [True, False])
def test_the_figures_of_all_parts_are_reported(monkeypatch: pytest.MonkeyPatch, keep: bool) -> None:
    written: list[Any] = []
    parts: dict[str, Callable[[Plan], Outcome]] = {
        "one": lambda plan: Outcome({"a": Figure(plan.rounds)}),
        "other": lambda _: Outcome({"b": Figure(2, 1)}),
    }
    monkeypatch.setattr(program, "PARTS", parts)
    monkeypatch.setattr(program, "pin", lambda: [0, 1])
    monkeypatch.setattr(program.results, "write", lambda *given: written.append(given))
    figures = program.measured(PLAN, ["one", "other"], keep=keep)
    assert figures == {"a": Figure(3), "b": Figure(2, 1)}
    assert [list(outcomes) for _, outcomes in written] == ([["one", "other"]] if keep else [])


def test_what_hangs_is_the_first_of_the_fleet() -> None:
    fleet = Fleet("http://127.0.0.1:9", 4, hanging=2)
    assert [fleet.url(number) for number in (0, 1, 2)] == [
        "http://127.0.0.1:9/merchant-000?hang=1",
        "http://127.0.0.1:9/merchant-001?hang=1",
        "http://127.0.0.1:9/merchant-002",
    ]
    assert len(set(fleet.secrets.values())) == 4
    assert set(fleet.secrets) == {path(number) for number in range(4)}


def test_webhooks_are_loaded_as_the_outbox_stores_them() -> None:
    fleet, due = Fleet("http://127.0.0.1:9", 3), all_due(7, 3, 1024)
    with empty_store() as store:
        load(store, fleet, due)
        webhooks = {item["id"]: item for item in store.items("Webhooks")}
        events = {item["id"]: item for item in store.items("Events")}
        merchants = {item["id"]: item for item in store.items("Merchants")}
    assert set(webhooks) == {one.id for one in due}
    assert len(merchants) == 3
    for webhook in webhooks.values():
        event, merchant = events[webhook["eventID"]], merchants[webhook["merchantID"]]
        assert len(event["payload"].encode()) == 1024
        assert webhook["url"] == merchant["webhookURL"]
        assert webhook["dueAt"] == webhook["createdAt"] <= datetime.now(UTC).isoformat()
        assert webhook["dueShard"] in range(SHARDS)


class Counting(Store):
    """A store that notes how many actions each transaction has, and does none."""

    def __init__(self) -> None:
        self.url = "http://127.0.0.1:9"
        self.transactions: list[int] = []

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.transactions.append(len(request["TransactItems"]))
        return {}


@pytest.mark.parametrize(
    ("payload_bytes", "transactions"),
    [(1024, [1, 100, 100]), (256 * 1024, [1, *[30] * 6, 20])],
)
def test_what_is_loaded_goes_into_transactions_that_dynamodb_would_take(
    payload_bytes: int, transactions: list[int]
) -> None:
    store = Counting()
    load(store, Fleet("http://127.0.0.1:9", 1), all_due(100, 1, payload_bytes))
    assert store.transactions == transactions


def test_the_store_says_what_was_refused() -> None:
    with empty_store() as store, pytest.raises(BenchmarkFailed, match=r"Query: .*not found"):
        store.call("Query", {"TableName": "Nothing"})


def call(metered: Metered, operation: str, **request: Any) -> Any:
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    body = memoryview(json.dumps(request).encode())
    answer = metered(Request("POST", "/", headers, body))
    return answer.status, json.loads(b"".join(answer.parts))


def test_writes_are_metered_with_their_indexes_and_reads_are_not() -> None:
    metered = Metered()
    call(
        metered,
        "CreateTable",
        TableName="Webhooks",
        KeySchema=key_schema("id"),
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "dueShard", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[index("gsi-due", "dueShard", projection="KEYS_ONLY")],
    )
    item = {"id": s("a"), "dueShard": n(1)}
    put = {"TableName": "Webhooks", "Item": item}
    call(metered, "TransactWriteItems", TransactItems=[{"Put": put}])
    call(metered, "GetItem", TableName="Webhooks", Key={"id": s("a")})
    once = {**put, "ConditionExpression": "attribute_not_exists(id)"}
    status, _ = call(metered, "PutItem", **once)
    assert status == 400
    (written,) = metered.taken()
    assert written.operation == "TransactWriteItems"
    assert written.units == {"Webhooks": 2, "Webhooks/gsi-due": 1}
    assert metered.taken() == []


def test_a_subject_that_fails_is_a_failure() -> None:
    with pytest.raises(BenchmarkFailed, match="bare_aiohttp exited with 1"):
        run("bare_aiohttp", Parameters(receiver="http://127.0.0.1:9", count=1))


def test_a_subject_that_does_not_start_is_a_failure() -> None:
    with pytest.raises(BenchmarkFailed, match="no_such did not start"):
        run("no_such", Parameters())

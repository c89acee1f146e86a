"""The benchmark's pages of payments answer as a table does that holds the same items."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchmarks.export.dataset import DEFINITION, INDEX, PaymentPages
from benchmarks.export.shapes import MERCHANT
from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.http import Server
from tests.conformance.backends import Backend
from tests.conformance.tables import error_code, s
from tests.support.aws import aws_at

ROWS = 31
LARGE = 2_300
"""A page of a megabyte, and a part of another."""

DAYS = [f"2026-01-{day:02}T00:00:00.000000Z" for day in range(1, ROWS + 1)]
"""The time of each row: they lie evenly in the month."""


@dataclass(frozen=True)
class Payments:
    """A client, and the name of the table that has the payments."""

    client: Any
    table: str

    def query(self, condition: str = "", **request: Any) -> dict[str, Any]:
        """The answer to a query of the merchant's payments; values are given as `values`."""
        values = {":m": s(MERCHANT)} | {k: s(v) for k, v in request.pop("values", {}).items()}
        usual = {
            "TableName": self.table,
            "IndexName": INDEX,
            "KeyConditionExpression": "merchantID = :m" + condition,
            "ExpressionAttributeValues": values,
        }
        wanted = {name: v for name, v in {**usual, **request}.items() if v is not None}
        answer: dict[str, Any] = self.client.query(**wanted)
        return answer

    def refused(self, **request: Any) -> str:
        """The code that a query is refused with, when it is so changed."""
        with pytest.raises(ClientError) as error:
            self.query(**request)
        return error_code(error)


def numbers(items: list[dict[str, Any]]) -> list[int]:
    """The rows that items are."""
    return [int(item["id"]["S"].removeprefix("pay_")) for item in items]


def stored(client: Any, name: str, rows: int) -> Payments:
    """A table with the payments as its items."""
    client.create_table(**{**DEFINITION, "TableName": name})
    pages = PaymentPages(rows)
    puts = [{"PutRequest": {"Item": item}} for item in _items(pages)]
    for first in range(0, len(puts), 25):
        client.batch_write_item(RequestItems={name: puts[first : first + 25]})
    return Payments(client, name)


def _items(pages: PaymentPages) -> Iterator[dict[str, Any]]:
    request: dict[str, Any] = {"TableName": "Payments"}
    while True:
        answer = json.loads(b"".join(pages.scan(request).parts))
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


@pytest.fixture(scope="module")
def mounted() -> Iterator[Callable[[PaymentPages], Payments]]:
    """Makes payments as pages, in the place of a table."""
    dynamodb = DynamoDb()
    with Server(dynamodb.handle) as server:
        client = replace(aws_at(""), endpoints={"dynamodb": server.url}).client("dynamodb")

        def mount(pages: PaymentPages) -> Payments:
            name = f"Payments-{pages.rows}"
            dynamodb.tables.mount(name, pages)
            return Payments(client, name)

        yield mount


@pytest.fixture(scope="module")
def on_pages(mounted: Callable[[PaymentPages], Payments]) -> Payments:
    """The payments as pages."""
    return mounted(PaymentPages(ROWS))


@pytest.fixture(scope="module")
def in_standins(standins: Backend) -> Payments:
    """The payments as items of the stand-in."""
    return stored(standins.dynamodb, f"payments-{ROWS}", ROWS)


@pytest.fixture(scope="module")
def in_moto(moto: Backend) -> Payments:
    """The payments as items of moto."""
    return stored(moto.dynamodb, f"payments-{ROWS}", ROWS)


@pytest.fixture(params=["in_moto", "in_standins", "on_pages"])
def payments(request: pytest.FixtureRequest) -> Payments:
    """The payments in each back end in turn."""
    found: Payments = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["in_standins", "on_pages"])
def payments_beyond_moto(request: pytest.FixtureRequest) -> Payments:
    """Without moto, where it is known to do otherwise than AWS."""
    found: Payments = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("", {}, range(31)),
        (" AND createdAt = :a", {":a": DAYS[3]}, [3]),
        (" AND createdAt < :a", {":a": DAYS[3]}, [0, 1, 2]),
        (" AND createdAt <= :a", {":a": DAYS[3]}, [0, 1, 2, 3]),
        (" AND createdAt > :a", {":a": DAYS[28]}, [29, 30]),
        (" AND createdAt >= :a", {":a": DAYS[28]}, [28, 29, 30]),
        (" AND createdAt BETWEEN :a AND :b", {":a": DAYS[3], ":b": DAYS[5]}, [3, 4, 5]),
        (" AND createdAt BETWEEN :a AND :b", {":a": "2026-01-30", ":b": "2027"}, [29, 30]),
        (" AND begins_with(createdAt, :a)", {":a": "2026-01-2"}, range(19, 29)),
        (" AND createdAt > :a", {":a": "2026-02"}, []),
    ],
)
def test_a_range_of_time(
    payments: Payments, condition: str, values: dict[str, str], expected: Any
) -> None:
    answer = payments.query(condition, values=values)
    assert numbers(answer["Items"]) == list(expected)
    assert answer["Count"] == answer["ScannedCount"] == len(expected)
    assert "LastEvaluatedKey" not in answer


def test_pages_by_limit_join_without_gap(payments: Payments) -> None:
    first = payments.query(Limit=12)
    second = payments.query(Limit=12, ExclusiveStartKey=first["LastEvaluatedKey"])
    rest = payments.query(ExclusiveStartKey=second["LastEvaluatedKey"])
    assert (first["Count"], second["Count"], rest["Count"]) == (12, 12, 7)
    assert numbers(first["Items"] + second["Items"] + rest["Items"]) == list(range(ROWS))
    assert second["LastEvaluatedKey"].keys() == {"id", "merchantID", "createdAt"}
    assert [first["Items"], rest["Items"]] == [
        payments.query()["Items"][:12],
        payments.query()["Items"][24:],
    ]


def test_a_page_goes_on_after_a_key_that_is_not_there(payments: Payments) -> None:
    key = {"id": s("none"), "merchantID": s(MERCHANT), "createdAt": s("2026-01-20T12:00:00Z")}
    assert numbers(payments.query(ExclusiveStartKey=key)["Items"]) == list(range(20, ROWS))


def test_count_has_no_items(payments: Payments) -> None:
    answer = payments.query(Select="COUNT")
    assert (answer["Count"], "Items" in answer) == (ROWS, False)


def test_another_merchant_has_no_payments(payments: Payments) -> None:
    values = {":m": s("merchant-000002")}
    answer = payments.query(ExpressionAttributeValues=values)
    assert (answer["Items"], answer["Count"]) == ([], 0)


def test_capacity_is_told_if_it_is_asked_for(payments: Payments) -> None:
    assert "ConsumedCapacity" not in payments.query()
    told = payments.query(ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert told["TableName"] == payments.table


def test_segments_of_a_scan_are_the_whole_together(payments: Payments) -> None:
    parts = [
        payments.client.scan(TableName=payments.table, Segment=number, TotalSegments=3)["Items"]
        for number in range(3)
    ]
    assert sorted(numbers([item for part in parts for item in part])) == list(range(ROWS))


def test_a_scan_goes_on_by_the_key_of_the_table(payments: Payments) -> None:
    pages = payments.client.get_paginator("scan").paginate(
        TableName=payments.table, PaginationConfig={"PageSize": 12}
    )
    first, *others = pages
    assert first["LastEvaluatedKey"].keys() == {"id"}
    found = [item for page in (first, *others) for item in page["Items"]]
    assert sorted(numbers(found)) == list(range(ROWS))


@pytest.mark.parametrize(
    "change",
    [
        {"KeyConditionExpression": "id = :m"},
        {"KeyConditionExpression": "merchantID > :m"},
        {"ConsistentRead": True},
    ],
    ids=["not a key", "no partition", "consistent"],
)
def test_what_a_query_refuses(payments: Payments, change: dict[str, Any]) -> None:
    assert payments.refused(**change) == "ValidationException"


@pytest.mark.parametrize(
    "change",
    [
        {"IndexName": "no-such-index"},
        {"ExclusiveStartKey": {"id": s("pay_1")}},
        {
            "ExclusiveStartKey": {
                "id": s("pay_1"),
                "merchantID": s("merchant-000002"),
                "createdAt": s(DAYS[1]),
            }
        },
        {"ExpressionAttributeValues": {":m": s(MERCHANT), ":unused": s("")}},
        {"ExpressionAttributeValues": {":m": {"N": "1"}}},
        {"KeyConditions": {}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_query_refuses_beyond_moto(
    payments_beyond_moto: Payments, change: dict[str, Any]
) -> None:
    assert payments_beyond_moto.refused(**change) == "ValidationException"


@pytest.mark.parametrize(
    "change",
    [
        {"FilterExpression": "amount > :m"},
        {"ProjectionExpression": "id"},
        {"ScanIndexForward": False},
        {"AttributesToGet": ["id"]},
        {"Select": "SPECIFIC_ATTRIBUTES", "ProjectionExpression": "id"},
        {"IndexName": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_pages_do_not_have(on_pages: Payments, change: dict[str, Any]) -> None:
    # DynamoDB does; but to pass over it would be a wrong answer.
    assert on_pages.refused(**change) == "ValidationException"


def test_a_page_holds_at_most_a_megabyte(
    standins: Backend, mounted: Callable[[PaymentPages], Payments]
) -> None:
    kept = PaymentPages(LARGE)
    kept.warm_up(keep=True)
    answers = []
    for payments in (stored(standins.dynamodb, f"payments-{LARGE}", LARGE), mounted(kept)):
        first = payments.query(ReturnConsumedCapacity="TOTAL")
        rest = payments.query(
            ReturnConsumedCapacity="TOTAL", ExclusiveStartKey=first["LastEvaluatedKey"]
        )
        for answer in (first, rest):
            answer["ConsumedCapacity"].pop("TableName")
            answer.pop("ResponseMetadata")
        answers.append((first, rest))
    ((first, _), _) = answers
    assert first["Count"] == 1024**2 // 480
    assert answers[0] == answers[1]

"""What the local AWS makes cheaper of moto's expressions comes to the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

from demo import expressions
from tests.conformance.tables import create_table, n, s
from tests.support.aws import aws_at


@pytest.fixture(autouse=True)
def installed() -> None:
    expressions.install()
    expressions.install()


def test_an_expression_is_parsed_once() -> None:
    text = "SET #a = :a REMOVE #b"
    assert UpdateExpressionParser.make(text) is UpdateExpressionParser.make(text)
    assert UpdateExpressionParser.make(text) is not UpdateExpressionParser.make("SET #a = :b")


def test_what_was_parsed_serves_other_names_and_values(aws_server: str) -> None:
    dynamodb: Any = aws_at(aws_server).client("dynamodb")
    table = create_table(dynamodb, "expressions", "id")
    for number in range(3):
        dynamodb.put_item(TableName=table, Item={"id": s(str(number)), "old": n(1), "new": n(2)})
    for number, (kept, removed) in enumerate([("x", "old"), ("y", "new"), ("z", "old")]):
        dynamodb.update_item(
            TableName=table,
            Key={"id": s(str(number))},
            UpdateExpression="SET #kept = if_not_exists(#kept, :value) + :one REMOVE #removed",
            ExpressionAttributeNames={"#kept": kept, "#removed": removed},
            ExpressionAttributeValues={":value": n(10 * number), ":one": n(1)},
        )
    items = [
        dynamodb.get_item(TableName=table, Key={"id": s(str(number))})["Item"]
        for number in range(3)
    ]
    assert items == [
        {"id": s("0"), "new": n(2), "x": n(1)},
        {"id": s("1"), "old": n(1), "y": n(11)},
        {"id": s("2"), "new": n(2), "z": n(21)},
    ]


@pytest.mark.parametrize(
    ("value", "cast"),
    [
        ({"S": "a"}, "a"),
        ({"N": "1.5"}, Decimal("1.5")),
        ({"SS": ["b", "a"]}, {"a", "b"}),
        ({"L": [{"S": "a"}, {"N": "1"}]}, ["a", 1]),
        ({"M": {"a": {"S": "b"}}}, {"a": "b"}),
        ({"NULL": True}, None),
        ({"BOOL": True}, True),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else None,
)
def test_a_value_is_what_it_was(value: dict[str, Any], cast: object) -> None:
    assert DynamoType(value).cast_value == cast

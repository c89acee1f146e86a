"""A transaction of the local AWS that is canceled leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models.table import Table

from tests.conformance.tables import create_table, n, s
from tests.support.aws import aws_at

Action = dict[str, Any]


@pytest.fixture
def dynamodb(aws_server: str) -> Any:
    return aws_at(aws_server).client("dynamodb")


@pytest.fixture
def tables(dynamodb: Any, request: pytest.FixtureRequest) -> tuple[str, str]:
    """One with a key of one part, and one with two; an item in each."""
    stem = request.node.name.replace("[", "-").replace("]", "")
    one = create_table(dynamodb, f"{stem}-one", "id")
    two = create_table(dynamodb, f"{stem}-two", "id", "at")
    dynamodb.put_item(TableName=one, Item={"id": s("a"), "list": {"L": [n(1)]}})
    dynamodb.put_item(TableName=two, Item={"id": s("a"), "at": s("1"), "x": n(1)})
    return one, two


def put(table: str, **item: Any) -> Action:
    return {"Put": {"TableName": table, "Item": item}}


def update(table: str, text: str, values: dict[str, Any], **key: Any) -> Action:
    request = {"TableName": table, "Key": key, "UpdateExpression": text}
    return {"Update": {**request, "ExpressionAttributeValues": values}}


def delete(table: str, **key: Any) -> Action:
    return {"Delete": {"TableName": table, "Key": key}}


def fails(table: str) -> Action:
    condition = "attribute_not_exists(id)"
    key = {"id": s("a")}
    return {"ConditionCheck": {"TableName": table, "Key": key, "ConditionExpression": condition}}


ACTIONS: list[Callable[[str, str], list[Action]]] = [
    lambda one, two: [put(one, id=s("b")), put(two, id=s("b"), at=s("1"))],
    lambda _, two: [put(two, id=s("a"), at=s("1"), x=n(2)), put(two, id=s("a"), at=s("2"))],
    lambda _, two: [delete(two, id=s("a"), at=s("1")), delete(two, id=s("none"), at=s("1"))],
    lambda _, two: [update(two, "SET x = :v", {":v": n(2)}, id=s("a"), at=s("1"))],
    lambda _, two: [update(two, "SET x = :v", {":v": n(2)}, id=s("b"), at=s("1"))],
    lambda one, _: [update(one, "SET x = :v", {":v": n(2)}, id=s("b"))],
]


@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("first", [True, False])
def test_nothing_is_left_of_a_canceled_transaction(
    dynamodb: Any,
    tables: tuple[str, str],
    actions: Callable[[str, str], list[Action]],
    first: bool,
) -> None:
    def content() -> list[Any]:
        return [dynamodb.scan(TableName=table)["Items"] for table in tables]

    before = content()
    failing, others = [fails(tables[0])], actions(*tables)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(
            TransactItems=[*failing, *others] if first else [*others, *failing]
        )
    assert content() == before


def test_what_is_inside_an_item_is_put_back(dynamodb: Any, tables: tuple[str, str]) -> None:
    one, two = tables
    text = "SET #l = list_append(#l, :more)"
    grow = update(one, text, {":more": {"L": [n(2)]}}, id=s("a"))
    grow["Update"]["ExpressionAttributeNames"] = {"#l": "list"}
    failing = put(two, id=s("a"), at=s("1"))
    failing["Put"]["ConditionExpression"] = "attribute_not_exists(id)"
    with pytest.raises(ClientError, match="TransactionCanceled"):
        dynamodb.transact_write_items(TransactItems=[grow, failing])
    item = dynamodb.get_item(TableName=one, Key={"id": s("a")})["Item"]
    assert item["list"] == {"L": [n(1)]}


def test_an_item_that_is_named_twice_is_as_it_was(dynamodb: Any, tables: tuple[str, str]) -> None:
    one, _ = tables
    with pytest.raises(ClientError, match="ValidationException"):
        dynamodb.transact_write_items(
            TransactItems=[put(one, id=s("a"), x=n(1)), put(one, id=s("a"), x=n(2))]
        )
    item = dynamodb.get_item(TableName=one, Key={"id": s("a")})["Item"]
    assert item == {"id": s("a"), "list": {"L": [n(1)]}}


def test_a_transaction_that_is_done_is_there(dynamodb: Any, tables: tuple[str, str]) -> None:
    one, two = tables
    dynamodb.transact_write_items(
        TransactItems=[
            put(one, id=s("b")),
            update(two, "SET x = :v", {":v": n(2)}, id=s("a"), at=s("1")),
        ]
    )
    assert len(dynamodb.scan(TableName=one)["Items"]) == 2
    assert dynamodb.scan(TableName=two)["Items"] == [{"id": s("a"), "at": s("1"), "x": n(2)}]


def test_no_table_is_copied(
    dynamodb: Any, tables: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(table: Table, memo: Any) -> Table:
        raise AssertionError(f"{table.name} is copied")

    monkeypatch.setattr(Table, "__deepcopy__", refuse, raising=False)
    dynamodb.transact_write_items(TransactItems=[put(tables[0], id=s("b"))])


@pytest.mark.parametrize(
    "action",
    [
        {"Put": {"TableName": "no-such-table", "Item": {"id": s("a")}}},
        {"Delete": {"TableName": "no-such-table", "Key": {"id": s("a")}}},
    ],
)
def test_a_table_that_is_not_there_cancels_it(
    dynamodb: Any, tables: tuple[str, str], action: Action
) -> None:
    one, _ = tables
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(TransactItems=[put(one, id=s("b")), action])
    assert len(dynamodb.scan(TableName=one)["Items"]) == 1

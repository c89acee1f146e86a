"""Conditions, updates, batches and transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.backends import Backend
from tests.conformance.tables import create_table, error_code, index, n, s

Unique = Callable[[str], str]

ITEM: dict[str, Any] = {
    "id": s("a"),
    "count": n(5),
    "price": n("1.5"),
    "name": s("Ada Lovelace"),
    "tags": {"SS": ["x", "y"]},
    "flag": {"BOOL": True},
    "nothing": {"NULL": True},
    "blob": {"B": b"\x00\xff"},
    "list": {"L": [n(1), s("two"), {"M": {"deep": s("value")}}]},
    "map": {"M": {"inner": {"M": {"leaf": n(1)}}, "list": {"L": [n(1), n(2)]}}},
}


@pytest.fixture
def table(dynamodb: Any, unique: Unique) -> str:
    """A table with one item of every type."""
    return table_with_item(dynamodb, unique)


def table_with_item(dynamodb: Any, unique: Unique) -> str:
    """A table with `ITEM`."""
    name = create_table(dynamodb, unique("items"), "id")
    dynamodb.put_item(TableName=name, Item=ITEM)
    return name


def test_an_item_comes_back_as_it_was_written(dynamodb: Any, table: str) -> None:
    item = dynamodb.get_item(TableName=table, Key={"id": s("a")}, ConsistentRead=True)["Item"]
    assert {**item, "tags": {"SS": sorted(item["tags"]["SS"])}} == ITEM
    assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": s("b")})


CONDITIONS = [
    ("attribute_exists(#a)", {"#a": "count"}, {}, True),
    ("attribute_exists(#a)", {"#a": "other"}, {}, False),
    ("attribute_not_exists(#a.#b)", {"#a": "map", "#b": "other"}, {}, True),
    ("#a = :v", {"#a": "count"}, {":v": n("5.0")}, True),
    ("#a = :v", {"#a": "count"}, {":v": s("5")}, False),
    ("#a <> :v", {"#a": "name"}, {":v": s("Bob")}, True),
    ("#a < :v", {"#a": "count"}, {":v": n(10)}, True),
    ("#a <= :v AND #a >= :v", {"#a": "price"}, {":v": n("1.50")}, True),
    ("#a BETWEEN :l AND :h", {"#a": "count"}, {":l": n(5), ":h": n(6)}, True),
    ("#a IN (:l, :h)", {"#a": "count"}, {":l": n(4), ":h": n(6)}, False),
    ("NOT #a = :v", {"#a": "count"}, {":v": n(6)}, True),
    ("#a = :v OR #b = :v", {"#a": "count", "#b": "price"}, {":v": n("1.5")}, True),
    (
        "(#a = :v OR #a = :w) AND #b = :w",
        {"#a": "count", "#b": "price"},
        {":v": n(5), ":w": n(6)},
        False,
    ),
    (
        "#a = :v OR #a = :w AND #b = :w",
        {"#a": "count", "#b": "price"},
        {":v": n(5), ":w": n(6)},
        True,
    ),
    ("attribute_type(#a, :t)", {"#a": "map"}, {":t": s("M")}, True),
    ("attribute_type(#a, :t)", {"#a": "nothing"}, {":t": s("S")}, False),
    ("begins_with(#a, :p)", {"#a": "name"}, {":p": s("Ada")}, True),
    ("begins_with(#a, :p)", {"#a": "name"}, {":p": s("da")}, False),
    ("contains(#a, :p)", {"#a": "name"}, {":p": s("Love")}, True),
    ("contains(#a, :p)", {"#a": "tags"}, {":p": s("y")}, True),
    ("contains(#a, :p)", {"#a": "tags"}, {":p": s("z")}, False),
    ("contains(#a, :p)", {"#a": "list"}, {":p": s("two")}, True),
    ("size(#a) = :n", {"#a": "name"}, {":n": n(12)}, True),
    ("size(#a) = :n", {"#a": "blob"}, {":n": n(2)}, True),
    ("size(#a) > :n", {"#a": "list"}, {":n": n(3)}, False),
    ("#a[2].deep = :v", {"#a": "list"}, {":v": s("value")}, True),
    ("#a.#b.leaf = :v", {"#a": "map", "#b": "inner"}, {":v": n(1)}, True),
    ("#a[7] = :v", {"#a": "list"}, {":v": n(1)}, False),
    ("#a = #b", {"#a": "count", "#b": "count"}, {}, True),
    ("#a = :v", {"#a": "tags"}, {":v": {"SS": ["y", "x"]}}, True),
    ("#a = :v", {"#a": "flag"}, {":v": {"BOOL": True}}, True),
]


@pytest.mark.parametrize(("text", "names", "values", "holds"), CONDITIONS)
def test_a_condition_decides_a_write(
    dynamodb: Any, table: str, text: str, names: dict[str, str], values: Any, holds: bool
) -> None:
    request = {
        "TableName": table,
        "Key": {"id": s("a")},
        "ConditionExpression": text,
        "ExpressionAttributeNames": names,
    }
    if values:
        request["ExpressionAttributeValues"] = values
    if holds:
        dynamodb.delete_item(**request)
        assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": s("a")})
    else:
        with pytest.raises(ClientError) as error:
            dynamodb.delete_item(**request)
        assert error_code(error) == "ConditionalCheckFailedException"
        assert "Item" in dynamodb.get_item(TableName=table, Key={"id": s("a")})


def test_a_condition_on_nothing_sees_an_empty_item(dynamodb: Any, table: str) -> None:
    dynamodb.put_item(
        TableName=table, Item={"id": s("b")}, ConditionExpression="attribute_not_exists(id)"
    )
    with pytest.raises(ClientError) as error:
        dynamodb.put_item(
            TableName=table, Item={"id": s("b")}, ConditionExpression="attribute_not_exists(id)"
        )
    assert error_code(error) == "ConditionalCheckFailedException"


def test_a_failed_condition_returns_the_item_if_asked(dynamodb: Any, table: str) -> None:
    with pytest.raises(ClientError) as error:
        dynamodb.update_item(
            TableName=table,
            Key={"id": s("a")},
            UpdateExpression="SET #c = :z",
            ConditionExpression="#c = :z",
            ExpressionAttributeNames={"#c": "count"},
            ExpressionAttributeValues={":z": n(0)},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert error.value.response["Item"]["count"] == n(5)


UPDATES = [
    ("SET #a = :v", {"#a": "count"}, {":v": s("new")}, {"count": s("new")}),
    ("SET #a = #a + :v", {"#a": "count"}, {":v": n("0.5")}, {"count": n("5.5")}),
    ("SET #a = #a - :v", {"#a": "count"}, {":v": n(7)}, {"count": n(-2)}),
    ("SET #a = if_not_exists(#a, :v)", {"#a": "count"}, {":v": n(0)}, {"count": n(5)}),
    ("SET #a = if_not_exists(#a, :v) + :v", {"#a": "other"}, {":v": n(2)}, {"other": n(4)}),
    (
        "SET #a = list_append(#a, :v)",
        {"#a": "list"},
        {":v": {"L": [n(9)]}},
        {"list": {"L": [*ITEM["list"]["L"], n(9)]}},
    ),
    (
        "SET #a = list_append(:v, if_not_exists(#a, :e))",
        {"#a": "other"},
        {":v": {"L": [n(9)]}, ":e": {"L": []}},
        {"other": {"L": [n(9)]}},
    ),
    (
        "SET #a.#b.leaf = :v, #a.#l[1] = :v",
        {"#a": "map", "#b": "inner", "#l": "list"},
        {":v": s("x")},
        {"map": {"M": {"inner": {"M": {"leaf": s("x")}}, "list": {"L": [n(1), s("x")]}}}},
    ),
    (
        "SET #a[9] = :v",
        {"#a": "list"},
        {":v": s("end")},
        {"list": {"L": [*ITEM["list"]["L"], s("end")]}},
    ),
    ("REMOVE #a", {"#a": "count"}, {}, {"count": None}),
    ("REMOVE #a[0], #a[1]", {"#a": "list"}, {}, {"list": {"L": [ITEM["list"]["L"][2]]}}),
    (
        "REMOVE #a.#b",
        {"#a": "map", "#b": "inner"},
        {},
        {"map": {"M": {"list": {"L": [n(1), n(2)]}}}},
    ),
    ("REMOVE #a", {"#a": "other"}, {}, {}),
    ("ADD #a :v", {"#a": "count"}, {":v": n(-1)}, {"count": n(4)}),
    ("ADD #a :v", {"#a": "other"}, {":v": n(3)}, {"other": n(3)}),
    ("ADD #a :v", {"#a": "other"}, {":v": {"NS": ["3"]}}, {"other": {"NS": ["3"]}}),
    ("DELETE #a :v", {"#a": "tags"}, {":v": {"SS": ["x", "z"]}}, {"tags": {"SS": ["y"]}}),
    ("DELETE #a :v", {"#a": "tags"}, {":v": {"SS": ["x", "y"]}}, {"tags": None}),
    (
        "SET #a = :v REMOVE #b ADD #c :v",
        {"#a": "new", "#b": "name", "#c": "count"},
        {":v": n(1)},
        {"new": n(1), "name": None, "count": n(6)},
    ),
    (
        "SET #a = #b, #b = #a",
        {"#a": "count", "#b": "price"},
        {},
        {"count": n("1.5"), "price": n(5)},
    ),
]


@pytest.mark.parametrize(("text", "names", "values", "changes"), UPDATES)
def test_an_update_changes_what_it_names(
    dynamodb: Any, table: str, text: str, names: Any, values: Any, changes: dict[str, Any]
) -> None:
    bound = {"ExpressionAttributeValues": values} if values else {}
    answer = dynamodb.update_item(
        TableName=table,
        Key={"id": s("a")},
        UpdateExpression=text,
        ExpressionAttributeNames=names,
        ReturnValues="ALL_NEW",
        **bound,
    )
    expected = {k: v for k, v in {**ITEM, **changes}.items() if v is not None}
    after = answer["Attributes"]
    for item in (after, expected):
        if "tags" in item:
            item["tags"] = {"SS": sorted(item["tags"]["SS"])}
    assert after == expected


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("SET #a.b.c = :v", {"#a": "other"}, {":v": n(1)}),
        ("SET #a = #b", {"#a": "count", "#b": "other"}, {}),
        ("SET #a = #a + :v", {"#a": "name"}, {":v": n(1)}),
        ("ADD #a :v", {"#a": "name"}, {":v": n(1)}),
        ("SET #a = :v", {"#a": "id"}, {":v": s("b")}),
        ("SET #a = :v, #a = :w", {"#a": "count"}, {":v": n(1), ":w": n(2)}),
        ("SET #a = ", {"#a": "count"}, {}),
        ("SET #a = :missing", {"#a": "count"}, {}),
        ("SET #a = :v SET #b = :v", {"#a": "x", "#b": "y"}, {":v": n(1)}),
    ],
)
def test_an_update_that_does_not_fit_changes_nothing(
    dynamodb: Any, table: str, text: str, names: Any, values: Any
) -> None:
    more = {"ExpressionAttributeNames": names} if names else {}
    more |= {"ExpressionAttributeValues": values} if values else {}
    with pytest.raises(ClientError) as error:
        dynamodb.update_item(TableName=table, Key={"id": s("a")}, UpdateExpression=text, **more)
    assert error_code(error) == "ValidationException"
    after = dynamodb.get_item(TableName=table, Key={"id": s("a")})["Item"]
    assert after["count"] == n(5)


def test_an_update_of_nothing_makes_an_item(dynamodb: Any, table: str) -> None:
    dynamodb.update_item(
        TableName=table,
        Key={"id": s("b")},
        UpdateExpression="ADD hits :one",
        ExpressionAttributeValues={":one": n(1)},
    )
    item = dynamodb.get_item(TableName=table, Key={"id": s("b")})["Item"]
    assert item == {"id": s("b"), "hits": n(1)}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("NONE", None),
        ("UPDATED_OLD", {"count": n(5)}),
        ("UPDATED_NEW", {"count": n(6)}),
    ],
)
def test_an_update_returns_what_is_asked_for(
    dynamodb: Any, table: str, wanted: str, expected: Any
) -> None:
    answer = dynamodb.update_item(
        TableName=table,
        Key={"id": s("a")},
        UpdateExpression="ADD #c :one",
        ExpressionAttributeNames={"#c": "count"},
        ExpressionAttributeValues={":one": n(1)},
        ReturnValues=wanted,
    )
    assert answer.get("Attributes") == expected


def test_put_and_delete_return_what_was_there(dynamodb: Any, table: str) -> None:
    first = dynamodb.put_item(TableName=table, Item={"id": s("b")}, ReturnValues="ALL_OLD")
    second = dynamodb.put_item(
        TableName=table, Item={"id": s("b"), "x": n(1)}, ReturnValues="ALL_OLD"
    )
    gone = dynamodb.delete_item(TableName=table, Key={"id": s("b")}, ReturnValues="ALL_OLD")
    again = dynamodb.delete_item(TableName=table, Key={"id": s("b")}, ReturnValues="ALL_OLD")
    assert "Attributes" not in first
    assert second["Attributes"] == {"id": s("b")}
    assert gone["Attributes"] == {"id": s("b"), "x": n(1)}
    assert "Attributes" not in again


@pytest.mark.parametrize(
    "item",
    [
        {"x": n(1)},
        {"id": n(1)},
        {"id": s("")},
        {"id": s("b"), "x": s("")},
        {"id": s("b"), "y": s("y" * 410_000)},
        {"id": s("b"), "y": n("one")},
    ],
    ids=["no key", "another type", "empty key", "empty index key", "too large", "no number"],
)
def test_an_item_that_cannot_be_stored_is_refused(dynamodb: Any, unique: Unique, item: Any) -> None:
    table = create_table(dynamodb, unique("typed"), "id", indexes=(index("by-x", "x"),))
    with pytest.raises(ClientError) as error:
        dynamodb.put_item(TableName=table, Item=item)
    assert error_code(error) == "ValidationException"


@pytest.mark.parametrize(
    "item",
    [
        {"id": s("b"), "x": n(1)},
        {"id": s("b"), "y": n("1" * 39)},
        {"id": s("b"), "y": n("1E126")},
    ],
    ids=["index key of another type", "39 digits", "too great"],
)
def test_what_cannot_be_stored_beyond_moto(standins: Backend, unique: Unique, item: Any) -> None:
    # Moto stores values that cannot be an index's key, and any number.
    dynamodb = standins.dynamodb
    table = create_table(dynamodb, unique("typed"), "id", indexes=(index("by-x", "x"),))
    with pytest.raises(ClientError) as error:
        dynamodb.put_item(TableName=table, Item=item)
    assert error_code(error) == "ValidationException"
    assert dynamodb.scan(TableName=table)["Count"] == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("#c < :text", "ConditionalCheckFailedException"),
        ("#missing = :text", "ValidationException"),
        ("#c = ", "ValidationException"),
        ("attribute_exists(:text)", "ValidationException"),
        ("unheard_of(#c, :text)", "ValidationException"),
    ],
)
def test_conditions_beyond_moto(standins: Backend, unique: Unique, text: str, code: str) -> None:
    # Moto fails on these itself (500).
    dynamodb = standins.dynamodb
    names = {"#c": "count"} if "#c" in text else {}
    values = {":text": s("9")} if ":text" in text else {}
    with pytest.raises(ClientError) as error:
        dynamodb.delete_item(
            TableName=table_with_item(dynamodb, unique),
            Key={"id": s("a")},
            ConditionExpression=text,
            **({"ExpressionAttributeNames": names} if names else {}),
            **({"ExpressionAttributeValues": values} if values else {}),
        )
    assert error_code(error) == code


def test_batches_write_and_read(dynamodb: Any, table: str) -> None:
    puts = [{"PutRequest": {"Item": {"id": s(f"b{i}"), "x": n(i)}}} for i in range(10)]
    written = dynamodb.batch_write_item(
        RequestItems={table: [*puts, {"DeleteRequest": {"Key": {"id": s("a")}}}]}
    )
    keys = [{"id": s(f"b{i}")} for i in range(12)] + [{"id": s("a")}]
    read = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    assert not written["UnprocessedItems"]
    assert not read["UnprocessedKeys"]
    assert sorted(int(item["x"]["N"]) for item in read["Responses"][table]) == list(range(10))


@pytest.mark.parametrize("count", [101, 0])
def test_a_batch_of_too_many_keys_is_refused(dynamodb: Any, table: str, count: int) -> None:
    keys = [{"id": s(str(number))} for number in range(count or 1)] * (1 if count else 2)
    with pytest.raises(ClientError) as error:
        dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
    assert error_code(error) == "ValidationException"


def put(table: str, key: str, **more: Any) -> dict[str, Any]:
    """A Put of a transaction, of an item that must not be there."""
    item = {"id": s(key), **more}
    condition = "attribute_not_exists(id)"
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": condition}}


def test_a_transaction_does_all_of_it(dynamodb: Any, table: str) -> None:
    dynamodb.put_item(TableName=table, Item={"id": s("gone")})
    dynamodb.transact_write_items(
        TransactItems=[
            put(table, "b"),
            {
                "Update": {
                    "TableName": table,
                    "Key": {"id": s("a")},
                    "UpdateExpression": "ADD #c :one",
                    "ConditionExpression": "#c = :five",
                    "ExpressionAttributeNames": {"#c": "count"},
                    "ExpressionAttributeValues": {":one": n(1), ":five": n(5)},
                }
            },
            {"Delete": {"TableName": table, "Key": {"id": s("gone")}}},
            {
                "ConditionCheck": {
                    "TableName": table,
                    "Key": {"id": s("c")},
                    "ConditionExpression": "attribute_not_exists(id)",
                }
            },
        ]
    )
    items = {item["id"]["S"]: item for item in dynamodb.scan(TableName=table)["Items"]}
    assert items.keys() == {"a", "b"}
    assert items["a"]["count"] == n(6)


def test_a_transaction_with_one_failed_condition_does_nothing(dynamodb: Any, table: str) -> None:
    with pytest.raises(ClientError) as error:
        dynamodb.transact_write_items(TransactItems=[put(table, "b"), put(table, "a")])
    assert error_code(error) == "TransactionCanceledException"
    codes = [reason["Code"] for reason in error.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": s("b")})


def test_a_transaction_names_an_item_once(dynamodb: Any, table: str) -> None:
    with pytest.raises(ClientError) as error:
        dynamodb.transact_write_items(TransactItems=[put(table, "b"), put(table, "b")])
    assert error_code(error) == "ValidationException"


def test_a_transaction_with_its_token_is_done_once(standins: Backend, unique: Unique) -> None:
    # Moto does the actions again.
    dynamodb = standins.dynamodb
    table = table_with_item(dynamodb, unique)
    request = {"TransactItems": [put(table, "b")], "ClientRequestToken": unique("token")}
    dynamodb.transact_write_items(**request)
    dynamodb.transact_write_items(**request)
    with pytest.raises(ClientError) as error:
        dynamodb.transact_write_items(**{**request, "TransactItems": [put(table, "c")]})
    assert error_code(error) == "IdempotentParameterMismatchException"


def test_an_action_that_does_not_fit_its_item_is_a_reason(
    standins: Backend, unique: Unique
) -> None:
    # Moto answers with a ValidationException for the whole request.
    dynamodb = standins.dynamodb
    table = table_with_item(dynamodb, unique)
    update = {
        "TableName": table,
        "Key": {"id": s("a")},
        "UpdateExpression": "SET #n = #n + :one",
        "ExpressionAttributeNames": {"#n": "name"},
        "ExpressionAttributeValues": {":one": n(1)},
    }
    with pytest.raises(ClientError) as error:
        dynamodb.transact_write_items(TransactItems=[put(table, "b"), {"Update": update}])
    codes = [reason["Code"] for reason in error.value.response["CancellationReasons"]]
    assert codes == ["None", "ValidationError"]


def test_several_items_are_read_at_once(dynamodb: Any, table: str) -> None:
    gets = [{"Get": {"TableName": table, "Key": {"id": s(key)}}} for key in ("a", "b")]
    first, second = dynamodb.transact_get_items(TransactItems=gets)["Responses"]
    assert first["Item"]["count"] == n(5)
    assert "Item" not in second

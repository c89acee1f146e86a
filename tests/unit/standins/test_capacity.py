"""What the stand-in says that writes and reads cost, by the rules that DynamoDB documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.dynamodb.capacity import read_units, write_units
from benchmarks.standins.reading import Request
from tests.conformance.tables import index, key_schema, n, s


class Client:
    """Calls without HTTP, on a table with an index of keys and one of everything."""

    def __init__(self) -> None:
        self._handler = DynamoDb()
        for name in ("Webhooks", "Attempts"):
            self(
                "CreateTable",
                TableName=name,
                KeySchema=key_schema("id"),
                AttributeDefinitions=[
                    {"AttributeName": one, "AttributeType": "S"}
                    for one in ("id", "dueAt", "merchant")
                ],
                GlobalSecondaryIndexes=[
                    index("due", "dueAt", projection="KEYS_ONLY"),
                    index("merchant", "merchant"),
                ],
            )

    def __call__(self, operation: str, **request: Any) -> Any:
        body = memoryview(json.dumps(request).encode())
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
        answer = self._handler.handle(Request("POST", "/", headers, body))
        document = json.loads(b"".join(answer.parts))
        assert answer.status == 200, document
        return document

    def cost(self, operation: str, **request: Any) -> dict[str, float]:
        """Units of the table (`own`), of each index, and all together."""
        request |= {"TableName": "Webhooks", "ReturnConsumedCapacity": "INDEXES"}
        return units(self(operation, **request)["ConsumedCapacity"])

    def update(self, text: str, **values: Any) -> dict[str, float]:
        bound = {f":{name}": value for name, value in values.items()}
        more = {"ExpressionAttributeValues": bound} if bound else {}
        return self.cost("UpdateItem", Key={"id": s("a")}, UpdateExpression=text, **more)


def units(consumed: Any) -> dict[str, float]:
    indexes = consumed.get("GlobalSecondaryIndexes", {})
    return {
        "all": consumed["CapacityUnits"],
        "own": consumed["Table"]["CapacityUnits"],
        **{name: each["CapacityUnits"] for name, each in indexes.items()},
    }


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.mark.parametrize(("size", "expected"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (4096, 4)])
def test_a_write_costs_a_unit_per_kilobyte(size: int, expected: int) -> None:
    assert write_units(size) == expected


@pytest.mark.parametrize(
    ("size", "consistent", "expected"),
    [(0, True, 1), (4096, True, 1), (4097, True, 2), (0, False, 0.5), (4097, False, 1)],
)
def test_a_read_costs_a_unit_per_four_kilobytes(
    size: int, consistent: bool, expected: float
) -> None:
    assert read_units(size, consistent=consistent) == expected


def test_a_put_pays_for_each_index_that_it_enters(client: Client) -> None:
    big = s("x" * 1500)
    assert client.cost("PutItem", Item={"id": s("a"), "pad": big}) == {"all": 2, "own": 2}
    item = {"id": s("b"), "pad": big, "dueAt": s("10"), "merchant": s("m")}
    assert client.cost("PutItem", Item=item) == {"all": 5, "own": 2, "due": 1, "merchant": 2}


def test_an_index_key_that_changes_is_deleted_and_put(client: Client) -> None:
    client("PutItem", TableName="Webhooks", Item={"id": s("a"), "dueAt": s("10")})
    assert client.update("SET dueAt = :at", at=s("11")) == {"all": 3, "own": 1, "due": 2}


def test_what_an_index_does_not_hold_costs_it_nothing(client: Client) -> None:
    item = {"id": s("a"), "dueAt": s("10"), "merchant": s("m")}
    client("PutItem", TableName="Webhooks", Item=item)
    assert client.update("SET note = :n", n=n(1)) == {"all": 2, "own": 1, "merchant": 1}
    assert client.update("SET note = :n", n=n(1)) == {"all": 1, "own": 1}


def test_an_entry_that_leaves_its_index_is_deleted(client: Client) -> None:
    item = {"id": s("a"), "dueAt": s("10"), "merchant": s("m"), "pad": s("x" * 1500)}
    client("PutItem", TableName="Webhooks", Item=item)
    assert client.update("REMOVE dueAt, merchant") == {"all": 5, "own": 2, "due": 1, "merchant": 2}
    assert client.update("REMOVE dueAt, merchant") == {"all": 2, "own": 2}


def test_a_write_pays_for_the_larger_of_before_and_after(client: Client) -> None:
    item = {"id": s("a"), "merchant": s("m"), "pad": s("x" * 3000)}
    client("PutItem", TableName="Webhooks", Item=item)
    assert client.update("REMOVE pad") == {"all": 6, "own": 3, "merchant": 3}


def test_a_transaction_pays_twice_for_its_items_and_once_for_their_indexes(client: Client) -> None:
    put = {"TableName": "Webhooks", "Item": {"id": s("a"), "dueAt": s("10")}}
    attempt = {"TableName": "Attempts", "Item": {"id": s("a"), "pad": s("x" * 1500)}}
    check = {
        "TableName": "Attempts",
        "Key": {"id": s("none")},
        "ConditionExpression": "attribute_not_exists(id)",
    }
    answer = client(
        "TransactWriteItems",
        TransactItems=[{"Put": put}, {"Put": attempt}, {"ConditionCheck": check}],
        ReturnConsumedCapacity="INDEXES",
    )
    costs = {each["TableName"]: units(each) for each in answer["ConsumedCapacity"]}
    assert costs == {
        "Webhooks": {"all": 3, "own": 2, "due": 1},
        "Attempts": {"all": 6, "own": 6},
    }


def test_batches_tell_the_units_of_each_table(client: Client) -> None:
    put = {"PutRequest": {"Item": {"id": s("a"), "dueAt": s("10")}}}
    answer = client(
        "BatchWriteItem",
        RequestItems={"Webhooks": [put], "Attempts": [put]},
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["ConsumedCapacity"] == [
        {"TableName": "Webhooks", "CapacityUnits": 2.0},
        {"TableName": "Attempts", "CapacityUnits": 2.0},
    ]


def test_what_was_not_asked_for_is_not_told(client: Client) -> None:
    put = {"TableName": "Webhooks", "Item": {"id": s("a")}}
    assert client("TransactWriteItems", TransactItems=[{"Put": put}]) == {}
    assert client("PutItem", **put) == {}

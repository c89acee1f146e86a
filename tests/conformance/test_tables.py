"""Operations on tables themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.tables import create_table, error_code, index, s

Unique = Callable[[str], str]


@pytest.fixture
def table(dynamodb: Any, unique: Unique) -> str:
    """A table with an index."""
    keys_only = index("by-time", "shard", "at", projection="KEYS_ONLY")
    return create_table(dynamodb, unique("declared"), "id", indexes=(keys_only,))


def test_a_description_says_what_was_declared(dynamodb: Any, table: str) -> None:
    dynamodb.put_item(TableName=table, Item={"id": s("a")})
    described = dynamodb.describe_table(TableName=table)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert {d["AttributeName"] for d in described["AttributeDefinitions"]} == {"id", "shard", "at"}
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert described["ItemCount"] == 1
    (found,) = described["GlobalSecondaryIndexes"]
    assert (found["IndexName"], found["IndexStatus"]) == ("by-time", "ACTIVE")
    assert found["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_a_table_is_listed_until_it_is_deleted(dynamodb: Any, table: str) -> None:
    names = dynamodb.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 3})
    assert table in [name for page in names for name in page["TableNames"]]
    dynamodb.delete_table(TableName=table)
    with pytest.raises(ClientError) as error:
        dynamodb.describe_table(TableName=table)
    assert error_code(error) == "ResourceNotFoundException"


def test_a_name_is_taken_once(dynamodb: Any, table: str) -> None:
    with pytest.raises(ClientError) as error:
        create_table(dynamodb, table, "id")
    assert error_code(error) == "ResourceInUseException"


def test_there_is_nothing_to_read_without_a_table(dynamodb: Any) -> None:
    with pytest.raises(ClientError) as error:
        dynamodb.get_item(TableName="nowhere", Key={"id": s("a")})
    assert error_code(error) == "ResourceNotFoundException"


def test_every_key_is_declared(dynamodb: Any, unique: Unique) -> None:
    with pytest.raises(ClientError) as error:
        dynamodb.create_table(
            TableName=unique("undeclared"),
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "other", "AttributeType": "S"}],
        )
    assert error_code(error) == "ValidationException"


def ttl(dynamodb: Any, table: str, enabled: bool) -> None:
    """Switch the time to live."""
    specification = {"AttributeName": "expiresAt", "Enabled": enabled}
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=specification)


def test_time_to_live_is_on_and_off(dynamodb: Any, table: str) -> None:
    def described() -> Any:
        return dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]

    assert described()["TimeToLiveStatus"] == "DISABLED"
    ttl(dynamodb, table, enabled=True)
    assert described() == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}
    ttl(dynamodb, table, enabled=False)
    assert described()["TimeToLiveStatus"] == "DISABLED"


def test_an_index_is_dropped(dynamodb: Any, table: str) -> None:
    dynamodb.update_table(
        TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-time"}}]
    )
    assert not dynamodb.describe_table(TableName=table)["Table"].get("GlobalSecondaryIndexes")

"""Operations on tables themselves."""

from __future__ import annotations

from typing import Any

from benchmarks.standins.dynamodb.errors import InvalidRequest, NotFound
from benchmarks.standins.dynamodb.table import Table
from benchmarks.standins.dynamodb.tables import Tables

_MOST_NAMES = 100


def create_table(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`CreateTable`; the table is there at once."""
    return {"TableDescription": tables.create(request).describe()}


def describe_table(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`DescribeTable`."""
    return {"Table": tables.describe(request.get("TableName"))}


def list_tables(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`ListTables`."""
    start = str(request.get("ExclusiveStartTableName", ""))
    limit = int(request.get("Limit", _MOST_NAMES))
    names = [name for name in tables.names() if name > start]
    answer: dict[str, Any] = {"TableNames": names[:limit]}
    if len(names) > limit:
        answer["LastEvaluatedTableName"] = names[limit - 1]
    return answer


def delete_table(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`DeleteTable`."""
    table = tables.delete(request.get("TableName"))
    return {"TableDescription": {**table.describe(), "TableStatus": "DELETING"}}


def update_table(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`UpdateTable`: one index created or deleted, or another billing mode."""
    table = tables.table(request.get("TableName"))
    for change in request.get("GlobalSecondaryIndexUpdates", ()):
        for kind, index in change.items():
            _change_index(table, kind, index, request.get("AttributeDefinitions"))
    table.billing = str(request.get("BillingMode", table.billing))
    table.throughput = dict(request.get("ProvisionedThroughput") or table.throughput)
    return {"TableDescription": table.describe()}


def _change_index(table: Table, kind: str, index: dict[str, Any], definitions: Any) -> None:
    if kind == "Create":
        table.add_index(index, definitions)
    elif kind == "Delete":
        name = str(index["IndexName"])
        if name not in table.indexes:
            raise NotFound(f"Requested resource not found: Index: {name} not found")
        table.drop_index(name)
    else:
        raise InvalidRequest(f"the stand-in cannot {kind} an index")


def update_time_to_live(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`UpdateTimeToLive`; nothing is ever deleted because of it."""
    table = tables.table(request.get("TableName"))
    specification = request.get("TimeToLiveSpecification") or {}
    attribute, enabled = str(specification["AttributeName"]), bool(specification["Enabled"])
    if enabled and table.ttl_attribute is not None:
        raise InvalidRequest("TimeToLive is already enabled")
    if not enabled and table.ttl_attribute is None:
        raise InvalidRequest("TimeToLive is already disabled")
    table.ttl_attribute = attribute if enabled else None
    return {"TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": enabled}}


def describe_time_to_live(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`DescribeTimeToLive`."""
    attribute = tables.table(request.get("TableName")).ttl_attribute
    if attribute is None:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}}

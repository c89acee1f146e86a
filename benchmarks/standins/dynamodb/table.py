"""One table: its items and indexes, and how a write changes all of them at once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.standins.dynamodb.capacity import write_units
from benchmarks.standins.dynamodb.errors import InvalidChange, InvalidRequest
from benchmarks.standins.dynamodb.index import Entry, Index, Record
from benchmarks.standins.dynamodb.schema import IndexSchema, KeySchema, PrimaryKey, attribute_types
from benchmarks.standins.dynamodb.values import LARGEST_ITEM, Item

REGION = "us-east-1"
_ACCOUNT = "123456789012"
_NO_THROUGHPUT = {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0}


@dataclass(frozen=True, slots=True)
class Written:
    """What a write costs by itself: units of the table, and of each index that it changes."""

    table: int
    indexes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Revision:
    """A record that fits its table, and its place in each of the indexes."""

    record: Record
    entries: Mapping[str, Entry | None]


class Table:
    """A table. Whoever uses it holds the lock of `Tables`."""

    def __init__(self, request: Mapping[str, Any], created_at: float) -> None:
        self.name = str(request["TableName"])
        self.types = attribute_types(request["AttributeDefinitions"])
        self.key = KeySchema.from_request(request["KeySchema"], self.types)
        self.primary = Index(self.key, None)
        self.indexes: dict[str, Index] = {}
        for index in request.get("GlobalSecondaryIndexes", ()):
            self._add(IndexSchema.from_request(index, self.types))
        if request.get("LocalSecondaryIndexes"):
            raise InvalidRequest("the stand-in has no local secondary indexes")
        self._refuse_unused_types()
        self.billing = str(request.get("BillingMode", "PROVISIONED"))
        self.throughput = dict(request.get("ProvisionedThroughput") or {})
        self.ttl_attribute: str | None = None
        self._created_at = created_at
        self._id = str(uuid.uuid4())
        self._bytes = 0

    def get(self, key: PrimaryKey) -> Record | None:
        """The record at a key."""
        return self.primary.records.get(key)

    def checked(self, item: Item, key: PrimaryKey) -> Revision:
        """What an item makes.

        Raises:
            InvalidRequest: it is too large, or it does not fit an index.
        """
        record = Record(item)
        if record.size > LARGEST_ITEM:
            raise InvalidChange("Item size has exceeded the maximum allowed size")
        return Revision(record, {name: i.entry(item, key) for name, i in self.indexes.items()})

    def replace(self, key: PrimaryKey, after: Revision | None) -> Written:
        """Put what was `checked` at a key, or nothing."""
        before = self.get(key)
        record, entries = (None, {}) if after is None else (after.record, after.entries)
        indexes = {}
        for name, index in self.indexes.items():
            if cost := index.replace(key, record, entries.get(name)):
                indexes[name] = cost
        self.primary.replace(key, record, None if record is None else (*key, key))
        old, new = 0 if before is None else before.size, 0 if record is None else record.size
        self._bytes += new - old
        return Written(write_units(max(old, new)), indexes)

    def add_index(self, request: Mapping[str, Any], definitions: Any) -> None:
        """A new index, filled at once; items whose values cannot be its key stay out of it."""
        types = {**self.types, **attribute_types(definitions or ())}
        schema = IndexSchema.from_request(request, types)
        if schema.name in self.indexes:
            raise InvalidRequest(f"Attempting to create an index which already exists: {schema}")
        self.types = types
        index = self._add(schema)
        for key, record in self.primary.records.items():
            try:
                index.replace(key, record, index.entry(record.item, key))
            except InvalidChange:
                continue

    def drop_index(self, name: str) -> None:
        """Forget an index, and the types that only it needed."""
        del self.indexes[name]
        used = {n for key in self._keys() for n in key.names}
        self.types = {name: kind for name, kind in self.types.items() if name in used}

    def describe(self) -> dict[str, Any]:
        """As `DescribeTable` has it."""
        description: dict[str, Any] = {
            "TableName": self.name,
            "TableStatus": "ACTIVE",
            "TableId": self._id,
            "TableArn": self._arn,
            "CreationDateTime": self._created_at,
            "KeySchema": self.key.to_request(),
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, kind in self.types.items()
            ],
            "ItemCount": len(self.primary.records),
            "TableSizeBytes": self._bytes,
            "ProvisionedThroughput": {**_NO_THROUGHPUT, **self.throughput},
            "DeletionProtectionEnabled": False,
        }
        if self.billing == "PAY_PER_REQUEST":
            description["BillingModeSummary"] = {"BillingMode": self.billing}
        if self.indexes:
            description["GlobalSecondaryIndexes"] = [
                self._describe_index(index) for index in self.indexes.values()
            ]
        return description

    @property
    def _arn(self) -> str:
        return f"arn:aws:dynamodb:{REGION}:{_ACCOUNT}:table/{self.name}"

    def _describe_index(self, index: Index) -> dict[str, Any]:
        schema = index.schema
        if schema is None:
            raise TypeError("the table itself is not one of its indexes")
        return {
            "IndexName": schema.name,
            "IndexStatus": "ACTIVE",
            "IndexArn": f"{self._arn}/index/{schema.name}",
            "KeySchema": schema.key.to_request(),
            "Projection": dict(schema.projection),
            "ItemCount": len(index.records),
            "IndexSizeBytes": sum(record.size for record in index.records.values()),
            "ProvisionedThroughput": {**_NO_THROUGHPUT, **self.throughput},
        }

    def _add(self, schema: IndexSchema) -> Index:
        index = self.indexes[schema.name] = Index(self.key, schema)
        return index

    def _keys(self) -> list[KeySchema]:
        return [self.key, *(index.key for index in self.indexes.values())]

    def _refuse_unused_types(self) -> None:
        used = {name for key in self._keys() for name in key.names}
        if used != set(self.types):
            raise InvalidRequest(
                "One or more parameter values were invalid: Number of attributes in KeySchema does"
                " not exactly match number of attributes defined in AttributeDefinitions"
            )

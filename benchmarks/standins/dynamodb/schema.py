"""What a table is declared to be: its keys and its indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.standins.dynamodb.errors import InvalidChange, InvalidRequest
from benchmarks.standins.dynamodb.values import Item, SortValue, kind_of, sort_value

_LONGEST_PARTITION_KEY = 2048
_LONGEST_SORT_KEY = 1024
_KEY_TYPES = frozenset({"S", "N", "B"})

PrimaryKey = tuple[SortValue, SortValue]
NO_SORT_KEY = b""
"""Stands for the sort key where there is none."""


@dataclass(frozen=True)
class KeySchema:
    """The attributes of a key, and the types that are declared for them."""

    partition: str
    sort: str | None
    types: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """One attribute, or two."""
        return (self.partition,) if self.sort is None else (self.partition, self.sort)

    @classmethod
    def from_request(cls, elements: Any, types: Mapping[str, str]) -> KeySchema:
        """From `KeySchema` and the types of `AttributeDefinitions`.

        Raises:
            InvalidRequest: it is not a key, or an attribute has no type.
        """
        names = {element["KeyType"]: str(element["AttributeName"]) for element in elements}
        if "HASH" not in names or len(names) != len(elements):
            raise InvalidRequest("Invalid KeySchema: one HASH and at most one RANGE are needed")
        for name in names.values():
            if name not in types:
                raise InvalidRequest(
                    "One or more parameter values were invalid: Some index key attributes are not"
                    f" defined in AttributeDefinitions. Keys: [{name}]"
                )
        chosen = {name: types[name] for name in names.values()}
        return cls(names["HASH"], names.get("RANGE"), chosen)

    def to_request(self) -> list[dict[str, str]]:
        """As `KeySchema` has it."""
        kinds = ("HASH", "RANGE")
        return [
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(self.names, kinds, strict=False)
        ]

    def of_key(self, key: Item) -> PrimaryKey:
        """The place of a request's `Key`, which must be the key's attributes and no others."""
        if set(key) != set(self.names):
            raise InvalidRequest("The provided key element does not match the schema")
        return self.of_item(key)

    def of_item(self, item: Item) -> PrimaryKey:
        """The place of an item.

        Raises:
            InvalidRequest: a part of the key is missing, empty or of another type.
        """
        for name in self.names:
            value = item.get(name)
            if value is None:
                raise InvalidRequest(
                    f"One or more parameter values were invalid: Missing the key {name} in the item"
                )
            if kind_of(value) != self.types[name]:
                raise InvalidRequest(
                    f"One or more parameter values were invalid: Type mismatch for key {name}"
                    f" expected: {self.types[name]} actual: {kind_of(value)}"
                )
            if not value[kind_of(value)]:
                raise InvalidRequest(
                    "One or more parameter values are not valid. The AttributeValue for a key"
                    f" attribute cannot contain an empty string value. Key: {name}"
                )
        return self._checked_lengths(self._place(item))

    def of_indexed(self, item: Item, index: str) -> PrimaryKey | None:
        """The place of an item in an index; None if it has none there (the index is sparse).

        Raises:
            InvalidChange: the item has the attribute, and it cannot be a key.
        """
        for name in self.names:
            value = item.get(name)
            if value is None:
                return None
            if kind_of(value) != self.types[name]:
                raise InvalidChange(
                    "One or more parameter values were invalid: Type mismatch for Index Key"
                    f" {name} Expected: {self.types[name]} Actual: {kind_of(value)} IndexName:"
                    f" {index}"
                )
            if not value[kind_of(value)]:
                raise InvalidChange(
                    "One or more parameter values are not valid. A value specified for a secondary"
                    " index key is not supported. The AttributeValue for a key attribute cannot"
                    f" contain an empty string value. IndexName: {index}, IndexKey: {name}"
                )
        return self._checked_lengths(self._place(item))

    def _place(self, item: Item) -> PrimaryKey:
        sort = NO_SORT_KEY if self.sort is None else sort_value(item[self.sort])
        return sort_value(item[self.partition]), sort

    def _checked_lengths(self, place: PrimaryKey) -> PrimaryKey:
        for value, most in zip(place, (_LONGEST_PARTITION_KEY, _LONGEST_SORT_KEY), strict=True):
            if isinstance(value, bytes) and len(value) > most:
                raise InvalidRequest(
                    "One or more parameter values were invalid: Size of a key exceeds the limit of"
                    f" {most} bytes"
                )
        return place


@dataclass(frozen=True)
class IndexSchema:
    """A global secondary index: its key and the attributes that it holds."""

    name: str
    key: KeySchema
    projection: Mapping[str, Any]

    @classmethod
    def from_request(cls, index: Any, types: Mapping[str, str]) -> IndexSchema:
        """From a member of `GlobalSecondaryIndexes`."""
        projection = index.get("Projection") or {}
        if projection.get("ProjectionType") not in {"ALL", "KEYS_ONLY", "INCLUDE"}:
            raise InvalidRequest(f"Unknown ProjectionType: {projection.get('ProjectionType')}")
        key = KeySchema.from_request(index["KeySchema"], types)
        return cls(str(index["IndexName"]), key, projection)

    @property
    def holds_all(self) -> bool:
        """Whether it holds whole items."""
        return bool(self.projection["ProjectionType"] == "ALL")

    def attributes(self, table: KeySchema) -> frozenset[str]:
        """The attributes that it holds if it does not hold all."""
        included = self.projection.get("NonKeyAttributes", ())
        return frozenset({*table.names, *self.key.names, *included})


def attribute_types(definitions: Any) -> dict[str, str]:
    """The types of `AttributeDefinitions` by name."""
    types = {str(entry["AttributeName"]): str(entry["AttributeType"]) for entry in definitions}
    if not _KEY_TYPES.issuperset(types.values()):
        raise InvalidRequest(f"a key's type is S, N or B, not {sorted(types.values())}")
    return types

"""One DynamoDB table: typed calls, expressions built from names and values.

Conditions are written as DynamoDB has them, with `#name` for an attribute and `:name` for a
value: `table.update(id, set={"status": "done"}, condition="#claim = :token", values={...})`.
Attribute names are always passed by reference, because many (`status`, `error`) are reserved words.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from botocore.exceptions import ClientError

from remit.aws.expressions import bound, bound_values, names, projected, update_shape
from remit.aws.items import Item, decode_item, encode, encode_item, encode_pairs
from remit.aws.session import store_errors
from remit.errors import (
    AlreadyExists,
    ConditionFailed,
    RecordRefused,
    StoreUnavailable,
)

_BATCH_GET_LIMIT = 100  # keys in one BatchGetItem
_BATCH_GET_ROUNDS = 8  # so many in a row without a single key: with the waits, about six seconds
_PAGE_TRIES = 3
_FIRST_WAIT_SECONDS = 0.05

Pair = tuple[str, str]

K = TypeVar("K", str, Pair)
"""The key of a record: one text, or a pair of them in a table that has a sort key."""


class Table(Generic[K]):
    """A table whose key is one text attribute (`id`, unless said otherwise), or two."""

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        key: str = "id",
        sort: str | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.client = client
        self.name = name
        self.key = key
        self.sort = sort
        self._wait = wait or threading.Event().wait

    def get(self, key: K, *, consistent: bool = True) -> Item | None:
        """The record, or None. Strongly consistent unless told otherwise."""
        with store_errors(f"read {self.name}"):
            answer = self.client.get_item(
                TableName=self.name, Key=self.key_values(key), ConsistentRead=consistent
            )
        item = answer.get("Item")
        return None if item is None else decode_item(item)

    def get_many(self, keys: Iterable[K], attributes: Sequence[str] = ()) -> dict[K, Item]:
        """The records that exist, by key; with `attributes`, no more than those of them.

        Reads in batches. Keys that an answer leaves unprocessed (throttling, or more than 16 MB)
        are asked for again, after a wait that doubles as long as no key at all is processed.

        Raises:
            StoreUnavailable: DynamoDB processes nothing any more.
        """
        wanted = list(dict.fromkeys(keys))
        found: dict[K, Item] = {}
        fruitless = 0
        while wanted:
            batch, wanted = wanted[:_BATCH_GET_LIMIT], wanted[_BATCH_GET_LIMIT:]
            items, left = self._get_batch(batch, attributes)
            found |= {self.key_of(item): item for item in items}
            wanted += left
            fruitless = fruitless + 1 if len(left) == len(batch) else 0
            if fruitless == _BATCH_GET_ROUNDS:
                raise StoreUnavailable(
                    f"could not read {self.name}: {len(wanted)} keys stay unprocessed"
                )
            if left:
                self._wait(_FIRST_WAIT_SECONDS * 2 ** max(fruitless - 1, 0))
        return found

    def _get_batch(
        self, keys: Sequence[K], attributes: Sequence[str]
    ) -> tuple[list[Item], list[K]]:
        """The records of one request, and the keys that it left unprocessed."""
        request: dict[str, Any] = {
            "Keys": [self.key_values(key) for key in keys],
            "ConsistentRead": True,
        }
        if attributes:
            request |= projected((*self.key_values(keys[0]), *attributes))
        with store_errors(f"read {self.name}"):
            answer = self.client.batch_get_item(RequestItems={self.name: request})
        left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
        return (
            [decode_item(item) for item in answer["Responses"].get(self.name, [])],
            [self.key_of(decode_item(key)) for key in left],
        )

    def create(self, item: Mapping[str, Any]) -> None:
        """Write a new record.

        Raises:
            AlreadyExists: the key is taken.
        """
        with store_errors(f"write {self.name}"):
            try:
                self.client.put_item(
                    TableName=self.name,
                    Item=encode_item(item),
                    ConditionExpression="attribute_not_exists(#key)",
                    ExpressionAttributeNames={"#key": self.key},
                )
            except ClientError as error:
                if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                    raise AlreadyExists(f"{self.name} {self.key_of(item)}") from None
                raise

    def put(self, item: Mapping[str, Any]) -> None:
        """Write a record, whatever was there before."""
        with store_errors(f"write {self.name}"):
            self.client.put_item(TableName=self.name, Item=encode_item(item))

    def update(self, key: K, **change: Any) -> Item:
        """Change one record and return all of it; see `update_action` for the arguments.

        Raises:
            ConditionFailed: the condition does not hold, or there is no such record.
            RecordRefused: DynamoDB does not take this change of this record.
        """
        with store_errors(f"update {self.name}"):
            try:
                answer = self.client.update_item(
                    **self.update_action(key, **change), ReturnValues="ALL_NEW"
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "ConditionalCheckFailedException":
                    raise ConditionFailed(f"{self.name} {key} is in another state") from None
                if code == "ValidationException":
                    raise RecordRefused(f"{self.name} {key}: {error}") from error
                raise
        return decode_item(answer["Attributes"])

    def update_action(
        self,
        key: K,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's word
        remove: Iterable[str] = (),
        add: Mapping[str, int | frozenset[int] | frozenset[str]] | None = None,
        delete: Mapping[str, frozenset[int] | frozenset[str]] | None = None,
        condition: str,
        values: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """An update as `UpdateItem` and `TransactWriteItems` take it.

        Every update is conditional: at the least `attribute_exists(#id)`, so that none creates a
        record by accident. A dotted name in `set` is a path into a map that the record has already:
        `{"progress.3": ...}` sets the entry `3` of `progress` and leaves its others alone. `remove`
        takes attributes away, `delete` takes members out of sets.
        """
        sets: Mapping[str, Any] = set or {}
        adds: Mapping[str, Any] = add or {}
        deletes: Mapping[str, Any] = delete or {}
        shape = update_shape(tuple(sets), tuple(adds), tuple(deletes), tuple(remove), condition)
        changes = (*sets.values(), *adds.values(), *deletes.values())
        encoded = encode_pairs(zip(shape.changed, changes, strict=True))
        for placeholder, name in shape.compared:
            encoded[placeholder] = encode((values or {})[name])
        action: dict[str, Any] = {
            "TableName": self.name,
            "Key": self.key_values(key),
            "UpdateExpression": shape.expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": shape.names,
        }
        if encoded:  # DynamoDB refuses an empty map
            action["ExpressionAttributeValues"] = encoded
        return action

    def create_action(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """A conditional create as `TransactWriteItems` takes it."""
        return {
            "TableName": self.name,
            "Item": encode_item(item),
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": self.key},
        }

    def delete_action(
        self, key: K, *, condition: str, values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A conditional delete as `TransactWriteItems` takes it."""
        return {
            "TableName": self.name,
            "Key": self.key_values(key),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names(condition),
            **bound(bound_values(values, condition)),
        }

    def query(
        self,
        key_condition: str,
        values: Mapping[str, Any],
        *,
        index: str | None = None,
        filter: str | None = None,  # noqa: A002 - DynamoDB's word
        limit: int | None = None,
        page: int | None = None,
        descending: bool = False,
    ) -> Iterator[Item]:
        """Every matching record, page by page, in the order of the range key; at most `limit`. A
        page is read when its first record is asked for, and has up to `page` of them.

        Strongly consistent, unless it is of an index, which has no such reads.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": key_condition,
            "ExpressionAttributeNames": names(key_condition, filter or ""),
            "ScanIndexForward": not descending,
            **bound(bound_values(values, key_condition, filter or "")),
        }
        if index:
            request["IndexName"] = index
        else:
            request["ConsistentRead"] = True
        if filter:
            request["FilterExpression"] = filter
        if limit is not None and not filter:
            request["Limit"] = limit
        if page is not None:
            request["Limit"] = page
        return self._pages("query", request, limit)

    def query_page(
        self,
        key_condition: str,
        values: Mapping[str, Any],
        *,
        limit: int,
        start: Mapping[str, Any] | None,
        index: str | None = None,
        filter: str | None = None,  # noqa: A002 - DynamoDB's word
        descending: bool = False,
    ) -> tuple[list[Item], Item | None]:
        """One page of the table or of an index: those of `limit` records that the filter lets
        through, and the key that the next page starts after; None: there is no more."""
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": key_condition,
            "ExpressionAttributeNames": names(key_condition, filter or ""),
            "ScanIndexForward": not descending,
            "Limit": limit,
            **bound(bound_values(values, key_condition, filter or "")),
        }
        if index is not None:
            request["IndexName"] = index
        else:
            request["ConsistentRead"] = True
        if filter is not None:
            request["FilterExpression"] = filter
        if start is not None:
            request["ExclusiveStartKey"] = encode_item(start)
        answer = self._page("query", request)
        last = answer.get("LastEvaluatedKey")
        return [decode_item(item) for item in answer["Items"]], last and decode_item(last)

    def count(
        self,
        key_condition: str,
        values: Mapping[str, Any],
        *,
        most: int,
        index: str | None = None,
    ) -> int:
        """How many records match, counted to `most` at the most: no more are read, or billed."""
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": key_condition,
            "ExpressionAttributeNames": names(key_condition),
            **bound(bound_values(values, key_condition)),
            "Select": "COUNT",
        }
        if index:
            request["IndexName"] = index
        counted = 0
        while counted < most:
            answer = self._page("query", {**request, "Limit": most - counted})
            counted += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return counted

    def scan(
        self,
        filter: str,  # noqa: A002 - DynamoDB's word
        values: Mapping[str, Any],
        *,
        attributes: Iterable[str],
    ) -> Iterator[Item]:
        """Every record that the filter lets through, with only the named attributes."""
        projection = ", ".join(f"#{name}" for name in attributes)
        request = {
            "TableName": self.name,
            "FilterExpression": filter,
            "ProjectionExpression": projection,
            "ExpressionAttributeNames": names(filter, projection),
            **bound(bound_values(values, filter)),
        }
        return self._pages("scan", request, None)

    def _pages(self, operation: str, request: dict[str, Any], limit: int | None) -> Iterator[Item]:
        count = 0
        while True:
            answer = self._page(operation, request)
            for item in answer["Items"]:
                yield decode_item(item)
                count += 1
                if count == limit:
                    return
            if "LastEvaluatedKey" not in answer:
                return
            request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _page(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """One page. botocore takes a body that is no JSON for an answer without members: it is
        asked for again."""
        for _ in range(_PAGE_TRIES):
            with store_errors(f"{operation} {self.name}"):
                answer: dict[str, Any] = getattr(self.client, operation)(**request)
            if "Count" in answer:
                return answer
        raise StoreUnavailable(f"could not {operation} {self.name}: an answer is no page")

    def key_of(self, item: Mapping[str, Any]) -> K:
        """The key of a record."""
        key = item[self.key] if self.sort is None else (item[self.key], item[self.sort])
        return cast("K", key)

    def key_values(self, key: K) -> dict[str, Any]:
        """A key as requests have it."""
        if isinstance(key, str):
            return {self.key: {"S": key}}
        first, second = key
        return {self.key: {"S": first}, cast("str", self.sort): {"S": second}}

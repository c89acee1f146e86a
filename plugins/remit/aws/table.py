"""One DynamoDB table: typed calls, expressions built from names and values.

Conditions are written as DynamoDB has them, with `#name` for an attribute and `:name` for a
value: `table.update(id, set={"status": "done"}, condition="#claim = :token", values={...})`.
Attribute names are always passed by reference, because many (`status`, `error`) are reserved words.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

from botocore.exceptions import ClientError

from remit.aws.items import Item, decode_item, encode, encode_item
from remit.aws.session import store_errors
from remit.errors import (
    AlreadyExists,
    ConditionFailed,
    RecordRefused,
    RemitError,
    StoreUnavailable,
)

_NAME = re.compile(r"#(\w+)")
_VALUE = re.compile(r":(\w+)")
_BATCH_GET_LIMIT = 100  # keys in one BatchGetItem
_BATCH_GET_ROUNDS = 8  # so many in a row without a single key: with the waits, about six seconds
_PAGE_TRIES = 3
_FIRST_WAIT_SECONDS = 0.05
TRANSACTION_LIMIT = 100  # actions in one TransactWriteItems
_CONFLICT_TRIES = 5  # of a transaction that meets other writes: they are over in milliseconds
FAILED_CONDITION = "ConditionalCheckFailed"
"""The reason of an action whose condition does not hold, in a canceled transaction."""

TRANSIENT_REASONS = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)


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
            request |= _projected((*self.key_values(keys[0]), *attributes))
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
        shape = _update_shape(tuple(sets), tuple(adds), tuple(deletes), tuple(remove), condition)
        changes = (*sets.values(), *adds.values(), *deletes.values())
        bound = encode_item(dict(zip(shape.changed, changes, strict=True)))
        for name in shape.compared:
            bound[f":{name}"] = encode((values or {})[name])
        return {
            "TableName": self.name,
            "Key": self.key_values(key),
            "UpdateExpression": shape.expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": dict(shape.names),
            **_bound(bound),
        }

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
            "ExpressionAttributeNames": _names(condition),
            **_bound(_values(values, condition)),
        }

    def query(
        self,
        key_condition: str,
        values: Mapping[str, Any],
        *,
        index: str | None = None,
        filter: str | None = None,  # noqa: A002 - DynamoDB's word
        limit: int | None = None,
        descending: bool = False,
    ) -> Iterator[Item]:
        """Every matching record, page by page, in the order of the range key; at most `limit`.

        Strongly consistent, unless it is of an index, which has no such reads.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": key_condition,
            "ExpressionAttributeNames": _names(key_condition, filter or ""),
            "ScanIndexForward": not descending,
            **_bound(_values(values, key_condition, filter or "")),
        }
        if index:
            request["IndexName"] = index
        else:
            request["ConsistentRead"] = True
        if filter:
            request["FilterExpression"] = filter
        if limit is not None and not filter:
            request["Limit"] = limit
        return self._pages("query", request, limit)

    def query_page(
        self,
        key_condition: str,
        values: Mapping[str, Any],
        *,
        index: str,
        filter: str,  # noqa: A002 - DynamoDB's word
        limit: int,
        start: Mapping[str, Any] | None,
    ) -> tuple[list[Item], Item | None]:
        """One page of an index: those of `limit` records that the filter lets through, and the key
        that the next page starts after; None: there is no more."""
        request: dict[str, Any] = {
            "TableName": self.name,
            "IndexName": index,
            "KeyConditionExpression": key_condition,
            "FilterExpression": filter,
            "ExpressionAttributeNames": _names(key_condition, filter),
            "Limit": limit,
            **_bound(_values(values, key_condition, filter)),
        }
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
            "ExpressionAttributeNames": _names(key_condition),
            **_bound(_values(values, key_condition)),
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
            "ExpressionAttributeNames": _names(filter, projection),
            **_bound(_values(values, filter)),
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
        parts = (key,) if isinstance(key, str) else key
        names = (self.key,) if self.sort is None else (self.key, self.sort)
        return {name: {"S": part} for name, part in zip(names, parts, strict=True)}


@dataclass(frozen=True)
class _UpdateShape:
    """An update without its values: its expression, the attributes' names, and the names of the
    values that change the record and of those that the condition compares."""

    expression: str
    names: Mapping[str, str]
    changed: tuple[str, ...]
    compared: frozenset[str]


@lru_cache(maxsize=256)  # the shapes are few: what differs from call to call is values
def _update_shape(
    sets: tuple[str, ...],
    adds: tuple[str, ...],
    deletes: tuple[str, ...],
    removes: tuple[str, ...],
    condition: str,
) -> _UpdateShape:
    clauses = []
    if sets:
        clauses.append("SET " + ", ".join(f"{_path(n)} = :set_{_flat(n)}" for n in sets))
    if adds:
        clauses.append("ADD " + ", ".join(f"#{name} :add_{name}" for name in adds))
    if deletes:
        clauses.append("DELETE " + ", ".join(f"#{name} :delete_{name}" for name in deletes))
    if removes:
        clauses.append("REMOVE " + ", ".join(f"#{name}" for name in removes))
    expression = " ".join(clauses)
    return _UpdateShape(
        expression,
        _names(expression, condition),
        (
            *(f":set_{_flat(name)}" for name in sets),
            *(f":add_{name}" for name in adds),
            *(f":delete_{name}" for name in deletes),
        ),
        frozenset(_VALUE.findall(condition)),
    )


def _path(name: str) -> str:
    return ".".join(f"#{part}" for part in name.split("."))


def _flat(name: str) -> str:
    """A path as a part of a value's name, which has no dots."""
    return name.replace(".", "__")


def _names(*expressions: str) -> dict[str, str]:
    return {f"#{name}": name for text in expressions for name in _NAME.findall(text)}


def _values(values: Mapping[str, Any] | None, *expressions: str) -> dict[str, Any]:
    used = {name for text in expressions for name in _VALUE.findall(text)}
    return {f":{name}": encode((values or {})[name]) for name in used}


def _projected(names: Iterable[str]) -> dict[str, Any]:
    """What lets an answer have no more than these attributes."""
    projection = ", ".join(f"#{name}" for name in names)
    return {"ProjectionExpression": projection, "ExpressionAttributeNames": _names(projection)}


def _bound(values: dict[str, Any]) -> dict[str, Any]:
    """The values as a request names them; DynamoDB refuses an empty map of them."""
    return {"ExpressionAttributeValues": values} if values else {}


class TransactionCanceled(RemitError):
    """A transaction did not happen. `reasons` has one code per action, `None` for innocent ones."""

    def __init__(self, reasons: list[str | None]) -> None:
        super().__init__(f"transaction canceled: {reasons}")
        self.reasons = reasons


def transact(client: Any, actions: Sequence[Mapping[str, Any]]) -> None:
    """Do all actions or none; each is `{"Put": …}` or `{"Update": …}` from a table's `…_action`.

    One that meets another write of one of its records, a heartbeat for example, is tried again.

    Raises:
        TransactionCanceled: the condition of an action does not hold.
    """
    if len(actions) > TRANSACTION_LIMIT:
        raise ValueError(f"{len(actions)} actions: DynamoDB takes {TRANSACTION_LIMIT}")
    with store_errors("write a transaction"):
        for left in reversed(range(_CONFLICT_TRIES)):
            try:
                client.transact_write_items(TransactItems=list(actions))
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionCanceledException":
                    raise
                reasons = _reasons(error)
                if left and set(reasons) - {None} == {"TransactionConflict"}:
                    continue
                raise _canceled(reasons) from error
            return


def _reasons(error: ClientError) -> list[str | None]:
    codes = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
    return [None if code in {None, "None"} else str(code) for code in codes]


def _canceled(reasons: list[str | None]) -> RemitError:
    if reasons and all(reason in TRANSIENT_REASONS for reason in reasons if reason):
        return StoreUnavailable(f"could not write a transaction: {reasons}")
    return TransactionCanceled(reasons)

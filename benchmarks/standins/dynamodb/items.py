"""Operations on items, one by one and in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.standins.dynamodb.capacity import consumption, read_units
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.expressions import Expressions
from benchmarks.standins.dynamodb.index import Record
from benchmarks.standins.dynamodb.paths import projected
from benchmarks.standins.dynamodb.table import Table, Written
from benchmarks.standins.dynamodb.tables import Tables
from benchmarks.standins.dynamodb.values import checked_item
from benchmarks.standins.dynamodb.writes import (
    Action,
    Plan,
    checked_return_values,
    delete_action,
    put_action,
    returned,
    update_action,
)

_MOST_KEYS = 100
_MOST_WRITES = 25
_LARGEST_BATCH = 16 * 1024**2
_OLD = frozenset({"NONE", "ALL_OLD"})
_ALL = _OLD | {"ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"}


def get_item(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`GetItem`."""
    table = tables.table(request.get("TableName"))
    record = table.get(table.key.of_key(checked_item(request.get("Key"))))
    answer: dict[str, Any] = {}
    expressions = Expressions(request)
    if record is not None:
        answer["Item"] = _wanted(record, expressions)
    size = 0 if record is None else record.size
    units = read_units(size, consistent=bool(request.get("ConsistentRead")))
    return _with_consumption(answer, consumption(request, table.name, units))


def put_item(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`PutItem`."""
    return _write(request, put_action(tables, request), _OLD)


def delete_item(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`DeleteItem`."""
    return _write(request, delete_action(tables, request), _OLD)


def update_item(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`UpdateItem`."""
    return _write(request, update_action(tables, request), _ALL)


def batch_get_item(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`BatchGetItem`: up to 100 keys and 16 MB; what is beyond stays unprocessed."""
    wanted = request.get("RequestItems") or {}
    if not 0 < sum(len(part["Keys"]) for part in wanted.values()) <= _MOST_KEYS:
        raise InvalidRequest("Too many items requested for the BatchGetItem call")
    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, Any] = {}
    consumed: list[Any] = []
    total = 0
    for name, part in wanted.items():
        table, expressions = tables.table(name), Expressions(part)
        consistent = bool(part.get("ConsistentRead"))
        found = responses.setdefault(name, [])
        units = 0.0
        for key, record in _looked_up(table, part["Keys"]):
            size = 0 if record is None else record.size
            if total + size > _LARGEST_BATCH:
                unprocessed.setdefault(name, {**part, "Keys": []})["Keys"].append(key)
                continue
            total += size
            units += read_units(size, consistent=consistent)
            if record is not None:
                found.append(_wanted(record, expressions))
        consumed.append(consumption(request, name, units))
    answer = {"Responses": responses, "UnprocessedKeys": unprocessed}
    return _with_consumption(answer, [each for each in consumed if each])


def batch_write_item(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`BatchWriteItem`: up to 25 puts and deletes; all are processed."""
    wanted = request.get("RequestItems") or {}
    actions = [_batched(tables, name, part) for name, parts in wanted.items() for part in parts]
    if not 0 < len(actions) <= _MOST_WRITES:
        raise InvalidRequest("Too many items requested for the BatchWriteItem call")
    if len({(action.table.name, action.key) for action in actions}) < len(actions):
        raise InvalidRequest("Provided list of item keys contains duplicates")
    plans = [action.plan() for action in actions]
    written = [(plan.table.name, plan.do()) for plan in plans]
    return _with_consumption({"UnprocessedItems": {}}, _spent(request, written))


def transact_get_items(tables: Tables, request: dict[str, Any]) -> dict[str, Any]:
    """`TransactGetItems`: up to 100 items, all of the same moment."""
    gets = [part["Get"] for part in request.get("TransactItems") or ()]
    if not 0 < len(gets) <= _MOST_KEYS:
        raise InvalidRequest("TransactItems: 1 to 100 are needed")
    return {"Responses": [get_item(tables, get) for get in gets]}


def transaction_answer(
    request: Mapping[str, Any], done: Iterable[tuple[Plan, Written]]
) -> dict[str, Any]:
    """The answer to `TransactWriteItems`; each write costs twice what it costs by itself. Indexes
    follow afterwards, as they follow any write, and for the same."""
    twice = ((plan.table.name, Written(2 * one.table, one.indexes)) for plan, one in done)
    return _with_consumption({}, _spent(request, twice))


_BATCHED: dict[str, Callable[[Tables, Mapping[str, Any]], Action]] = {
    "PutRequest": put_action,
    "DeleteRequest": delete_action,
}


def _batched(tables: Tables, name: str, part: Mapping[str, Any]) -> Action:
    ((kind, write),) = part.items()
    if kind not in _BATCHED:
        raise InvalidRequest(f"{kind} is not a write of a batch")
    return _BATCHED[kind](tables, {**write, "TableName": name})


def _looked_up(table: Table, keys: Any) -> list[tuple[Any, Record | None]]:
    places = [table.key.of_key(checked_item(key)) for key in keys]
    if len(set(places)) < len(places):
        raise InvalidRequest("Provided list of item keys contains duplicates")
    return [(key, table.get(place)) for key, place in zip(keys, places, strict=True)]


def _write(request: dict[str, Any], action: Action, allowed: frozenset[str]) -> dict[str, Any]:
    wanted = checked_return_values(request, allowed)
    plan = action.plan()
    written = plan.do()
    answer: dict[str, Any] = {}
    attributes = returned(plan, wanted)
    if attributes is not None:
        answer["Attributes"] = attributes
    consumed = consumption(request, action.table.name, written.table, written.indexes)
    return _with_consumption(answer, consumed)


def _spent(request: Mapping[str, Any], written: Iterable[tuple[str, Written]]) -> list[Any]:
    """`ConsumedCapacity` of writes to several tables, if it was asked for."""
    if request.get("ReturnConsumedCapacity", "NONE") == "NONE":
        return []
    own: Counter[str] = Counter()
    indexes: dict[str, Counter[str]] = {}
    for table, one in written:
        own[table] += one.table
        indexes.setdefault(table, Counter()).update(one.indexes)
    return [consumption(request, table, own[table], indexes[table]) for table in own]


def _wanted(record: Record, expressions: Expressions) -> Any:
    if expressions.projection is None:
        return record.json
    return projected(record.item, expressions.projection.tree)


def _with_consumption(answer: dict[str, Any], consumed: Any) -> dict[str, Any]:
    return {**answer, "ConsumedCapacity": consumed} if consumed else answer

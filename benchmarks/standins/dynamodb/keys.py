"""What a key condition and a start key mean: a partition, and a range within it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.standins.dynamodb.conditions import Values
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.index import BEYOND, Entry, Index
from benchmarks.standins.dynamodb.schema import KeySchema
from benchmarks.standins.dynamodb.syntax import (
    And,
    Between,
    Bound,
    Call,
    Comparison,
    Condition,
    Operand,
    Path,
)
from benchmarks.standins.dynamodb.values import (
    SortValue,
    checked_item,
    kind_of,
    sort_value,
)

_WHOLE: tuple[tuple[Any, ...], tuple[Any, ...]] = ((), (BEYOND,))


@dataclass(frozen=True)
class KeyRange:
    """A partition and two bounds, as `Index.between` takes them."""

    partition: SortValue
    first: tuple[Any, ...]
    last: tuple[Any, ...]


def key_range(condition: Condition, key: KeySchema, values: Values) -> KeyRange:
    """The range that a key condition selects.

    Raises:
        InvalidRequest: it is not one: the partition's equality, and at most one range.
    """
    partition: SortValue | None = None
    bounds = None
    for part in _conjuncts(condition):
        name = _name(part)
        if name == key.partition and isinstance(part, Comparison) and part.operator == "=":
            if partition is not None:
                raise _one_per_key()
            partition = _bound_value(part.right, name, key, values)
        elif name == key.sort and name is not None:
            if bounds is not None:
                raise _one_per_key()
            bounds = _bounds(part, name, key, values)
        elif name in key.names:
            raise InvalidRequest("Query key condition not supported")
        else:
            raise InvalidRequest(f"Query condition missed key schema element: {key.partition}")
    if partition is None:
        raise InvalidRequest(f"Query condition missed key schema element: {key.partition}")
    return KeyRange(partition, *(bounds or _WHOLE))


def _one_per_key() -> InvalidRequest:
    return InvalidRequest("KeyConditionExpressions must only contain one condition per key")


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition


def _name(part: Condition) -> str | None:
    """The attribute that a part of a key condition is about."""
    match part:
        case Comparison(_, Path((str(name),)), _) | Between(Path((str(name),)), _, _):
            return name
        case Call("begins_with", (Path((str(name),)), _)):
            return name
    raise InvalidRequest("Query key condition not supported")


def _bound_value(operand: Operand, name: str, key: KeySchema, values: Values) -> SortValue:
    if not isinstance(operand, Bound):
        raise InvalidRequest("Query key condition not supported")
    value = values[operand.name]
    if kind_of(value) != key.types[name]:
        raise InvalidRequest(
            "One or more parameter values were invalid: Condition parameter type does not match"
            " schema type"
        )
    if not value[kind_of(value)]:
        raise InvalidRequest(
            "One or more parameter values are not valid. The AttributeValue for a key attribute"
            f" cannot contain an empty string value. Key: {name}"
        )
    return sort_value(value)


def _bounds(
    part: Condition, name: str, key: KeySchema, values: Values
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    match part:
        case Comparison(operator, _, right) if operator != "<>":
            value = _bound_value(right, name, key, values)
            before, behind = (value,), (value, BEYOND)
            return {
                "=": (before, behind),
                "<": ((), before),
                "<=": ((), behind),
                ">": (behind, (BEYOND,)),
                ">=": (before, (BEYOND,)),
            }[operator]
        case Between(_, low, high):
            first, last = (_bound_value(end, name, key, values) for end in (low, high))
            if isinstance(first, bytes) != isinstance(last, bytes) or first > last:  # type: ignore[operator]
                raise InvalidRequest(
                    "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to"
                    " be greater than or equal to lower bound"
                )
            return (first,), (last, BEYOND)
        case Call(_, (_, prefix)):
            beginning = _bound_value(prefix, name, key, values)
            if not isinstance(beginning, bytes):
                raise InvalidRequest("begins_with needs a string or binary key")
            return (beginning,), _behind_prefix(beginning)
    raise InvalidRequest("Query key condition not supported")


def _behind_prefix(prefix: bytes) -> tuple[Any, ...]:
    """A bound behind everything that begins with the prefix."""
    stem = prefix.rstrip(b"\xff")
    return (stem[:-1] + bytes([stem[-1] + 1]),) if stem else (BEYOND,)


def start_entry(start: Any, index: Index, table_key: KeySchema) -> Entry | None:
    """The place that `ExclusiveStartKey` names.

    Raises:
        InvalidRequest: it is not made of the keys of the table and the index.
    """
    if not start:
        return None
    key = checked_item(start)
    if set(key) != {*table_key.names, *index.key.names}:
        raise InvalidRequest("The provided starting key is invalid")
    primary = table_key.of_item(key)
    return index.entry(key, primary)


def refuse_outside(selected: KeyRange, after: Entry | None) -> None:
    """A query goes on only within what it selects.

    Raises:
        InvalidRequest: the start key is elsewhere.
    """
    if after is None:
        return
    low = (selected.partition, *selected.first)
    high = (selected.partition, *selected.last)
    if after[0] != selected.partition or after < low or not after < high:
        raise InvalidRequest(
            "The provided starting key is outside query boundaries based on provided conditions"
        )

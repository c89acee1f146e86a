"""Whether a condition holds for an item.

What is not there compares with nothing: every comparison with it is false.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.paths import look_up
from benchmarks.standins.dynamodb.syntax import (
    And,
    Between,
    Bound,
    Call,
    Comparison,
    Condition,
    In,
    Not,
    Operand,
    Or,
    Path,
)
from benchmarks.standins.dynamodb.values import (
    SETS,
    AttributeValue,
    Item,
    kind_of,
    same,
    sort_value,
    value_size,
)

Values = Mapping[str, AttributeValue]

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDERED = frozenset({"S", "N", "B"})
_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"})


def holds(condition: Condition, item: Item, values: Values) -> bool:
    """Whether the condition holds for the item (an empty one if there is none)."""
    match condition:
        case And(left, right):
            return holds(left, item, values) and holds(right, item, values)
        case Or(left, right):
            return holds(left, item, values) or holds(right, item, values)
        case Not(inner):
            return not holds(inner, item, values)
        case Comparison(sign, left, right):
            return _compare(sign, _value(left, item, values), _value(right, item, values))
        case Between(value, low, high):
            found = _value(value, item, values)
            return _compare(">=", found, _value(low, item, values)) and _compare(
                "<=", found, _value(high, item, values)
            )
        case In(value, options):
            found = _value(value, item, values)
            return any(_compare("=", found, _value(o, item, values)) for o in options)
        case Call(name, arguments):
            return _CALLS[name](*(_value(argument, item, values) for argument in arguments))


def _value(operand: Operand, item: Item, values: Values) -> AttributeValue | None:
    if isinstance(operand, Bound):
        return values[operand.name]
    if isinstance(operand, Path):
        return look_up(item, operand)
    found = look_up(item, operand.path)
    size = None if found is None else _size(found)
    return None if size is None else {"N": str(size)}


def _size(value: AttributeValue) -> int | None:
    """What `size` says: characters of text, bytes of binary, members of the rest; else nothing."""
    kind = kind_of(value)
    if kind == "S":
        return len(value["S"])
    if kind == "B":
        return value_size(value)
    return len(value[kind]) if kind in SETS | {"L", "M"} else None


def _compare(sign: str, left: AttributeValue | None, right: AttributeValue | None) -> bool:
    if left is None or right is None:
        return sign == "<>" and left is not right
    if sign == "=":
        return same(left, right)
    if sign == "<>":
        return not same(left, right)
    if kind_of(left) != kind_of(right) or kind_of(left) not in _ORDERED:
        return False
    return _ORDERS[sign](sort_value(left), sort_value(right))


def _exists(value: AttributeValue | None) -> bool:
    return value is not None


def _not_exists(value: AttributeValue | None) -> bool:
    return value is None


def _has_type(value: AttributeValue | None, kind: AttributeValue | None) -> bool:
    if kind is None or kind.get("S") not in _TYPES:
        raise InvalidRequest(
            "Invalid ConditionExpression: Invalid attribute type name found; type:"
            f" {(kind or {}).get('S')}, valid types: {{{','.join(sorted(_TYPES))}}}"
        )
    return value is not None and kind_of(value) == kind["S"]


def _begins_with(value: AttributeValue | None, prefix: AttributeValue | None) -> bool:
    if prefix is None or value is None or kind_of(value) != kind_of(prefix):
        return False
    if kind_of(prefix) not in {"S", "B"}:
        raise InvalidRequest(
            "Invalid ConditionExpression: Incorrect operand type for operator or function;"
            f" operator or function: begins_with, operand type: {kind_of(prefix)}"
        )
    whole, beginning = sort_value(value), sort_value(prefix)
    return isinstance(whole, bytes) and isinstance(beginning, bytes) and whole.startswith(beginning)


def _contains(value: AttributeValue | None, member: AttributeValue | None) -> bool:
    if value is None or member is None:
        return False
    kind = kind_of(value)
    if kind in SETS:
        return kind_of(member) == kind[0] and member[kind[0]] in value[kind]
    if kind == "L":
        return any(same(element, member) for element in value["L"])
    if kind != kind_of(member) or kind not in {"S", "B"}:
        return False
    whole, part = sort_value(value), sort_value(member)
    return isinstance(whole, bytes) and isinstance(part, bytes) and part in whole


_CALLS: dict[str, Callable[..., bool]] = {
    "attribute_exists": _exists,
    "attribute_not_exists": _not_exists,
    "attribute_type": _has_type,
    "begins_with": _begins_with,
    "contains": _contains,
}

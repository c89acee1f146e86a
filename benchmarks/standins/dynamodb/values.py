"""Attribute values in their wire form, `{"S": "text"}`: checked, compared, measured.

Values are kept as they travel: what a page needs most is their JSON. Numbers are in their one
text, so that equal values are equal texts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.numbers import canonical, stored_size

AttributeValue = dict[str, Any]
Item = dict[str, AttributeValue]
SortValue = bytes | Decimal
"""A key's value as Python orders it like DynamoDB: strings by their UTF-8, numbers by value."""

LARGEST_ITEM = 400 * 1024
SETS = frozenset({"SS", "NS", "BS"})


def checked_item(item: Any) -> Item:
    """An item whose every value is checked and in its one form."""
    if not isinstance(item, dict):
        raise InvalidRequest("an item is a map of attribute values")
    # A text as it should be, most of all values, is let through without a call.
    return {
        name: value
        if type(value) is dict and len(value) == 1 and type(value.get("S")) is str
        else checked(value)
        for name, value in item.items()
    }


def checked(value: Any) -> AttributeValue:
    """A value in its one form.

    Raises:
        InvalidRequest: it is not an attribute value.
    """
    if not isinstance(value, dict) or len(value) != 1:
        raise InvalidRequest(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    ((kind, content),) = value.items()
    check = _CHECKS.get(kind)
    if check is None:
        raise InvalidRequest(f"{kind} is not a type of attribute values")
    return {kind: check(content)}


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise InvalidRequest("an S, N or B is text")
    return content


def _binary(content: Any) -> str:
    try:
        return base64.b64encode(base64.b64decode(_text(content), validate=True)).decode()
    except binascii.Error as error:
        raise InvalidRequest(f"a B is base64: {error}") from None


def _boolean(content: Any) -> bool:
    if not isinstance(content, bool):
        raise InvalidRequest("a BOOL or NULL is true or false")
    return content


def _set_of(check: Callable[[Any], str]) -> Callable[[Any], list[str]]:
    def members(content: Any) -> list[str]:
        if not isinstance(content, list) or not content:
            raise InvalidRequest(
                "One or more parameter values were invalid: An string set  may not be empty"
            )
        values = [check(member) for member in content]
        if len(set(values)) < len(values):
            raise InvalidRequest(
                "One or more parameter values were invalid: Input collection"
                f" [{', '.join(values)}] contains duplicates."
            )
        return values

    return members


def _number(content: Any) -> str:
    return canonical(_text(content))


def _list(content: Any) -> list[AttributeValue]:
    if not isinstance(content, list):
        raise InvalidRequest("an L is a list")
    return [checked(element) for element in content]


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _boolean,
    "M": checked_item,
    "L": _list,
    "SS": _set_of(_text),
    "NS": _set_of(_number),
    "BS": _set_of(_binary),
}


def kind_of(value: AttributeValue) -> str:
    """The type: `S`, `N`, …"""
    return next(iter(value))


def same(first: AttributeValue, second: AttributeValue) -> bool:
    """Whether two values are equal; the order of a set's members says nothing."""
    kind = kind_of(first)
    if kind != kind_of(second):
        return False
    one, other = first[kind], second[kind]
    if kind in SETS:
        return set(one) == set(other)
    if kind == "L":
        return len(one) == len(other) and all(map(same, one, other))
    if kind == "M":
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


def sort_value(value: AttributeValue) -> SortValue:
    """What an S, N or B is ordered by."""
    kind = kind_of(value)
    content = value[kind]
    if kind == "S":
        return str(content).encode()
    return Decimal(content) if kind == "N" else base64.b64decode(content)


def item_size(item: Item) -> int:
    """Bytes of an item as DynamoDB counts them: names, values, and overheads of lists and maps.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    size = 0
    for name, value in item.items():
        text = value.get("S")
        if text is None:
            size += _utf8(name) + value_size(value)
        else:
            size += len(name) if name.isascii() else len(name.encode())
            size += len(text) if text.isascii() else len(text.encode())
    return size


def value_size(value: AttributeValue) -> int:
    """Bytes of a value as DynamoDB counts them."""
    kind = kind_of(value)
    return _SIZES[kind](value[kind])


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _binary_size(text: str) -> int:
    return len(text) * 3 // 4 - text[-2:].count("=")


_SIZES: dict[str, Callable[[Any], int]] = {
    "S": _utf8,
    "N": stored_size,
    "B": _binary_size,
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
    "M": lambda content: 3 + len(content) + item_size(content),
    "L": lambda content: 3 + len(content) + sum(map(value_size, content)),
    "SS": lambda content: sum(map(_utf8, content)),
    "NS": lambda content: sum(map(stored_size, content)),
    "BS": lambda content: sum(map(_binary_size, content)),
}

"""DynamoDB's AttributeValue encoding, to and from plain Python values.

| DynamoDB | Python                     |
|----------|----------------------------|
| S        | str                        |
| N        | int, or Decimal if not whole (up to 38 digits; never float) |
| B        | bytes                      |
| BOOL     | bool                       |
| NULL     | None                       |
| M, L     | dict, list                 |
| SS NS BS | frozenset                  |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, Inexact, Rounded
from typing import Any

Item = dict[str, Any]
"""One record, attribute name to plain value."""

AttributeValue = dict[str, Any]

_EXACT = Context(prec=38, traps=[Inexact, Rounded])


def encode_item(item: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Encode a record."""
    return {name: encode(value) for name, value in item.items()}


def decode_item(item: Mapping[str, AttributeValue]) -> Item:
    """Decode a record as DynamoDB's API returns it."""
    return {name: decode(value) for name, value in item.items()}


def encode(value: Any) -> AttributeValue:  # noqa: PLR0911 - one line per type
    """Encode one value.

    Raises:
        TypeError: the value has no exact AttributeValue (a float, for one).
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case Decimal():
            return {"N": str(_EXACT.create_decimal(value))}
        case bytes():
            return {"B": value}
        case Mapping():
            return {"M": encode_item(value)}
        case list() | tuple():
            return {"L": [encode(element) for element in value]}
        case set() | frozenset():
            return _encode_set(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no exact DynamoDB type: {value!r}")


def _encode_set(values: set[Any] | frozenset[Any]) -> AttributeValue:
    encoded = [encode(value) for value in values]
    kinds = {kind for value in encoded for kind in value}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise TypeError("a DynamoDB set holds at least one value, all strings, numbers or bytes")
    (kind,) = kinds
    return {f"{kind}S": sorted(value[kind] for value in encoded)}


def _number(text: str) -> int | Decimal:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else number


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": _number,
    "B": bytes,
    "BOOL": bool,
    "NULL": lambda _: None,
    "M": decode_item,
    "L": lambda elements: [decode(element) for element in elements],
    "SS": frozenset,
    "NS": lambda numbers: frozenset(_number(number) for number in numbers),
    "BS": lambda blobs: frozenset(bytes(blob) for blob in blobs),
}


def decode(value: AttributeValue) -> Any:
    """Decode one AttributeValue."""
    ((kind, content),) = value.items()
    return _DECODERS[kind](content)

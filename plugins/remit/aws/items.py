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

import base64
from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal, Inexact, Rounded
from typing import Any

Item = dict[str, Any]
"""One record, attribute name to plain value."""

AttributeValue = dict[str, Any]

_EXACT = Context(prec=38, traps=[Inexact, Rounded])


def encode_item(item: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Encode a record."""
    return encode_pairs(item.items())


def encode_pairs(pairs: Iterable[tuple[str, Any]]) -> dict[str, AttributeValue]:
    """Encode values by their names."""
    # Most attributes of most records are texts: they need no function.
    return {name: {"S": value} if type(value) is str else encode(value) for name, value in pairs}


def decode_item(item: Mapping[str, AttributeValue]) -> Item:
    """Decode a record as DynamoDB's API returns it."""
    return {name: v["S"] if "S" in v else decode(v) for name, v in item.items()}


def encode(value: Any) -> AttributeValue:
    """Encode one value.

    Raises:
        TypeError: the value has no exact AttributeValue (a float, for one).
    """
    encoder = _ENCODERS.get(type(value))
    return _encode_kin(value) if encoder is None else encoder(value)


def _encode_kin(value: Any) -> AttributeValue:
    """Encode what is a kind of one of the known types (an enumeration of texts, any mapping)."""
    for kind, encoder in _KINDS:
        if isinstance(value, kind):
            return encoder(value)
    raise TypeError(f"{type(value).__name__} has no exact DynamoDB type: {value!r}")


def _encode_set(values: set[Any] | frozenset[Any]) -> AttributeValue:
    encoded = [encode(value) for value in values]
    kinds = {kind for value in encoded for kind in value}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise TypeError("a DynamoDB set holds at least one value, all strings, numbers or bytes")
    (kind,) = kinds
    return {f"{kind}S": sorted(value[kind] for value in encoded)}


_ENCODERS: dict[type, Callable[[Any], AttributeValue]] = {
    type(None): lambda _: {"NULL": True},
    bool: lambda value: {"BOOL": value},
    str: lambda value: {"S": value},
    int: lambda value: {"N": str(value)},
    Decimal: lambda value: {"N": str(_EXACT.create_decimal(value))},
    bytes: lambda value: {"B": value},
    dict: lambda value: {"M": encode_item(value)},
    list: lambda value: {"L": [encode(element) for element in value]},
    tuple: lambda value: {"L": [encode(element) for element in value]},
    set: _encode_set,
    frozenset: _encode_set,
}
"""By the very type of the value, which is how nearly all of them are found."""

_KINDS: tuple[tuple[type, Callable[[Any], AttributeValue]], ...] = (
    (bool, _ENCODERS[bool]),
    (str, lambda value: {"S": str(value)}),
    (int, lambda value: {"N": str(int(value))}),
    (Mapping, _ENCODERS[dict]),
    *((kind, _ENCODERS[kind]) for kind in (Decimal, bytes, list, tuple, set, frozenset)),
)


def _number(text: str) -> int | Decimal:
    if text.isdigit():  # the common case, and cheap
        return int(text)
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else number


def _binary(blob: bytes | str) -> bytes:
    """Bytes as botocore has them, or base64 as the wire does."""
    return base64.b64decode(blob) if isinstance(blob, str) else bytes(blob)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": _number,
    "B": _binary,
    "BOOL": bool,
    "NULL": lambda _: None,
    "M": decode_item,
    "L": lambda elements: [decode(element) for element in elements],
    "SS": frozenset,
    "NS": lambda numbers: frozenset(_number(number) for number in numbers),
    "BS": lambda blobs: frozenset(_binary(blob) for blob in blobs),
}


def decode(value: AttributeValue) -> Any:
    """Decode one AttributeValue."""
    ((kind, content),) = value.items()
    return _DECODERS[kind](content)

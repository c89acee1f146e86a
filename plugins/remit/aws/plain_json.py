"""DynamoDB JSON to plain JSON, text to text, without losing a digit.

`{"M": {"order": {"S": "x"}, "rate": {"N": "0.10"}}}` becomes `{"order":"x","rate":0.10}`.
Numbers keep the digits that DynamoDB sent (up to 38), binary is base64 text, sets are sorted lists.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_NOT_AN_ATTRIBUTE = (
    KeyError, AttributeError, TypeError, ValueError, ArithmeticError, msgspec.DecodeError,
)  # fmt: skip


def plain_json(attribute: str) -> str:
    """Plain JSON text of one AttributeValue given as JSON text.

    Raises:
        ValueError: the text is not an AttributeValue.
    """
    try:
        return _encode(_plain(_decode(attribute))).decode()
    except _NOT_AN_ATTRIBUTE as error:
        raise ValueError(f"not a DynamoDB attribute value: {attribute[:200]}") from error


def other_attributes(record: str, declared: Collection[str]) -> str | None:
    """Plain JSON of a record's attributes beside the declared ones; None: there are no others.

    An attribute that is no AttributeValue is left as it came: nothing is lost.
    """
    others = {
        name: _plain_or_raw(value)
        for name, value in _decode(record).items()
        if name not in declared
    }
    return _encode(others).decode() if others else None


def _plain_or_raw(attribute: Any) -> Any:
    try:
        return _plain(attribute)
    except _NOT_AN_ATTRIBUTE:
        return attribute


def _plain(attribute: dict[str, Any]) -> Any:
    ((kind, content),) = attribute.items()
    return _PLAIN[kind](content)


def _number(digits: str) -> msgspec.Raw:
    value = Decimal(digits)
    if not value.is_finite():
        raise ValueError(f"{digits!r} is not a finite number")
    # A JSON number allows no leading plus, no leading zeros and no bare point; Decimal's own text
    # is a valid JSON number and keeps the digits.
    return msgspec.Raw(str(value).encode())


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": _number,
    "B": str,
    "BOOL": bool,
    "NULL": lambda _: None,
    "M": lambda entries: {name: _plain(value) for name, value in entries.items()},
    "L": lambda elements: [_plain(element) for element in elements],
    "SS": sorted,
    "NS": lambda numbers: [_number(number) for number in sorted(numbers, key=Decimal)],
    "BS": sorted,
}

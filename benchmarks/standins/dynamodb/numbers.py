"""DynamoDB's numbers: exact, 38 significant digits, 1E-130 to 9.99…E+125, as text.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from functools import lru_cache

from benchmarks.standins.dynamodb.errors import InvalidRequest

DIGITS = 38
_CACHED = 4096
_LARGEST_EXPONENT = 125
_SMALLEST_EXPONENT = -130
_WIDE = Context(prec=400)  # exact for any two numbers in range
_AS_IT_IS = re.compile(r"-?[1-9][0-9]{0,37}|0")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@lru_cache(_CACHED)
def canonical(text: str) -> str:
    """The one text of a number: no exponent, no zeros that say nothing.

    Raises:
        InvalidRequest: not a number, or beyond what DynamoDB stores exactly.
    """
    if _AS_IT_IS.fullmatch(text):
        return text
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"The parameter cannot be converted to a numeric value: {text}")
    try:
        return text_of(Decimal(text))
    except ArithmeticError:
        raise InvalidRequest("Number overflow or underflow") from None


def text_of(number: Decimal) -> str:
    """A number's text.

    Raises:
        InvalidRequest: it is beyond what DynamoDB stores exactly.
    """
    number = number.normalize(Context(prec=max(DIGITS, len(number.as_tuple().digits))))
    if not number:
        return "0"
    if number.adjusted() > _LARGEST_EXPONENT:
        raise InvalidRequest(
            "Number overflow. Attempting to store a number with magnitude larger than supported"
            " range"
        )
    if number.adjusted() < _SMALLEST_EXPONENT:
        raise InvalidRequest(
            "Number underflow. Attempting to store a number with magnitude smaller than supported"
            " range"
        )
    if len(number.as_tuple().digits) > DIGITS:
        raise InvalidRequest("Attempting to store more than 38 significant digits in a Number")
    return format(number, "f")


def add(first: str, second: str) -> str:
    """The exact sum."""
    return text_of(_WIDE.add(Decimal(first), Decimal(second)))


def subtract(first: str, second: str) -> str:
    """The exact difference."""
    return text_of(_WIDE.subtract(Decimal(first), Decimal(second)))


@lru_cache(_CACHED)
def stored_size(text: str) -> int:
    """Bytes that a number takes: one per two significant digits, and one; a sign is one more."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")

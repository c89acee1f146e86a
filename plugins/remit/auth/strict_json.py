"""JSON objects, read so that two readers cannot understand them differently.

Python's parser takes the last of two members with one name, and `NaN`; others take the first, or
nothing (RFC 8259, section 4). In a token that would be one merchant here and another there.
"""

from __future__ import annotations

from json import JSONDecoder
from typing import Any, NoReturn


class NotAnObject(ValueError):
    """The text is not one JSON object. The message completes "it …" and shows nothing of it."""


def parse_object(text: bytes) -> dict[str, Any]:
    """The object that UTF-8 text holds; no object in it names a member twice.

    Raises:
        NotAnObject: it holds something else.
    """
    try:
        value = _DECODER.decode(text.decode())
    except NotAnObject:
        raise
    except UnicodeDecodeError:
        raise NotAnObject("is not UTF-8") from None
    # Too deep, or a number with more digits than Python converts (a ValueError as well).
    except (ValueError, RecursionError):
        raise NotAnObject("is not JSON, or too deep") from None
    if not isinstance(value, dict):
        raise NotAnObject("is not a JSON object")
    return value


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(members)
    if len(values) != len(members):
        raise NotAnObject("names a member twice")
    return values


def _no_number(_: str) -> NoReturn:
    raise NotAnObject("holds NaN or Infinity, which JSON does not have")


_DECODER = JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number)

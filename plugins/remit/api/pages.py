"""Cursor pages: `limit` and `cursor` in, `data` and `next_cursor` out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from remit.aws.items import Item
from remit.errors import FieldError, InvalidRequest

DEFAULT_LIMIT = 50
MAX_LIMIT = 100

_MAX_CURSOR = 2048
_MAX_KEY_BYTES = 1024  # of a sort key; a cursor is too short for more

ANY_TEXT = ("\x00", "\U0010ffff")
"""The least and the greatest text."""


def page(data: Sequence[Mapping[str, Any]], last: Item | None, scope: Mapping[str, Any]) -> Item:
    """The document of a page. `last` is the key after which the next one starts (texts and whole
    numbers); None: there is no more. `scope` is whose list it is, and by which filters."""
    return {"data": list(data), "next_cursor": None if last is None else _encode(last, scope)}


def limit_of(value: str | None) -> int:
    """How many things are wanted.

    Raises:
        InvalidRequest: it is no number that may be asked for.
    """
    if value is None:
        return DEFAULT_LIMIT
    if not (
        value.isascii() and value.isdigit() and len(value) < 6 and 1 <= int(value) <= MAX_LIMIT
    ):
        raise InvalidRequest(FieldError("limit", "not such a number", f"1 to {MAX_LIMIT}"))
    return int(value)


def start_of(cursor: str | None, scope: Mapping[str, Any]) -> Item | None:
    """The key that a cursor stands for; None: the beginning.

    Raises:
        InvalidRequest: it is no cursor of this list: of another merchant's, or with other filters.
    """
    if cursor is None:
        return None
    if len(cursor) > _MAX_CURSOR:
        raise _no_cursor()
    try:
        digest, start = json.loads(base64.b64decode(cursor.encode("ascii"), b"-_", validate=True))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise _no_cursor() from None
    if digest != _digest(scope) or not isinstance(start, dict) or not start:
        raise _no_cursor()
    if not all(type(value) in {str, int} for value in start.values()):
        raise _no_cursor()
    return start


def place_of(
    cursor: str | None, scope: Mapping[str, Any], bounds: Mapping[str, tuple[str, str]]
) -> dict[str, str] | None:
    """The key of texts that a cursor stands for; None: the beginning. `bounds` has the names that
    the key consists of, and the least and the greatest text of each.

    Raises:
        InvalidRequest: it is no cursor of this list, or was changed on its way: DynamoDB refuses a
            key that lies outside of what is asked for.
    """
    if (start := start_of(cursor, scope)) is None:
        return None
    if start.keys() != bounds.keys():
        raise _no_cursor()
    if not all(_lies_between(start[name], *ends) for name, ends in bounds.items()):
        raise _no_cursor()
    return start


def _lies_between(value: Any, least: str, greatest: str) -> bool:
    try:
        size = len(value.encode())
    except (AttributeError, UnicodeEncodeError):  # a number, or half a character
        return False
    return 0 < size <= _MAX_KEY_BYTES and least <= value <= greatest


def _no_cursor() -> InvalidRequest:
    allowed = "the next_cursor of a page of the same list, with the same filters, or none"
    return InvalidRequest(FieldError("cursor", "not a cursor of this list", allowed))


def _encode(last: Item, scope: Mapping[str, Any]) -> str:
    text = json.dumps([_digest(scope), last], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def _digest(scope: Mapping[str, Any]) -> str:
    """Not a signature: a list is read by its owner's key alone, wherever it starts."""
    text = json.dumps(scope, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

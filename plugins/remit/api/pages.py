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
    if not (value.isascii() and value.isdigit() and len(value) < 6 and 1 <= int(value) <= MAX_LIMIT):
        raise InvalidRequest(FieldError("limit", "not such a number", f"1 to {MAX_LIMIT}"))
    return int(value)


def start_of(cursor: str | None, scope: Mapping[str, Any]) -> Item | None:
    """The key that a cursor stands for; None: the beginning.

    Raises:
        InvalidRequest: it is no cursor of this list: of another merchant's, or with other filters.
    """
    if cursor is None:
        return None
    try:
        if len(cursor) > _MAX_CURSOR:
            raise ValueError("too long")
        digest, start = json.loads(base64.b64decode(cursor.encode("ascii"), b"-_", validate=True))
        if digest != _digest(scope) or not isinstance(start, dict) or not start:
            raise ValueError("of another list")
        if not all(type(value) in {str, int} for value in start.values()):
            raise ValueError("not a key")
    except (ValueError, TypeError, RecursionError, binascii.Error):
        allowed = "the next_cursor of a page of the same list, with the same filters, or none"
        raise InvalidRequest(FieldError("cursor", "not a cursor of this list", allowed)) from None
    return start


def _encode(last: Item, scope: Mapping[str, Any]) -> str:
    text = json.dumps([_digest(scope), last], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def _digest(scope: Mapping[str, Any]) -> str:
    """Not a signature: a list is read by its owner's key alone, wherever it starts."""
    text = json.dumps(scope, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""JSON as the hook takes it (RFC 8259, I-JSON of RFC 7493): nothing that two parsers would read
differently, or that what comes after cannot hold."""

from __future__ import annotations

import json
import math
from typing import Any

from remit.errors import FieldError, InvalidRequest
from remit.webhooks.event import MAX_DEPTH, MAX_DIGITS

DEPTH = MAX_DEPTH + 6
"""Objects and lists in one another: those of an event's data, and what stands around them."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The members of a JSON object.

    Raises:
        InvalidRequest: it is none, has a member twice, a number that is none or too large, a NUL
            character or half a character, or is too deep.
    """
    try:
        values = json.loads(
            body.decode(),
            object_pairs_hook=each_once,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_no_number,
        )
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise _refused("not JSON", "a JSON object, in UTF-8") from None
    if not isinstance(values, dict):
        raise _refused("not a JSON object", "a JSON object")
    _check(values, suspect=b"\\u" in body)
    return values


def _check(values: dict[str, Any], *, suspect: bool) -> None:
    """Look at every value. Only an escape can name half a character, or NUL; `suspect`: there are
    escapes."""
    level: list[Any] = [values]
    for _ in range(DEPTH):
        parts = [part for value in level for part in _parts(value)]
        if suspect:
            _check_texts(parts)
        level = [part for part in parts if isinstance(part, dict | list)]
        if not level:
            return
    raise _too_deep()


def _parts(value: Any) -> list[Any]:
    return [*value, *value.values()] if isinstance(value, dict) else value


def _check_texts(values: list[Any]) -> None:
    for text in values:
        if not isinstance(text, str):
            continue
        if "\0" in text:
            raise _refused("a text has a NUL character", "text without it")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _refused("a text has half a surrogate pair", "whole characters") from None


def each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object.

    Raises:
        InvalidRequest: one is there twice.
    """
    values = dict(members)
    if len(values) < len(members):
        seen: set[str] = set()
        twice = next(name for name, _ in members if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InvalidRequest(FieldError(twice, "given more than once", "one value"))
    return values


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _refused(f"a number has {len(digits)} digits", f"at most {MAX_DIGITS}")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if len(digits) > MAX_DIGITS or not math.isfinite(value):
        raise _refused("a number is too large", "what a 64-bit floating-point number holds")
    return value


def _no_number(name: str) -> float:
    raise _refused(f"{name} is not JSON", "a number")


def _refused(message: str, allowed: str) -> InvalidRequest:
    return InvalidRequest(FieldError("body", message, allowed))


def _too_deep() -> InvalidRequest:
    return _refused("objects and lists too deep in one another", f"at most {DEPTH} of them")

"""An event: what happened to a merchant, and the exact bytes that every endpoint receives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeGuard

from remit.aws.items import Item
from remit.aws.limits import MAX_KEY_BYTES
from remit.clock import format_instant
from remit.errors import FieldError, InvalidRequest
from remit.webhooks.endpoint import EVENT_TYPE

PAYLOAD_LIMIT = 256 * 1024
"""Bytes of an event's JSON text, as stored and as sent."""

EVENT_ID = re.compile(r"[!-~]{1,128}")
"""Printable ASCII without spaces: an id is a key, a part of a digest, and in log lines."""

MAX_TYPE_LENGTH = 128
MAX_DEPTH = 64
"""Objects and lists in one another; receivers' parsers have limits of their own."""

MAX_DIGITS = 400
"""Of one number, and more than a double holds: `Decimal("1E+999999999")` is a gigabyte of them."""

_TOO_LARGE = 10**MAX_DIGITS

Path = tuple[str | int, ...]
"""The names of members and the indexes of elements that lead to a value."""


@dataclass(frozen=True)
class Event:
    """Something that happened. `type` is dotted (`export.completed`); amounts in `data` are
    integers in minor units.

    Its JSON text is made here and never again: what `data` holds later changes nothing.

    Raises:
        InvalidRequest: a field has a value that is not allowed; `data` is not a JSON object, or
            the whole text is over 256 KiB.
    """

    id: str
    type: str
    merchant_id: str
    created_at: datetime
    data: Mapping[str, Any] = field(repr=False)
    _payload: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if faults := tuple(_faults(self)):
            raise InvalidRequest(*faults)
        text = _text_of(self)
        if (size := len(text.encode())) > PAYLOAD_LIMIT:
            raise InvalidRequest(
                FieldError(
                    "data",
                    f"with it, the event's JSON text has {size} bytes",
                    f"at most {PAYLOAD_LIMIT} bytes",
                )
            )
        object.__setattr__(self, "_payload", text)

    def payload(self) -> str:
        """The JSON text that is stored once and sent, byte for byte, in every attempt."""
        return self._payload

    def attributes(self) -> Item:
        """What is stored of it."""
        return {
            "id": self.id,
            "merchantID": self.merchant_id,
            "type": self.type,
            "payload": self._payload,
            "createdAt": format_instant(self.created_at),
        }

    def differs_from(self, stored: Mapping[str, Any]) -> tuple[str, ...]:
        """What is another in an event as it is stored: its merchant, type or data.

        When it happened does not count, for a producer that begins again often takes the time anew.
        """
        data = self._payload.removeprefix(
            _head(self.id, self.type, format_instant(self.created_at))
        )
        then = _head(self.id, str(stored.get("type")), str(stored.get("createdAt")))
        same = {
            "merchant": stored.get("merchantID") == self.merchant_id,
            "type": stored.get("type") == self.type,
            "data": stored.get("payload") == then + data,
        }
        return tuple(name for name, is_same in same.items() if not is_same)


class NotJson(TypeError):
    """A value that JSON cannot carry exactly. `path` leads to it from the outermost one."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{dotted(path) or 'the value'}: {problem}")


def canonical_json(value: Any) -> str:
    """Compact JSON with sorted keys, so that equal values give equal bytes; numbers stay exact.

    Raises:
        NotJson: a float, or anything else that JSON does not have or UTF-8 cannot carry.
    """
    return _json(value, ())


def dotted(path: Path) -> str:
    """A path as people write it: `items[3].amount`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _faults(event: Any) -> Iterator[FieldError]:
    """What is wrong with the fields of an event, each of which may be anything."""
    if not isinstance(event.id, str) or EVENT_ID.fullmatch(event.id) is None:
        allowed = "1 to 128 printable ASCII characters without spaces"
        yield FieldError("id", f"{_shown(event.id)} is not an event id", allowed)
    if not is_event_type(event.type):
        allowed = f"dotted lower-case words, such as payment.succeeded, {MAX_TYPE_LENGTH} at most"
        yield FieldError("type", f"{_shown(event.type)} is not an event type", allowed)
    if not is_merchant_id(event.merchant_id):
        allowed = f"printable text of at most {MAX_KEY_BYTES} bytes"
        yield FieldError("merchant_id", f"{_shown(event.merchant_id)} is no merchant's id", allowed)
    if not isinstance(event.created_at, datetime) or event.created_at.tzinfo is None:
        yield FieldError("created_at", "it is not an instant", "a datetime with a time zone")
    if not isinstance(event.data, Mapping):
        yield FieldError("data", f"it is of type {type(event.data).__name__}", "a JSON object")


def is_event_type(value: Any) -> TypeGuard[str]:
    """Whether it is a type that an event may have."""
    return (
        isinstance(value, str)
        and len(value) <= MAX_TYPE_LENGTH
        and EVENT_TYPE.fullmatch(value) is not None
    )


def is_merchant_id(value: Any) -> TypeGuard[str]:
    """Whether it can be a merchant's id: a key of tables and indexes, and a part of log lines.

    What cannot be printed includes lone surrogates, so that the rest has a form in UTF-8.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_KEY_BYTES
        and value.isprintable()
        and len(value.encode()) <= MAX_KEY_BYTES
    )


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _text_of(event: Event) -> str:
    head = _head(event.id, event.type, format_instant(event.created_at))
    try:
        return f"{head}{_json(event.data, ('data',))}}}"
    except NotJson as error:
        allowed = "what JSON carries exactly: text, whole numbers, decimals, lists, objects"
        raise InvalidRequest(FieldError(dotted(error.path), error.problem, allowed)) from None


def _head(event_id: str, event_type: str, timestamp: str) -> str:
    """The JSON text up to the data."""
    envelope = {"id": event_id, "type": event_type, "timestamp": timestamp}
    members = (f"{_string(name, ())}:{_string(text, ())}" for name, text in envelope.items())
    return f'{{{",".join(members)},"data":'


def _json(value: Any, path: Path) -> str:
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return _string(value, path)
        case int() | Decimal():
            return _number(value, path)
        case Mapping() | list() | tuple() if len(path) > MAX_DEPTH:
            raise NotJson(path[:8], f"more than {MAX_DEPTH} objects and lists are in one another")
        case Mapping():
            names = sorted(_name(name, path) for name in value)
            texts = (f"{_string(n, path)}:{_json(value[n], (*path, n))}" for n in names)
            return "{" + ",".join(texts) + "}"
        case list() | tuple():
            elements = (_json(element, (*path, at)) for at, element in enumerate(value))
            return "[" + ",".join(elements) + "]"
        case float():
            raise NotJson(path, f"{value!r} is a float: write money as an integer in minor units")
        case _:
            raise NotJson(path, f"{type(value).__name__} has no JSON form")


def _string(text: str, path: Path) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJson(path, "it holds half a character (a lone surrogate)") from None
    return json.dumps(text, ensure_ascii=False)


def _name(name: Any, path: Path) -> str:
    if not isinstance(name, str):
        raise NotJson(path, f"the name of a member is not text but {_shown(name)}")
    return name


def _number(number: int | Decimal, path: Path) -> str:
    """The number as it is. Whether it is too long is asked before it is written."""
    if isinstance(number, int):
        too_long = abs(number) >= _TOO_LARGE
    elif not number.is_finite():
        raise NotJson(path, f"{number} is not a number")
    else:
        _, digits, exponent = number.as_tuple()
        too_long = max(len(digits), abs(int(exponent))) > MAX_DIGITS
    if too_long:
        raise NotJson(path, f"the number has more than {MAX_DIGITS} digits")
    return str(int(number)) if isinstance(number, int) else format(number, "f")

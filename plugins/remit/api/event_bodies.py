"""Events as they are sent: read from JSON in which numbers stay what they are, and checked all
together before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from json import JSONDecoder
from types import MappingProxyType
from typing import Any, NoReturn

from remit.api.fields import INSTANT
from remit.api.strict_json import each_once
from remit.clock import parse_instant
from remit.errors import FieldError, InvalidRequest
from remit.webhooks.endpoint_request import shown
from remit.webhooks.event import Event

FIELDS = ("id", "type", "data", "created_at")
MOST_EVENTS = 500
"""In one batch."""

MOST_PARTS = 200_000
"""Commas, opening brackets and braces of one body, those in texts among them: no other thread runs
while JSON is parsed, and what has so many takes up to 0.1 s."""

RESERVED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"type": ("export.", "endpoint."), "id": ("evt-export-", "evt-test-")}
)
"""How types and ids of Remit's own events begin. Nobody else's do: receivers believe what such an
event says, and one whose id is taken is never sent."""

_MOST_ERRORS = 100  # that are told of a body


def parse_exactly(body: bytes) -> dict[str, Any]:
    """The members of a JSON object, each once; numbers that are not whole are `Decimal`.

    Raises:
        InvalidRequest: it is no such object, or has too many parts.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_PARTS:
        allowed = f"at most {MOST_PARTS} of them"
        raise InvalidRequest(FieldError("body", "too many commas, brackets and braces", allowed))
    try:
        values = _DECODER.decode(body.decode())
    except UnicodeDecodeError:
        raise _refused("not UTF-8") from None
    except RecursionError:
        raise _refused("objects and lists too deep in one another") from None
    except (ValueError, InvalidOperation):  # the latter of an exponent beyond all measure
        raise _refused("not JSON, or with a number of thousands of digits") from None
    if not isinstance(values, dict):
        raise _refused("not a JSON object")
    return values


def read_event(
    values: Mapping[str, Any], merchant_id: str, *, default_id: str, now: datetime
) -> Event:
    """The event that a JSON object describes, of a merchant.

    Raises:
        InvalidRequest: at least one field is wrong; all of them are named.
    """
    errors = _unknown(values, FIELDS)
    errors += [
        FieldError(name, "missing", allowed)
        for name, allowed in (("type", "such as payment.succeeded"), ("data", "a JSON object"))
        if name not in values
    ]
    errors += [
        FieldError(
            name,
            f"{shown(text)} is one of Remit's own",
            f"one that does not begin with {' or '.join(beginnings)}",
        )
        for name, beginnings in RESERVED.items()
        if isinstance(text := values.get(name), str) and text.startswith(beginnings)
    ]
    created_at = now
    if (text := values.get("created_at")) is not None:
        try:
            created_at = parse_instant(text)
        except (TypeError, ValueError):
            errors.append(FieldError("created_at", f"{shown(text)} is no instant", INSTANT))
    try:
        event = Event(
            id=values.get("id", default_id),
            type=values.get("type", "event.unnamed"),
            merchant_id=merchant_id,
            created_at=created_at,
            data=values.get("data", {}),
        )
    except InvalidRequest as error:
        raise InvalidRequest(*errors, *error.errors) from None
    if errors:
        raise InvalidRequest(*errors)
    return event


def read_events(
    values: Mapping[str, Any], merchant_id: str, *, default_id: str, now: datetime
) -> Sequence[Event]:
    """The events of a batch, in their order. `default_id` is the beginning of the ids of those that
    have none.

    Raises:
        InvalidRequest: at least one field of an event is wrong: `events[3].type`.
    """
    errors = _unknown(values, ("events",))
    given = values.get("events")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_EVENTS:
        what = f"there are {len(given)}" if isinstance(given, list) else "not a list"
        errors.append(FieldError("events", what, f"a list of 1 to {MOST_EVENTS} events"))
        raise InvalidRequest(*errors)
    events = []
    for number, one in enumerate(given):
        if not isinstance(one, dict):
            errors.append(FieldError(f"events[{number}]", "not a JSON object", "an event"))
            continue
        name = f"{default_id}-{number}"
        try:
            events.append(read_event(one, merchant_id, default_id=name, now=now))
        except InvalidRequest as error:
            errors += [
                replace(field, field=f"events[{number}].{field.field}") for field in error.errors
            ]
        if len(errors) >= _MOST_ERRORS:
            break
    if errors:
        raise InvalidRequest(*errors[:_MOST_ERRORS])
    return events


def _refused(what: str) -> InvalidRequest:
    return InvalidRequest(FieldError("body", what, "a JSON object, in UTF-8"))


def _unknown(values: Mapping[str, Any], known: tuple[str, ...]) -> list[FieldError]:
    unknown = (name for name in values if name not in known)
    return [FieldError(name, "unknown field", known) for name in islice(unknown, _MOST_ERRORS)]


def _no_number(text: str) -> NoReturn:
    raise _refused(f"{text} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=each_once, parse_float=Decimal, parse_constant=_no_number)

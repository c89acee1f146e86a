"""Events as they are sent: read from JSON in which numbers stay what they are, and checked all
together before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from json import JSONDecoder
from typing import Any, NoReturn

from remit.api.fields import INSTANT
from remit.clock import parse_instant
from remit.errors import FieldError, InvalidRequest
from remit.webhooks.endpoint_request import shown
from remit.webhooks.event import Event

FIELDS = ("id", "type", "data", "created_at")
MOST_EVENTS = 500
"""In one batch."""

_MOST_ERRORS = 100  # that are told of a batch


def parse_exactly(body: bytes) -> dict[str, Any]:
    """The members of a JSON object, each once; numbers that are not whole are `Decimal`.

    Raises:
        InvalidRequest: it is no such object.
    """
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
    errors = [FieldError(name, "unknown field", FIELDS) for name in values if name not in FIELDS]
    errors += [
        FieldError(name, "missing", allowed)
        for name, allowed in (("type", "such as payment.succeeded"), ("data", "a JSON object"))
        if name not in values
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
    errors = [FieldError(name, "unknown field", "events") for name in values if name != "events"]
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


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(members)
    if len(values) != len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(FieldError(twice, "given more than once", "one value"))
    return values


def _no_number(text: str) -> NoReturn:
    raise _refused(f"{text} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=_each_once, parse_float=Decimal, parse_constant=_no_number)

"""Which webhooks a replay of many is about: what may be asked for, checked together, and how it is
asked of DynamoDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from os.path import commonprefix
from typing import Any

from remit.aws.items import Item
from remit.clock import format_instant, parse_instant
from remit.errors import FieldError, InvalidRequest
from remit.settings import Settings
from remit.webhooks.endpoint import DEFAULT_ENDPOINT, ENDPOINT_ID, matches
from remit.webhooks.endpoint_request import MAX_PATTERNS, is_event_pattern, shown
from remit.webhooks.policy import Reason, Status

STATUSES = tuple(status.value for status in (Status.DELIVERED, Status.FAILED, Status.EXPIRED))
"""What can be asked for: what can have ended."""

DEAD = (Status.FAILED.value, Status.EXPIRED.value)
"""What is replayed unless told otherwise: the dead letters."""

REASON_CODES = tuple(reason.value for reason in Reason)

DEFAULT_RATE = 50
MAX_RATE = 1_000
"""Webhooks per second."""


@dataclass(frozen=True)
class ReplayFilter:
    """Webhooks of one merchant that have ended, created from `since` to before `until`.

    `until` None is the time of the request. An endpoint, types (patterns as of an endpoint's own
    filter) and reason codes that are not given are any.
    """

    since: datetime
    until: datetime | None = None
    endpoint_id: str | None = None
    event_types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = DEAD
    reason_codes: tuple[str, ...] = ()

    def covers(self, created_at: datetime) -> bool:
        """Whether the window does."""
        return self.since <= created_at and (self.until is None or created_at < self.until)

    def wants(self, event_type: str) -> bool:
        """Whether it is one of the types."""
        return not self.event_types or any(matches(one, event_type) for one in self.event_types)

    @property
    def type_prefix(self) -> str:
        """What all types begin with that it wants: no more of an index by types need be read."""
        beginnings = [pattern.removesuffix("*") for pattern in self.event_types]
        return commonprefix(beginnings)  # noqa: RUF071 - of texts, which are no paths

    def expression(self, replay_id: str) -> tuple[str, dict[str, Any]]:
        """What DynamoDB can look at, as a filter and its values: it has webhooks that are out of
        the queue, and those that this replay has put into it, so that one which goes on knows them.

        Instants are not in it: the platform's own records have them in other forms.
        """
        ended = f"attribute_not_exists(#dueShard) AND {_in('status', self.statuses)}"
        values = _values("status", self.statuses) | {"replay": replay_id}
        if self.reason_codes:
            ended += f" AND {_in('reasonCode', self.reason_codes)}"
            values |= _values("reasonCode", self.reason_codes)
        expression = f"(({ended}) OR #replayedBy = :replay)"
        if self.endpoint_id is None:
            return expression, values
        own = "#endpointID = :endpoint"
        if self.endpoint_id == DEFAULT_ENDPOINT:
            own = f"({own} OR attribute_not_exists(#endpointID))"
        return f"{expression} AND {own}", values | {"endpoint": self.endpoint_id}

    def document(self) -> dict[str, Any]:
        """As it is stored, told the audit log and shown, without what is not set."""
        found: dict[str, Any] = {
            "since": format_instant(self.since),
            "until": None if self.until is None else format_instant(self.until),
            "endpoint": self.endpoint_id,
            "eventTypes": list(self.event_types),
            "statuses": list(self.statuses),
            "reasonCodes": list(self.reason_codes),
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> ReplayFilter:
        """Read it back.

        Raises:
            KeyError, TypeError, ValueError: it was written by others.
        """
        return cls(
            since=parse_instant(document["since"]),
            until=parse_instant(document["until"]),
            endpoint_id=document.get("endpoint"),
            event_types=tuple(document.get("eventTypes", ())),
            statuses=tuple(document["statuses"]),
            reason_codes=tuple(document.get("reasonCodes", ())),
        )


def check_filter(
    wanted: ReplayFilter, rate: int, now: datetime, settings: Settings
) -> ReplayFilter:
    """The filter with its end set: at the latest now, so that what is created later is not in it.

    Raises:
        InvalidRequest: at least one field is wrong; all of them are named.
    """
    errors = [*_window_errors(wanted, now, settings), *_list_errors(wanted)]
    if wanted.endpoint_id is not None and ENDPOINT_ID.fullmatch(str(wanted.endpoint_id)) is None:
        message = f"{shown(wanted.endpoint_id)} is no endpoint's id"
        errors.append(FieldError("endpoint", message, f"{DEFAULT_ENDPOINT}, or ep-…"))
    if type(rate) is not int or not 1 <= rate <= MAX_RATE:
        allowed = f"1 to {MAX_RATE} webhooks per second"
        errors.append(FieldError("rate", f"{shown(rate)} is not such a number", allowed))
    if errors:
        raise InvalidRequest(*errors)
    return replace(wanted, until=min(wanted.until or now, now))


def _window_errors(wanted: ReplayFilter, now: datetime, settings: Settings) -> Iterator[FieldError]:
    zoneless = [
        name
        for name, instant in (("since", wanted.since), ("until", wanted.until))
        if instant is not None and instant.tzinfo is None
    ]
    for name in zoneless:
        allowed = "an instant with an offset, such as 2026-01-31T23:59:59Z"
        yield FieldError(name, "it has no time zone", allowed)
    if zoneless:
        return
    longest = settings.webhook_lifetime + settings.webhook_retention
    end = now if wanted.until is None else min(wanted.until, now)
    if wanted.since >= now:
        message = f"{format_instant(wanted.since)} is not in the past"
        yield FieldError("since", message, f"an instant before now, {format_instant(now)}")
    elif wanted.until is not None and wanted.until <= wanted.since:
        message = f"{format_instant(wanted.until)} is not after since"
        yield FieldError("until", message, f"an instant after {format_instant(wanted.since)}")
    elif end - wanted.since > longest:
        message = f"the window is {_duration(end - wanted.since)} long"
        yield FieldError(
            "since",
            message,
            f"at most {_duration(longest)}, which is as long as webhooks and events are kept",
        )


def _list_errors(wanted: ReplayFilter) -> Iterator[FieldError]:
    if len(wanted.event_types) > MAX_PATTERNS:
        message = f"there are {len(wanted.event_types)} patterns"
        yield FieldError("type", message, f"at most {MAX_PATTERNS}")
    for pattern in wanted.event_types[:MAX_PATTERNS]:
        if not is_event_pattern(pattern):
            message = f"{shown(pattern)} is not an event pattern"
            yield FieldError("type", message, "payment.succeeded, payment.*, or *")
    if not wanted.statuses:
        yield FieldError("status", "there is none", STATUSES)
    yield from _unknown("status", wanted.statuses, STATUSES)
    yield from _unknown("reason", wanted.reason_codes, REASON_CODES)


def _unknown(field: str, values: Iterable[str], allowed: tuple[str, ...]) -> Iterator[FieldError]:
    for value in dict.fromkeys(values):
        if value not in allowed:
            yield FieldError(field, f"{shown(value)} is unknown", allowed)


def _duration(length: timedelta) -> str:
    return str(length - timedelta(microseconds=length.microseconds))


def _in(name: str, values: tuple[str, ...]) -> str:
    return f"#{name} IN ({', '.join(f':{name}{at}' for at in range(len(values)))})"


def _values(name: str, values: tuple[str, ...]) -> Item:
    return {f"{name}{at}": value for at, value in enumerate(values)}

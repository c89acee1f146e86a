"""Rate limits that hold over all deliverers: the generic cell rate algorithm (ITU-T I.371), whose
one number per limit lives in the endpoint's record.

The number is the theoretical arrival time: when the next one would come if all came evenly. A send
may be early by less than a second's worth, which is the burst, and moves it on by one interval. So
in no window of T seconds are there more than `rate * T` sends and one burst, whoever makes them.

It is the attribute `rateNext`: of the endpoint's own record, or, for the rate of a merchant, of the
record `#merchant` beside them.

A deliverer takes permits for many sends with one write, on the condition that the number is the one
that it reckoned with. Limits that nobody has set cost nothing: nobody asks for them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from remit.aws.table import Pair, Table
from remit.clock import format_instant, parse_instant
from remit.errors import ConditionFailed
from remit.webhooks.endpoint import DEFAULT_ENDPOINT

log = logging.getLogger(__name__)

MERCHANT = "#merchant"
"""Id of the record that holds the number of a merchant's own rate."""

_TRIES = 10  # each one that fails is a success of another deliverer
_NEXT = "rateNext"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_ABSENT = object()
_SECOND = 1_000_000  # in microseconds, the steps of stored instants
_WITHOUT_URL = frozenset({DEFAULT_ENDPOINT, MERCHANT})


@dataclass(frozen=True)
class Permits:
    """When so many sends may happen, in order. `deferred` are the moments of those for which there
    is no permit up to the horizon: when to ask again for each of them, at the best."""

    moments: tuple[datetime, ...] = ()
    deferred: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Permits that may be had, and the theoretical arrival time once they are taken."""

    permits: Permits
    next: datetime


def plan(next: datetime, rate: int, count: int, now: datetime, horizon: datetime) -> Plan:  # noqa: A002 - the attribute's name
    """The permits for `count` sends at `rate` per second, none of them before `now` or after
    `horizon`, from the theoretical arrival time that is stored."""
    start = max(next, now)
    arrivals = [start + _intervals(number, rate) for number in range(count + 1)]
    # The burst: a rate of r lets the r-th of those that come at once through at once.
    early = _intervals(rate, rate) - _intervals(1, rate)
    moments = [max(now, arrival - early) for arrival in arrivals[:-1]]
    taken = sum(moment <= horizon for moment in moments)
    return Plan(Permits(tuple(moments[:taken]), tuple(moments[taken:])), arrivals[taken])


class RateLimits:
    """The limits that one deliverer has met, each with its number as it was seen last."""

    def __init__(self, endpoints: Table[Pair]) -> None:
        self._table = endpoints
        self._seen: dict[Pair, Any] = {}

    def acquire(
        self, key: Pair, rate: int, count: int, now: datetime, horizon: datetime
    ) -> Permits:
        """Take permits for up to `count` sends at `rate` per second, none later than `horizon`.

        Permits that are not used are lost. Where others take permits of the same limit all the
        time, or the endpoint is not there any more, none is taken.

        Raises:
            StoreUnavailable: it is not known whether permits were taken.
        """
        for seen in self._numbers(key):
            planned = plan(_instant(seen), rate, count, now, horizon)
            if not planned.permits.moments or self._swap(key, seen, planned.next):
                return planned.permits
        log.warning("merchant=%r endpoint=%r gets no permits for now", *key)
        return Permits(deferred=tuple(horizon + _intervals(n, rate) for n in range(count)))

    def left(self, key: Pair, rate: int, now: datetime) -> int:
        """How many sends at `rate` per second could happen at once, by the number as it was seen
        last."""
        ahead = max(_instant(self._seen.get(key)) - now, timedelta())
        return max(rate - math.ceil(ahead * rate / timedelta(seconds=1)), 0)

    def _numbers(self, key: Pair) -> Iterator[Any]:
        """The stored number: as it was seen last, and then as it is, as often as it was another."""
        if key in self._seen:
            yield self._seen[key]
        for _ in range(_TRIES):
            record = self._table.get(key) or {}
            if not (key[1] in _WITHOUT_URL or "url" in record):
                return
            self._seen[key] = seen = record.get(_NEXT, _ABSENT)
            yield seen

    def _swap(self, key: Pair, seen: Any, following: datetime) -> bool:
        """Store the number, if it is the one that was seen."""
        as_seen = f"attribute_not_exists(#{_NEXT})" if seen is _ABSENT else f"#{_NEXT} = :seen"
        there = "" if key[1] in _WITHOUT_URL else "attribute_exists(#url) AND "
        text = format_instant(following)
        try:
            self._table.update(
                key, set={_NEXT: text}, condition=f"{there}{as_seen}", values={"seen": seen}
            )
        except ConditionFailed:
            return False
        self._seen[key] = text
        return True


def _intervals(number: int, rate: int) -> timedelta:
    """How long so many sends take at a rate: rounded up, so that rounding never adds one."""
    return timedelta(microseconds=-(-number * _SECOND // rate))


def _instant(number: Any) -> datetime:
    """The stored number; what cannot be read is written over."""
    try:
        return parse_instant(number)
    except (TypeError, ValueError):
        return _LONG_AGO

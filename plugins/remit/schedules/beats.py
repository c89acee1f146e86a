"""The index by which a run finds the schedules that have a period ending in its interval.

A schedule that is not paused carries `beat`, its rhythm and its zone (`daily/Europe/Berlin`,
`weekly.monday/UTC`; `hourly` alone, since in every zone an hour ends within each hour). Which beats
strike in an interval is arithmetic, so the sparse index `gsi-beat` is asked for those alone, and
nothing has to be written after a run: the run of any interval, in whatever order, again or years
later, finds what there is by the same questions.

Beside it stands `slot`, one of 65,536 by the digest of the key: whoever has to share out the
schedules of a beat cuts the slots into ranges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from remit.aws.table import Pair
from remit.aws.tables import Tables
from remit.exports.zones import time_zone, time_zones
from remit.schedules.periods import WEEKDAYS, Cadence, Period, Rhythm, periods_ending_in
from remit.schedules.schedule import Schedule, schedule_in

INDEX = "gsi-beat"
PLACE = ("beat", "slot")
"""The attributes of a record that is in the index."""

SLOTS = 1 << 16

_PAGE = 100  # schedules that are read at once
_HOURLY = Cadence.HOURLY.value
_RHYTHMS = (
    Rhythm(Cadence.DAILY),
    Rhythm(Cadence.MONTHLY),
    *(Rhythm(Cadence.WEEKLY, weekday) for weekday in range(len(WEEKDAYS))),
)
"""Those whose beats differ from zone to zone."""


@dataclass(frozen=True)
class Slots:
    """A range of slots: `first` is in it, `end` is not."""

    first: int = 0
    end: int = SLOTS

    @classmethod
    def cut(cls, parts: int) -> list[Slots]:
        """All slots, in so many ranges."""
        edges = [SLOTS * part // parts for part in range(parts + 1)]
        return [cls(first, end) for first, end in pairwise(edges)]


def beat_of(schedule: Schedule) -> str:
    """The beat of a schedule."""
    return _beat(schedule.rhythm, schedule.timezone)


def place_of(schedule: Schedule) -> dict[str, Any]:
    """The attributes that put a schedule into the index; none while it is paused."""
    if schedule.paused_at is not None:
        return {}
    key = f"{schedule.merchant_id}\n{schedule.id}"
    slot = int.from_bytes(hashlib.sha256(key.encode()).digest()[:2], "big")
    return {"beat": beat_of(schedule), "slot": slot}


def beats_in(start: datetime, end: datetime) -> list[str]:
    """The beats of which a period may end after `start` and no later than `end`."""
    found = [_HOURLY] if start < end else []
    for name in sorted(time_zones()):
        zone = time_zone(name)
        # Weeks and months end with a day.
        if any(True for _ in periods_ending_in(start, end, Rhythm(Cadence.DAILY), zone)):
            found += [
                _beat(rhythm, name)
                for rhythm in _RHYTHMS
                if any(True for _ in periods_ending_in(start, end, rhythm, zone))
            ]
    return found


class ScheduleIndex:
    """Finds schedules by the periods that end in an interval."""

    def __init__(self, tables: Tables) -> None:
        self._schedules = tables.schedules

    def count(self, beats: Sequence[str], most: int) -> int:
        """How many schedules have one of these beats, counted to `most` at the most."""
        counted = 0
        for beat in beats:
            if counted < most:
                counted += self._schedules.count(
                    "#beat = :beat", {"beat": beat}, most=most - counted, index=INDEX
                )
        return counted

    def ending_in(
        self, start: datetime, end: datetime, slots: Slots = Slots()
    ) -> Iterator[tuple[Schedule, Sequence[Period]]]:
        """The schedules in these slots with the periods that end after `start` and no later than
        `end`, at least one each. The index may be a moment behind: the records themselves are
        read, and decide.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        for schedule in self._in_slots(beats_in(start, end), slots):
            if periods := tuple(schedule.periods_ending_in(start, end)):
                yield schedule, periods

    def _in_slots(self, beats: Sequence[str], slots: Slots) -> Iterator[Schedule]:
        keys: list[Pair] = []
        for key in self._keys(beats, slots):
            keys.append(key)
            if len(keys) == _PAGE:
                yield from self._read(keys)
                keys = []
        yield from self._read(keys)

    def _keys(self, beats: Sequence[str], slots: Slots) -> Iterator[Pair]:
        for beat in beats:
            for item in self._schedules.query(
                "#beat = :beat AND #slot BETWEEN :first AND :last",
                {"beat": beat, "first": slots.first, "last": slots.end - 1},
                index=INDEX,
            ):
                yield self._schedules.key_of(item)

    def _read(self, keys: Sequence[Pair]) -> Iterator[Schedule]:
        for record in self._schedules.get_many(keys).values():
            yield schedule_in(record)


def _beat(rhythm: Rhythm, timezone: str) -> str:
    hourly = rhythm.cadence is Cadence.HOURLY
    return _HOURLY if hourly else f"{rhythm}/{timezone}"

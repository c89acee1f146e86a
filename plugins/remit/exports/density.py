"""Cutting a range of the index into slices with the same number of records each.

Payments do not come evenly: a sale makes one day hold as many as the rest of the month. So the
range is probed: at many places, the next few records are read, and the time that they span is the
density there. Where many records are expected, it is probed again more finely. The cuts then go
where equal parts of the records are, by what the probes say.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

PROBE_RECORDS = 20
"""Records that one probe reads: 1.5 capacity units at 500 bytes a record."""

PROBES_PER_SLICE = 32
"""Their number decides how even the slices are, and each costs a request: a few wide slices take
few. They read 640 records for a slice of half a million."""

FEWEST_PROBES, MOST_PROBES = 64, 2048

_FIRST_ROUND = 2 / 3
_SHORTEST_CELL = timedelta(seconds=2)


@dataclass(frozen=True)
class Probe:
    """What is at a place of the index: `count` records from there on, the last of them at `last`.

    `last` is None if these are all up to the end of the range.
    """

    count: int
    last: datetime | None


ProbeAll = Callable[[Sequence[datetime]], Sequence[Probe]]
"""Probes several places at once."""


@dataclass(order=True, frozen=True)
class _Place:
    at: datetime
    probe: Probe = field(compare=False)


def cuts(
    start: datetime,
    end: datetime,
    probe_all: ProbeAll,
    *,
    expected: int,
    slice_rows: int,
    most_slices: int,
    small_rows: int = 0,
    fewest_probes: int = FEWEST_PROBES,
) -> list[datetime]:
    """The times at which to cut the range from `start` to `end`; none, if one slice is enough.

    At most `most_slices` slices, each of about `slice_rows` records unless that takes more.
    Up to `small_rows` records stay together. `expected` is a first guess at the records, by which
    the probes are counted: `fewest_probes` for one slice, up to `MOST_PROBES`.
    """
    slices = min(most_slices, -(-expected // slice_rows))
    probes = min(max(slices * PROBES_PER_SLICE, fewest_probes), MOST_PROBES)
    places = _probed(start, end, probe_all, probes, slice_rows / 4)
    cells = _cells(places, end)
    weights = [one.records for one in cells]
    total = sum(weights)
    count = min(most_slices, int(-(-total // slice_rows)))
    if count < 2 or total <= small_rows:
        return []
    found: list[datetime] = []
    passed = 0.0
    for cell in cells:
        while cell.records and len(found) + 1 < count:
            wanted = total * (len(found) + 1) / count
            if wanted > passed + cell.records:
                break
            found.append(cell.start + (wanted - passed) / cell.records * cell.width)
        passed += cell.records
    # The index is cut at whole seconds, and a slice is not empty.
    whole = dict.fromkeys(one.replace(microsecond=0) for one in found)
    return [one for one in whole if start < one < end]


@dataclass(frozen=True)
class _Cell:
    """From one place to the next: what is expected there, and what there may be."""

    start: datetime
    width: timedelta
    records: float
    at_most: float


def _probed(
    start: datetime, end: datetime, probe_all: ProbeAll, probes: int, heavy: float
) -> list[_Place]:
    """Places in their order: first an even grid, then more where there may be much."""
    first = max(min(int(probes * _FIRST_ROUND), int((end - start) / _SHORTEST_CELL)), 1)
    grid = [start + (end - start) * number / first for number in range(first)]
    places = sorted(map(_Place, grid, probe_all(grid)))
    while room := probes - len(places):
        unclear = sorted(
            (cell for cell in _cells(places, end) if cell.at_most > heavy),
            key=lambda cell: cell.at_most,
            reverse=True,
        )
        finer = [one.start + one.width / 2 for one in unclear if one.width > _SHORTEST_CELL][:room]
        if not finer:
            break
        for place in map(_Place, finer, probe_all(finer)):
            insort(places, place)
    return places


def _cells(places: Sequence[_Place], end: datetime) -> list[_Cell]:
    """The cells between the places, and from the last one to the end of the range.

    A probe that reaches into the next cell has counted its own. Otherwise the density goes from
    that of this place to that of the next.
    """
    nexts = [*((one.at, _density(one)) for one in places[1:]), (end, None)]
    cells = []
    for place, (after, density_after) in zip(places, nexts, strict=True):
        width, density = after - place.at, _density(place)
        probe, seconds = place.probe, width.total_seconds()
        if probe.last is None or probe.last >= after:
            share = 1.0 if probe.last is None else width / (probe.last - place.at)
            cells.append(_Cell(place.at, width, probe.count * share, probe.count))
            continue
        other = density if density_after is None else density_after
        records, most = (density + other) / 2 * seconds, max(density, other) * seconds
        cells.append(_Cell(place.at, width, records, most))
    return cells


def _density(place: _Place) -> float:
    """Records per second behind a place."""
    if place.probe.last is None:
        return 0.0
    return place.probe.count / max((place.probe.last - place.at).total_seconds(), 1e-3)

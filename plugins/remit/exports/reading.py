"""Reading a job's records: pages of a range of the index, and probes of its density."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any

from remit.aws.at_once import at_once
from remit.aws.pace import Pace
from remit.aws.pages import Page
from remit.aws.prefetch import prefetched
from remit.aws.query import RawQuery
from remit.errors import Interrupted
from remit.exports.density import PROBE_RECORDS, Probe
from remit.exports.keyranges import (
    KeyRange,
    outer_edges,
    query_for,
    share_before,
    wall_clock,
    wall_clock_of,
)
from remit.exports.reports import Source
from remit.exports.work import Work
from remit.services import Services
from remit.stop import Stop

_PROBES_AT_ONCE = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _ProbePace(Pace):
    """The pace of probes. Whoever is throttled backs off, and that is enough: a probe reads next to
    nothing, and half of the rate that it has reached would be a standstill."""

    def throttled(self) -> None:
        """Stay within the budget, as before."""


class Reader:
    """Reads one source for one piece of work; counts what that costs.

    `budget`: the capacity units per second that it may take; None: any number.
    """

    def __init__(
        self, services: Services, stop: Stop, work: Work, source: Source, budget: float | None
    ) -> None:
        self._services = services
        self._stop = stop
        self._work = work
        self.source = source
        self._table = services.tables.name_of(source.table)
        self._budget = budget
        self.capacity_units = 0.0
        self.percent = 0.0
        """How much of its range has been read, by the place in the index that was reached."""

    @contextmanager
    def pages(self, keys: KeyRange, check: Callable[[], None]) -> Iterator[Iterator[Page]]:
        """The pages of a range, read ahead; `check` may end the wait for the next one."""
        query = self._query(Pace(self._budget))
        with _for_the_block(check) as wanted:
            ahead = prefetched(query.pages(self._request(keys), check=wanted), check=check)
            try:
                yield self._counted(ahead, keys)
            finally:
                ahead.close()

    def _counted(self, pages: Iterator[Page], keys: KeyRange) -> Iterator[Page]:
        for page in pages:
            self.capacity_units += page.capacity_units
            self.percent = self._percent(keys, self.range_text(page.last_key))
            yield page

    def _percent(self, keys: KeyRange, reached: str | None) -> float:
        if reached is None:
            return 100.0
        start, end = (wall_clock_of(text, _EPOCH) for text in (keys.first, keys.last))
        return 100 * share_before(start, end, reached)

    def range_text(self, key: dict[str, Any] | None) -> str | None:
        """The range attribute of a key of the index."""
        return None if key is None else key.get(self.source.range.name, {}).get("S")

    def probe_all(self, places: Sequence[datetime], check: Callable[[], None]) -> list[Probe]:
        """Probe the index at several places of the work's span; `check` may end it at any time.

        Raises:
            StoreUnavailable: a place could not be probed time and again.
        """
        with _for_the_block(check) as wanted:
            shares = at_once(
                [
                    partial(self._probe_some, query, places[first::_PROBES_AT_ONCE], wanted)
                    for first, query in enumerate(self._probers)
                ],
                check,
            )
        probes: list[Probe] = [Probe(0, None)] * len(places)
        for first, (found, units) in enumerate(shares):
            probes[first::_PROBES_AT_ONCE] = found
            self.capacity_units += units
        return probes

    @cached_property
    def _probers(self) -> list[RawQuery]:
        """One for each thread: they are as patient as whoever reads pages, within its budget."""
        share = self._budget / _PROBES_AT_ONCE if self._budget else None
        return [self._query(_ProbePace(share)) for _ in range(_PROBES_AT_ONCE)]

    def _probe_some(
        self, query: RawQuery, places: Sequence[datetime], check: Callable[[], None]
    ) -> tuple[list[Probe], float]:
        """The probes at some places, and the capacity units that they took."""
        _, end = outer_edges(self._work.span)
        probes, units = [], 0.0
        for at in places:
            check()
            request = self._request(KeyRange(wall_clock(at), wall_clock(end)))
            page = next(query.pages({**request, "Limit": PROBE_RECORDS}, check=check))
            last = self.range_text(page.last_key)
            probes.append(Probe(page.count, wall_clock_of(last, end) if last else None))
            units += page.capacity_units
        return probes, units

    def _query(self, pace: Pace) -> RawQuery:
        endpoint = self._services.tables.client.meta.endpoint_url
        return RawQuery(self._services.aws, endpoint, self._stop, pace=pace)

    def _request(self, keys: KeyRange) -> dict[str, Any]:
        return query_for(self.source, self._table, self._work.job.merchant_id, keys)


@contextmanager
def _for_the_block(check: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """The check for threads that work for the block: it also ends those that outlast it, whose
    requests nobody waits for any more."""
    over = threading.Event()

    def wanted() -> None:
        if over.is_set():
            raise Interrupted("nobody waits for it any more")
        check()

    try:
        yield wanted
    finally:
        over.set()

"""Reading a job's records: pages of a range of the index, and probes of its density."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from remit.aws.pace import Pace
from remit.aws.pages import Page
from remit.aws.prefetch import prefetched
from remit.aws.query import RawQuery
from remit.aws.session import store_errors
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


class Reader:
    """Reads one source for one piece of work; counts what that costs."""

    def __init__(
        self, services: Services, stop: Stop, work: Work, source: Source, budget: float | None
    ) -> None:
        self._services = services
        self._stop = stop
        self._work = work
        self.source = source
        self._table = services.tables.name_of(source.table)
        self._pace = Pace(budget)
        self.capacity_units = 0.0
        self.last_text: str | None = None

    @contextmanager
    def pages(self, keys: KeyRange, check: Callable[[], None]) -> Iterator[Iterator[Page]]:
        """The pages of a range, read ahead; `check` may end the wait for the next one."""
        endpoint = self._services.tables.client.meta.endpoint_url
        query = RawQuery(self._services.aws, endpoint, self._stop, pace=self._pace)
        request = query_for(self.source, self._table, self._work.job.merchant_id, keys)
        ahead = prefetched(query.pages(request), check=check)
        try:
            yield self._counted(ahead)
        finally:
            ahead.close()

    def _counted(self, pages: Iterator[Page]) -> Iterator[Page]:
        for page in pages:
            self.capacity_units += page.capacity_units
            self.last_text = self.range_text(page.last_key)
            yield page

    def range_text(self, key: dict[str, Any] | None) -> str | None:
        """The range attribute of a key of the index."""
        return None if key is None else key.get(self.source.range.name, {}).get("S")

    def percent_of(self, keys: KeyRange) -> float:
        """How much of a range has been read, by the place in the index that was reached."""
        if self.last_text is None:
            return 100.0
        start, end = (wall_clock_of(text, _EPOCH) for text in (keys.first, keys.last))
        return 100 * share_before(start, end, self.last_text)

    def probe_all(self, places: Sequence[datetime]) -> list[Probe]:
        """Probe the index at several places of the work's span."""
        with ThreadPoolExecutor(_PROBES_AT_ONCE) as threads:
            return list(threads.map(self._probe, places))

    def _probe(self, at: datetime) -> Probe:
        self._stop.check()
        _, end = outer_edges(self._work.span)
        keys = KeyRange(wall_clock(at), wall_clock(end))
        request = query_for(self.source, self._table, self._work.job.merchant_id, keys)
        with store_errors(f"probe {self._table}"):
            answer = self._services.tables.client.query(
                **request, Limit=PROBE_RECORDS, ReturnConsumedCapacity="TOTAL"
            )
        self.capacity_units += answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        last = self.range_text(answer.get("LastEvaluatedKey"))
        return Probe(answer["Count"], wall_clock_of(last, end) if last is not None else None)

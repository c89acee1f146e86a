"""The export engine: claim ► prepare ► render ► publish, the same for every entrance.

A small export is rendered and published by the worker that prepared it. A large one is cut into
slices, which other workers render into staging, and published by whoever comes last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cached_property
from itertools import chain

from remit.aws.objects import UploadGone
from remit.aws.pages import Page
from remit.errors import ExportFailed, Interrupted, LeaseLost
from remit.exports.announce import announcement
from remit.exports.density import FEWEST_PROBES, cuts
from remit.exports.heartbeat import Heartbeat
from remit.exports.keyranges import KeyRange, estimate, key_ranges, outer_edges
from remit.exports.last_error import LastError, end_of_last_round
from remit.exports.publishing import MOST_FILES, Publisher, staged
from remit.exports.reading import Reader
from remit.exports.report_digest import ReportChanged, report_digest
from remit.exports.reports import ReportLibrary
from remit.exports.slices import RenderedSlice, Slice
from remit.exports.store import ExportStore
from remit.exports.work import Work
from remit.queue import Claim
from remit.services import Services
from remit.stop import Stop

log = logging.getLogger(__name__)

FIRST_PAGES = 4
"""Pages that are read before an export that goes on counts as anything but small: a range may
begin in a quiet time."""

PROBES_PER_DAY = 2
"""Probes of a range that may be large, at least: no day lies between two of them."""

RENDERED_AT_ONCE = 16
"""Slices of one export that are rendered at the same time, at most (see the DAG)."""

Check = Callable[[], None]

_MOVED = (ExportFailed, LeaseLost, UploadGone)
"""Errors that leave nothing to give back: the job is, or will be, in another state."""


class ExportPipeline:
    """The engine on one set of services; `stop` ends it between two frames.

    Its stages raise
        ExportFailed: the export cannot succeed; the job has been moved to `failed` and says why.
        LeaseLost: another worker has taken the export over, or it was canceled; nothing was
            changed.
        anything else: try again. The job tells why, see `remit.exports.last_error`; a small export
            was given back, due after a wait, and the slices of a large one stay their run's.
    """

    def __init__(self, services: Services, stop: Stop) -> None:
        self.services = services
        self.settings = services.settings
        self.stop = stop
        self.store = ExportStore(services.export_queue, services.settings, services.clock)
        self._publisher = Publisher(services, self.store)

    @cached_property
    def reports(self) -> ReportLibrary:
        """The reports of the deployment. Their SQL is checked when it is used: an export needs one
        of them, and to check one takes longer than to read many a small export."""
        return ReportLibrary(self.settings.reports, check=lambda report: None)  # noqa: ARG005

    def prepare(self, claim: Claim) -> list[Slice]:
        """Finish a small export, or cut a large one into slices (none: it is finished)."""
        with self._tidy(claim.key), self._failing_the_job(claim), self._orderly(claim):
            self._check_attempts(claim)
            work = self._work(claim)
            log.info("export %s of %s: %s", work.job.id, work.job.merchant_id, work.job.request)
            if work.generation > 1:
                self._publisher.sweep(claim.key)
            with self._heartbeat(claim, self.settings.export_lease) as heartbeat:
                slices = self._export_or_cut(work, heartbeat)
            if slices:
                self.store.await_workers(claim, len(slices))
                log.info("export %s is large: %d slices", work.job.id, len(slices))
            return slices

    def _export_or_cut(self, work: Work, heartbeat: Heartbeat) -> list[Slice]:
        readers = self._readers(work, workers=1)
        check = self._check(heartbeat)
        (keys,) = key_ranges(work.span)
        with readers[0].pages(keys, check) as pages:
            work.form  # noqa: B018 - loads the engine, while DynamoDB answers
            first, more = _first_pages(pages, self.settings.small_export_rows)
            slices = self._cut(work, readers[0], first, check) if more else []
            if slices:
                return slices
            (whole,) = self._slices(work, [keys])
            again = chain(_emptied(first), pages)
            rendered = self._render(work, whole, readers, again, heartbeat, alone=True)
        self._publish(work, [rendered], heartbeat)
        return []

    def render(self, piece: Slice) -> RenderedSlice:
        """Render one slice of a large export into staging."""
        with self._tidy(piece.export_id):
            claim = self.store.resume(piece)
            with self._failing_the_job(claim), self._noting(claim):
                return self._render_slice(self._work_on(claim, piece), piece)

    def _render_slice(self, work: Work, piece: Slice) -> RenderedSlice:
        count = int(work.claim.item.get("slices", 1))
        readers = self._readers(work, workers=min(count, RENDERED_AT_ONCE))
        lease = self.settings.export_queue_lease
        with (
            self._heartbeat(work.claim, lease, piece.number) as heartbeat,
            readers[0].pages(piece.keys, self._check(heartbeat)) as pages,
        ):
            rendered = self._render(work, piece, readers, pages, heartbeat, alone=count == 1)
        self.store.slice_done(work.claim, piece.number, rendered.rows, rendered.bytes)
        return rendered

    def publish(self, rendered: Sequence[RenderedSlice]) -> None:
        """Compose the slices of a large export into its files and complete the job."""
        piece = rendered[0].slice
        with self._tidy(piece.export_id):
            claim = self.store.resume(piece)
            with self._failing_the_job(claim), self._noting(claim):
                work = self._work_on(claim, piece)
                with self._heartbeat(claim, self.settings.export_queue_lease) as heartbeat:
                    self._publish(work, rendered, heartbeat)

    def sweep(self, export_id: str) -> None:
        """Remove everything that will never count from S3; of a canceled export, all there is.

        Raises:
            StoreUnavailable: not everything is removed; do it again.
        """
        self._publisher.sweep(export_id)

    def _render(
        self,
        work: Work,
        piece: Slice,
        readers: Sequence[Reader],
        pages: Iterator[Page],
        heartbeat: Heartbeat,
        *,
        alone: bool,
    ) -> RenderedSlice:
        """Render the pages of the first reader's source, and the whole range of the others."""
        from remit.exports.rendering import Rendering  # slow to import

        check = self._check(heartbeat)

        def progress(rows: int, size: int) -> None:
            check()
            heartbeat.report(rows, size, sum(one.percent for one in readers) / len(readers))

        with ExitStack() as stack:
            feeds = {readers[0].source.name: pages}
            for other in readers[1:]:
                (keys,) = key_ranges(work.span)
                feeds[other.source.name] = stack.enter_context(other.pages(keys, check))
            rendering = Rendering(self.services, work, piece, alone=alone)
            rendering.run(feeds, progress)
        return rendering.result(sum(one.capacity_units for one in readers))

    def _publish(self, work: Work, rendered: Sequence[RenderedSlice], heartbeat: Heartbeat) -> None:
        self._check_rejects(rendered)
        result = self._publisher.publish(work, rendered, self._check(heartbeat))
        news = {"rows": result["rows"], "bytes": result["bytes"], "rejects": result["rejects"]}
        merchant, export = work.job.merchant_id, work.job.id
        outbox = announcement(self.services, merchant, export, "completed", news)
        self.store.complete(work.claim, result, outbox)
        log.info("export %s: %d rows, %d bytes", export, result["rows"], result["bytes"])
        if work.generation > 1 or staged(work, rendered):
            self._publisher.tidy(export)

    def _check_rejects(self, rendered: Sequence[RenderedSlice]) -> None:
        rejected = sum(one.rejects.rows for one in rendered if one.rejects)
        if rejected > self.settings.max_rejects:
            raise ExportFailed(
                "too_many_rejects",
                f"{rejected} records cannot be read, and at most {self.settings.max_rejects} may "
                "be left out",
            )

    def _cut(self, work: Work, reader: Reader, first: Sequence[Page], check: Check) -> list[Slice]:
        """As many slices as the records call for; none for a small export, or one that cannot be
        cut."""
        if not work.report.sliced or work.form.renderer.max_rows is not None:
            return []
        rows = sum(page.count for page in first)
        expected = estimate(work.span, rows, reader.range_text(first[-1].last_key))
        start, end = outer_edges(work.span)
        # The first pages may be of a quiet time, and one day of a year may hold most of it.
        days = (end - start) // timedelta(days=1)
        most = self.settings.max_slices
        found = cuts(
            start,
            end,
            lambda places: reader.probe_all(places, check),
            expected=expected,
            slice_rows=self.settings.slice_rows,
            most_slices=most if work.in_one_file else min(most, MOST_FILES),
            small_rows=self.settings.small_export_rows,
            fewest_probes=max(days * PROBES_PER_DAY, FEWEST_PROBES),
        )
        ranges = key_ranges(work.span, found)
        return self._slices(work, ranges) if len(ranges) > 1 else []

    def _slices(self, work: Work, ranges: Sequence[KeyRange]) -> list[Slice]:
        claim, attempt, digest = work.claim, int(work.claim.item["attempts"]), self._digest(work)
        return [
            Slice(claim.key, claim.token, number, keys, attempt, digest)
            for number, keys in enumerate(ranges)
        ]

    def _work(self, claim: Claim) -> Work:
        return Work.of(claim, self.reports, self.settings, self.services.clock())

    def _work_on(self, claim: Claim, piece: Slice) -> Work:
        """The work that a slice was cut from.

        Raises:
            ReportChanged: its report is another by now, or this worker's is.
        """
        work = self._work(claim)
        if self._digest(work) != piece.report_digest:
            raise ReportChanged(
                f"the report {work.report.name!r}, its sources, the transform or Remit's version "
                "are not those that the export was cut with"
            )
        return work

    def _digest(self, work: Work) -> str:
        return report_digest(work.report, self.settings.transform)

    def _readers(self, work: Work, *, workers: int) -> list[Reader]:
        """One for each source. All of them, and so many workers, share the export's budget."""
        sources, budget = work.report.sources, self.settings.read_budget
        share = budget / workers / len(sources) if budget else None
        return [Reader(self.services, self.stop, work, one, share) for one in sources]

    def _heartbeat(self, claim: Claim, lease: timedelta, number: int = 0) -> Heartbeat:
        return Heartbeat(self.store.queue, claim, lease, number)

    def _check(self, heartbeat: Heartbeat) -> Check:
        def check() -> None:
            heartbeat.check()
            self.stop.check()

        return check

    def _check_attempts(self, claim: Claim) -> None:
        limit = self.settings.export_attempts
        if int(claim.item["attempts"]) > limit:
            raise ExportFailed(
                "too_many_attempts",
                f"the export was tried {limit} times in vain; the last time: "
                f"{end_of_last_round(claim.item)}",
            )

    @contextmanager
    def _tidy(self, export_id: str) -> Iterator[None]:
        """Leave nothing on S3 of work that will never count: its claim was lost, or it failed."""
        try:
            yield
        except (LeaseLost, ExportFailed):
            self._publisher.tidy(export_id)
            raise

    @contextmanager
    def _orderly(self, claim: Claim) -> Iterator[None]:
        """Leave in good order: the claim is given back, so that nobody waits for its lease. A stop
        leaves the export due, and an error puts it off; refusals end it after a while."""
        try:
            yield
        except _MOVED:
            raise
        except Interrupted:
            self.store.release(claim)
            raise
        except Exception as error:
            last = self._last_error(claim, error)
            if last.refused_too_long(self.services.clock()):
                raise ExportFailed(
                    "refused_too_long", f"for a day, whenever it was tried: {last.kind.message}"
                ) from error
            self.store.put_off(claim, last)
            raise

    @contextmanager
    def _noting(self, claim: Claim) -> Iterator[None]:
        """Write down why a slice failed. The claim stays its run's, whose tasks are tried again,
        unless the slices do not fit together any more: then the export begins anew."""
        try:
            yield
        except (*_MOVED, Interrupted):
            raise
        except ReportChanged as changed:
            self.store.put_off(claim, self._last_error(claim, changed))
            log.warning("export %s begins anew: %s", claim.key, changed)
            raise LeaseLost(f"export {claim.key} begins anew: {changed}") from changed
        except Exception as error:
            self.store.note(claim, self._last_error(claim, error))
            raise

    def _last_error(self, claim: Claim, error: Exception) -> LastError:
        return LastError.after(error, claim.item, self.services.clock())

    @contextmanager
    def _failing_the_job(self, claim: Claim) -> Iterator[None]:
        """Write a terminal failure into the job before it is raised on."""
        try:
            yield
        except UploadGone as gone:
            # Whoever aborts an upload has claimed the export first.
            raise LeaseLost(f"export {claim.key}: {gone}") from gone
        except ExportFailed as failed:
            news = {"error": {"code": failed.code, "message": str(failed)}}
            merchant = claim.item.get("merchantID")
            outbox = announcement(self.services, merchant, claim.key, "failed", news)
            self.store.fail(claim, failed.code, str(failed), outbox)
            log.error("export %s failed: %s: %s", claim.key, failed.code, failed)  # noqa: TRY400
            raise


def _first_pages(pages: Iterator[Page], small_rows: int) -> tuple[list[Page], bool]:
    """The first pages, and whether there may be more records than a small export has."""
    first: list[Page] = []
    rows = 0
    for page in pages:
        first.append(page)
        rows += page.count
        if rows > small_rows or len(first) == FIRST_PAGES:
            return first, rows > small_rows or page.last_key is not None
    return first, False


def _emptied(first: list[Page]) -> Iterator[Page]:
    """The pages in order; each is let go of as it is taken."""
    first.reverse()
    while first:
        yield first.pop()

"""The export engine: claim ► prepare ► render ► publish, the same for every entrance.

A small export is rendered and published by the worker that prepared it. A large one is cut into
slices, which other workers render into staging, and published by whoever comes last.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from remit.aws.compose import compose
from remit.aws.objects import ObjectWriter, StoredObject, Target
from remit.aws.prefetch import prefetched
from remit.aws.query import Page, QueryRefused, RawQuery
from remit.errors import ConfigurationError, ExportFailed, Interrupted, Transient
from remit.exports.announce import announcement
from remit.exports.heartbeat import Heartbeat
from remit.exports.job import ExportJob, read_job
from remit.exports.layout import Layout
from remit.exports.manifest import checksums, manifest
from remit.exports.reports import Report, load_reports
from remit.exports.request import TimeRange
from remit.exports.slices import RenderedSlice, Slice
from remit.exports.source import KeyRange, estimate, key_ranges, query_for
from remit.exports.store import ExportStore
from remit.queue import Claim
from remit.services import Services
from remit.stop import Stop

if TYPE_CHECKING:
    from remit.exports.render import Renderer

log = logging.getLogger(__name__)


class ExportPipeline:
    """The engine on one set of services; `stop` ends it between two frames.

    Its stages raise
        ExportFailed: the export cannot succeed; the job has been moved to `failed` and says why.
        LeaseLost: another worker has taken the export over; nothing was changed.
        Transient: try again; the claim stays with its owner.
    """

    def __init__(self, services: Services, stop: Stop) -> None:
        self._services = services
        self.settings = services.settings
        self.stop = stop
        self.store = ExportStore(services.export_queue, services.settings, services.clock)

    def prepare(self, claim: Claim) -> list[Slice]:
        """Finish a small export, or cut a large one into slices (none: it is finished)."""
        with self._orderly(claim), self._failing_the_job(claim):
            self._check_attempts(claim)
            job = self._job(claim)
            (keys,) = key_ranges(self._span(job))
            whole = Slice(claim.key, claim.token, 0, keys)
            with closing(prefetched(self._pages(job, keys))) as pages:
                return self._export_or_cut(claim, job, whole, pages)

    def _export_or_cut(
        self, claim: Claim, job: ExportJob, whole: Slice, pages: Iterator[Page]
    ) -> list[Slice]:
        renderer = self._renderer(job)  # loads the engine, while DynamoDB answers
        first = next(pages)
        slices = self._slices(claim, job, first) if renderer.joinable else []
        if slices:
            lease = self.settings.export_queue_lease
            self.store.queue.extend(claim, lease, {"slices": len(slices)})
            log.info("export %s is large: %d slices", job.id, len(slices))
            return slices
        key = self._layout(claim, job).file
        lease = self.settings.export_lease
        rendered = self._render(claim, job, whole, chain([first], pages), key=key, lease=lease)
        self._publish(claim, job, [rendered])
        return []

    def render(self, piece: Slice) -> RenderedSlice:
        """Render one slice of a large export into staging."""
        claim = self._resume(piece)
        with self._failing_the_job(claim):
            job = self._job(claim)
            key = self._layout(claim, job).slice(piece.number)
            lease = self.settings.export_queue_lease
            with closing(prefetched(self._pages(job, piece.keys))) as pages:
                rendered = self._render(claim, job, piece, pages, key=key, lease=lease)
            self.store.slice_done(claim, piece.number, rendered.rows, rendered.object.bytes)
            return rendered

    def publish(self, rendered: Sequence[RenderedSlice]) -> None:
        """Compose the slices of a large export into its file and complete the job."""
        rendered = sorted(rendered, key=lambda one: one.slice.number)
        claim = self._resume(rendered[0].slice)
        objects = [one.object for one in rendered]
        with self._failing_the_job(claim):
            job = self._job(claim)
            target = self._target(job, self._layout(claim, job), None)
            with Heartbeat(self.store.queue, claim, self.settings.export_queue_lease):
                compose(self._services.s3, objects, target)
            self._publish(claim, job, rendered)
        self._drop(objects)

    def _render(
        self,
        claim: Claim,
        job: ExportJob,
        piece: Slice,
        pages: Iterable[Page],
        *,
        key: str,
        lease: timedelta,
    ) -> RenderedSlice:
        from remit.exports.engine import frames  # slow to import, see `_renderer`

        report = self._reports[job.request.report]
        layout = self._layout(claim, job)
        target = self._target(job, layout, key)
        rows, units = 0, 0.0

        def texts() -> Iterator[str]:
            nonlocal units
            for page in pages:
                units += page.capacity_units
                yield page.text

        with (
            Heartbeat(self.store.queue, claim, lease) as heartbeat,
            ObjectWriter(self._services.s3, target) as sink,
        ):
            renderer = self._renderer(job)(sink, report.columns, first=piece.number == 0)
            for frame in frames(report, job.request, self._span(job), texts()):
                renderer.write(frame)
                rows += len(frame)
                if key == layout.file:  # a slice counts when it is done: the others count, too
                    heartbeat.report(progressRows=rows, progressBytes=sink.bytes_written)
                heartbeat.check()
                self.stop.check()
            renderer.finish()
            stored = sink.commit()
        return RenderedSlice(piece, stored, rows, units)

    def _publish(self, claim: Claim, job: ExportJob, rendered: Sequence[RenderedSlice]) -> None:
        layout = self._layout(claim, job)
        segments = [one.object for one in rendered]
        rows = sum(one.rows for one in rendered)
        size = sum(segment.bytes for segment in segments)
        document = manifest(
            job,
            layout,
            self._reports[job.request.report],
            segments,
            rows=rows,
            capacity_units=sum(one.capacity_units for one in rendered),
        )
        target = Target(self.settings.bucket, layout.manifest, "application/json")
        with ObjectWriter(self._services.s3, target) as sink:
            sink.write(document)
            sink.commit()
        sums = checksums(segments)
        news = {
            "rows": rows,
            "bytes": size,
            "checksum": {"sha256": sums["sha256"], "crc64nvme": sums["crc64nvme"]},
        }
        result = {
            **news,
            "resultURL": f"s3://{self.settings.bucket}/{layout.file}",
            "resultKey": layout.file,
            "manifestKey": layout.manifest,
            "progressRows": rows,
            "progressBytes": size,
        }
        outbox = announcement(self._services, job.merchant_id, job.id, "completed", news)
        self.store.complete(claim, result, outbox)
        log.info("export %s: %d rows, %d bytes in %s", job.id, rows, size, layout.file)

    @cached_property
    def _reports(self) -> dict[str, Report]:
        return load_reports(self.settings.reports)

    def _job(self, claim: Claim) -> ExportJob:
        now = self._services.clock()
        expiry = now + self.settings.export_retention
        return read_job(claim.item, self._reports, now=now, default_expiry=expiry)

    def _resume(self, piece: Slice) -> Claim:
        """Take the claim up again; the wait for a worker may have outlasted the lease."""
        held = Claim(piece.export_id, piece.token, {})
        item = self.store.queue.extend(held, self.settings.export_queue_lease)
        return Claim(piece.export_id, piece.token, item)

    def _check_attempts(self, claim: Claim) -> None:
        limit = self.settings.export_attempts
        if int(claim.item["attempts"]) > limit:
            raise ExportFailed("too_many_attempts", f"the export was tried {limit} times in vain")

    def _slices(self, claim: Claim, job: ExportJob, first: Page) -> list[Slice]:
        """As many slices as the density of the first page calls for; none for a small export."""
        span = self._span(job)
        last = (first.last_key or {}).get("createdAt", {}).get("S")
        rows = estimate(span, first.count, last)
        count = min(self.settings.max_slices, -(-rows // self.settings.slice_rows))
        if rows <= self.settings.small_export_rows or count < 2:
            return []
        return [
            Slice(claim.key, claim.token, number, keys)
            for number, keys in enumerate(key_ranges(span, count))
        ]

    def _span(self, job: ExportJob) -> TimeRange:
        """The range that was asked for, up to the instant of the request."""
        span = job.request.range
        end = min(span.end, job.created_at)
        return TimeRange(min(span.start, end), end)

    def _pages(self, job: ExportJob, keys: KeyRange) -> Iterator[Page]:
        table = self._services.tables.payments
        query = RawQuery(self._services.aws, table.client.meta.endpoint_url, self.stop)
        return query.pages(query_for(table.name, job.merchant_id, keys))

    def _layout(self, claim: Claim, job: ExportJob) -> Layout:
        return Layout(job, int(claim.item["generation"]), self._renderer(job).extension)

    def _target(self, job: ExportJob, layout: Layout, key: str | None) -> Target:
        content_type = self._renderer(job).content_type
        bucket = self.settings.bucket
        return Target(bucket, key or layout.file, content_type, layout.disposition)

    def _renderer(self, job: ExportJob) -> type[Renderer]:
        # pandas, pyarrow and DuckDB take longer to import than most exports take to read.
        from remit.exports.render import RENDERERS

        return RENDERERS[job.request.format]

    def _drop(self, staged: Sequence[StoredObject]) -> None:
        """Delete staged slices. What stays is harmless: the bucket's lifecycle rule removes it."""
        for one in staged:
            try:
                self._services.s3.delete_object(Bucket=self.settings.bucket, Key=one.key)
            except (BotoCoreError, ClientError) as error:
                log.warning("%s is left to the lifecycle rule: %s", one.key, error)

    @contextmanager
    def _orderly(self, claim: Claim) -> Iterator[None]:
        """Leave in good order: a stop gives the claim back, so that nobody waits for its lease.
        What is no fault of the export (a stop, an outage, a permission that is missing, a report
        that is wrong) does not count against its attempts."""
        try:
            yield
        except Interrupted:
            self.store.release(claim)
            raise
        except (Transient, ClientError, QueryRefused, ConfigurationError):
            self.store.uncount(claim)
            raise

    @contextmanager
    def _failing_the_job(self, claim: Claim) -> Iterator[None]:
        """Write a terminal failure into the job before it is raised on."""
        try:
            yield
        except ExportFailed as failed:
            news = {"error": {"code": failed.code, "message": str(failed)}}
            merchant = claim.item.get("merchantID")
            outbox = announcement(self._services, merchant, claim.key, "failed", news)
            self.store.fail(claim, failed.code, str(failed), outbox)
            log.error("export %s failed: %s: %s", claim.key, failed.code, failed)  # noqa: TRY400
            raise

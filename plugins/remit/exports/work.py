"""What one claim asks for, worked out once: the job, its report, its span, its files' form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from remit.exports.job import ExportJob, read_job, report_of
from remit.exports.layout import Layout
from remit.exports.reports import Column, Report, ReportLibrary
from remit.exports.request import TimeRange
from remit.queue import Claim
from remit.settings import Settings

if TYPE_CHECKING:
    from remit.exports.engine import Selection
    from remit.exports.writing import Form


@dataclass(frozen=True)
class Work:
    """A claimed export, understood.

    `as_of` is the instant up to which creations count. It lies a settle lag before the request,
    because an index shows what was written only after a moment; so a second run of the same export
    sees the same records. `span` is the range that was asked for; where that is a range of
    creations, only up to `as_of`.
    """

    claim: Claim
    job: ExportJob
    report: Report
    span: TimeRange
    as_of: datetime

    @classmethod
    def of(cls, claim: Claim, library: ReportLibrary, settings: Settings, now: datetime) -> Work:
        """Read a claimed record.

        Raises:
            ExportFailed: the record does not describe an export.
            ReportError: its report's file is wrong.
        """
        reports = library.current()
        if (refused := reports.refused.get(report_of(claim.item))) is not None:
            raise refused.with_traceback(None)  # the one object is raised again and again
        expiry = now + settings.export_retention
        job = read_job(claim.item, reports.usable, now=now, default_expiry=expiry)
        report = reports.usable[job.request.report]
        as_of = job.created_at - settings.settle_lag
        by_creation = all(source.by_creation for source in report.sources)
        span = _until(job.request.range, as_of) if by_creation else job.request.range
        return cls(claim, job, report, span, as_of)

    @property
    def generation(self) -> int:
        """The claim's generation; all keys carry it."""
        return int(self.claim.item["generation"])

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the files."""
        return self.report.select(self.job.request.columns)

    @property
    def layout(self) -> Layout:
        """The keys of this generation."""
        from remit.exports.render import ENCODINGS

        extension = self.form.renderer.extension
        if (encoding := ENCODINGS.get(self.job.request.compression)) is not None:
            extension += f".{encoding.extension}"
        return Layout(self.job, self.generation, extension)

    @property
    def content_type(self) -> str:
        """The media type of the files."""
        from remit.exports.render import ENCODINGS

        encoding = ENCODINGS.get(self.job.request.compression)
        return encoding.content_type if encoding else self.form.renderer.content_type

    @property
    def form(self) -> Form:
        """What the files are made of."""
        # pandas, pyarrow and DuckDB take longer to import than most exports take to read.
        from remit.exports.render import RENDERERS
        from remit.exports.writing import Form

        request = self.job.request
        return Form(RENDERERS[request.format], request.compression, self.columns, self.report.sort)

    @property
    def selection(self) -> Selection:
        """What is wanted of the report."""
        from remit.exports.engine import Selection

        return Selection.of(self.report, self.job.request, self.span, self.as_of)

    @property
    def in_one_file(self) -> bool:
        """Whether the result is one file, however many slices there are."""
        return self.form.renderer.joinable and self.job.request.split_rows is None


def _until(span: TimeRange, end: datetime) -> TimeRange:
    end = min(span.end, end)
    return TimeRange(min(span.start, end), end)

"""Rendering one slice: frames of the engine, through the transform, into objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from remit.aws.objects import Encryption, ObjectWriter, Target
from remit.aws.pages import Page
from remit.exports.engine import frames
from remit.exports.rejects import Rejects
from remit.exports.slices import Part, RenderedSlice, Slice
from remit.exports.totals import Totals
from remit.exports.transform import load_transform
from remit.exports.work import Work
from remit.exports.writing import PartWriter
from remit.services import Services

REJECTS_TYPE = "application/x-ndjson"


class Rendering:
    """One slice on its way. `alone`: the only one, whose single file goes straight to its place."""

    def __init__(self, services: Services, work: Work, piece: Slice, *, alone: bool) -> None:
        self._services = services
        self._work = work
        self._piece = piece
        self._straight = alone and work.job.request.split_rows is None
        sources = {source.name: source for source in work.report.sources}
        self._rejects = Rejects(sources, services.settings.max_rejects)
        self._totals = Totals(work.columns)
        self._parts: tuple[Part, ...] = ()
        self._rejected: Part | None = None

    def run(
        self,
        feeds: Mapping[str, Iterable[Page]],
        report: Callable[[int, int], None],
        check: Callable[[], None],
    ) -> None:
        """Render everything; `report` is told rows and bytes, `check` may end it between frames."""
        work = self._work
        transform = load_transform(self._services.settings.transform)
        contents = {name: (page.content for page in pages) for name, pages in feeds.items()}
        with PartWriter(
            work.form,
            self._open,
            split_rows=work.job.request.split_rows,
            headed=self._piece.number == 0 or not work.in_one_file,
        ) as writer:
            for produced in frames(work.selection, contents, self._rejects):
                frame = transform(produced)
                self._totals.add(frame)
                writer.write(frame)
                report(writer.rows, writer.bytes_written)
                check()
            self._parts = writer.finish()
        self._rejected = self._store_rejects()

    def result(self, capacity_units: float) -> RenderedSlice:
        """What came of it."""
        return RenderedSlice(
            self._piece, self._parts, self._rejected, self._totals.sums(), capacity_units
        )

    def _open(self, part: int) -> ObjectWriter:
        layout = self._work.layout
        if self._straight:
            target = target_of(self._services, self._work, layout.file(), layout.file_name())
        else:
            key = layout.staged(self._piece.number, part)
            target = target_of(self._services, self._work, key, layout.file_name())
        return ObjectWriter(self._services.s3, target)

    def _store_rejects(self) -> Part | None:
        if not len(self._rejects):
            return None
        layout = self._work.layout
        key = layout.rejects if self._straight else layout.staged_rejects(self._piece.number)
        settings = self._services.settings
        target = Target(
            settings.bucket,
            key,
            REJECTS_TYPE,
            'attachment; filename="rejects.ndjson"',
            Encryption(settings.kms_key),
        )
        with ObjectWriter(self._services.s3, target) as sink:
            sink.write(self._rejects.lines())
            return Part(sink.commit(), len(self._rejects))


def target_of(services: Services, work: Work, key: str, file_name: str) -> Target:
    """Where a file goes, and the name that a browser saves it under."""
    return Target(
        services.settings.bucket,
        key,
        work.content_type,
        f'attachment; filename="{file_name}"',
        Encryption(services.settings.kms_key),
    )

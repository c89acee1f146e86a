"""Rendering one slice: frames of the engine, through the transform, into objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing

from remit.aws.objects import ObjectWriter
from remit.aws.pages import Page
from remit.exports.engine import frames
from remit.exports.publishing import MOST_FILES, rejects_target, target_of, too_many_files
from remit.exports.rejects import Rejects
from remit.exports.slices import Part, RenderedSlice, Slice
from remit.exports.totals import Totals
from remit.exports.transform import load_transform
from remit.exports.work import Work
from remit.exports.writing import PartWriter
from remit.services import Services


class Rendering:
    """One slice on its way. `alone`: the only one, whose single file goes straight to its place."""

    def __init__(self, services: Services, work: Work, piece: Slice, *, alone: bool) -> None:
        self._services = services
        self._work = work
        self._piece = piece
        self._straight = alone and work.job.request.split_rows is None
        self._rejects = Rejects.of(work.report, services.settings)
        self._totals = Totals(work.columns)
        self._parts: tuple[Part, ...] = ()
        self._rejected: Part | None = None
        self._written = (0, 0)

    def run(
        self, feeds: Mapping[str, Iterable[Page]], progress: Callable[[int, int], None]
    ) -> None:
        """Render everything. `progress` is told rows and bytes by now, after each page that is
        taken and each frame that is written: what it raises ends the work."""
        work = self._work
        transform = load_transform(self._services.settings.transform, work.columns)
        contents = {name: self._contents(pages, progress) for name, pages in feeds.items()}

        def check() -> None:
            progress(*self._written)

        produced = frames(work.selection, contents, self._rejects, check)
        with (
            closing(produced),
            PartWriter(
                work.form,
                lambda part: self._open(part, check),
                split_rows=work.job.request.split_rows,
                headed=self._piece.number == 0 or not work.in_one_file,
            ) as writer,
        ):
            for frame in map(transform, produced):
                self._totals.add(frame)
                writer.write(frame)
                self._written = (writer.rows, writer.bytes_written)
                progress(*self._written)
            self._parts = writer.finish()
        self._rejected = self._store_rejects()

    def result(self, capacity_units: float) -> RenderedSlice:
        """What came of it."""
        return RenderedSlice(
            self._piece, self._parts, self._rejected, self._totals.sums(), capacity_units
        )

    def _contents(
        self, pages: Iterable[Page], progress: Callable[[int, int], None]
    ) -> Iterator[bytes]:
        """The pages as the engine takes them, from a thread of DuckDB's: a report that adds up has
        no frame before its last page."""
        for page in pages:
            progress(*self._written)
            yield page.content

    def _open(self, part: int, check: Callable[[], None]) -> ObjectWriter:
        if part == MOST_FILES and not self._work.in_one_file:
            raise too_many_files(f"more than {MOST_FILES}")
        layout = self._work.layout
        key = layout.file() if self._straight else layout.staged(self._piece.number, part)
        target = target_of(self._services, self._work, key, layout.file_name())
        return ObjectWriter(self._services.s3, target, check)

    def _store_rejects(self) -> Part | None:
        if not len(self._rejects):
            return None
        layout = self._work.layout
        key = layout.rejects if self._straight else layout.staged_rejects(self._piece.number)
        with ObjectWriter(self._services.s3, rejects_target(self._services, key)) as sink:
            sink.write(self._rejects.lines())
            return Part(sink.commit(), len(self._rejects))

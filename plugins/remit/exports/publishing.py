"""Publishing: the rendered slices become files, the manifest says what they hold.

What is written here lies under keys of the claim's own generation, and counts only when the job
names it: until then, and ever after for a worker that lost its claim, it is not there for anyone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from remit.aws.compose import compose
from remit.aws.objects import Encryption, ObjectWriter, Target
from remit.aws.uploads import abort_uploads, delete_objects
from remit.clock import format_instant
from remit.errors import ExportFailed, NotFound, Transient
from remit.exports.layout import from_generation, results_of, staging_of
from remit.exports.manifest import File, manifest, range_of
from remit.exports.slices import Part, RenderedSlice
from remit.exports.store import ExportStore
from remit.exports.totals import merged
from remit.exports.work import Work
from remit.services import Services

log = logging.getLogger(__name__)

MOST_FILES = 200
"""Files of one export; the job's record, at most 400 KB, lists them all."""


class Publisher:
    """Writes the results of exports, and removes what is left of others."""

    def __init__(self, services: Services, store: ExportStore) -> None:
        self._services = services
        self._bucket = services.settings.bucket
        self._store = store

    def publish(
        self, work: Work, rendered: Sequence[RenderedSlice], check: Callable[[], None]
    ) -> dict[str, Any]:
        """Compose the files and write the manifest; returns the result as the job's record has it.

        Raises:
            ExportFailed: there would be too many files.
            StoreUnavailable: S3 did not take it.
        """
        rendered = sorted(rendered, key=lambda one: one.slice.number)
        files = self._files(work, rendered, check)
        rejects = self._rejects(work, rendered, check)
        totals = merged(one.totals for one in rendered)
        document = manifest(
            work.job,
            work.report,
            work.columns,
            files,
            generation=work.generation,
            as_of=work.as_of,
            rejects=rejects,
            totals=totals,
            capacity_units=sum(one.capacity_units for one in rendered),
        )
        check()
        self._write(work.layout.manifest, "application/json", document)
        return {
            "rows": sum(file.rows for file in files),
            "bytes": sum(file.bytes for file in files),
            "files": [file.record() for file in files],
            "checksum": {"sha256": files[0].sha256, "crc64nvme": files[0].crc64nvme},
            "resultKey": files[0].key,
            "resultURL": f"s3://{self._bucket}/{files[0].key}",
            "manifestKey": work.layout.manifest,
            "totals": totals,
            "range": range_of(work.job.request),
            "asOf": format_instant(work.as_of),
            "rejects": rejects.rows if rejects else 0,
            **({"rejectsKey": rejects.key} if rejects else {}),
        }

    def _files(
        self, work: Work, rendered: Sequence[RenderedSlice], check: Callable[[], None]
    ) -> list[File]:
        parts = [part for one in rendered for part in one.parts]
        if work.in_one_file:
            return [self._file(work, 0, parts, check)]
        parts = [part for part in parts if part.rows] or parts[:1]
        if len(parts) > MOST_FILES:
            raise too_many_files(str(len(parts)))
        if len(parts) == 1:
            return [self._file(work, 0, parts, check)]
        return [self._file(work, number, [one], check) for number, one in enumerate(parts, start=1)]

    def _file(
        self, work: Work, number: int, parts: Sequence[Part], check: Callable[[], None]
    ) -> File:
        """A file in its place: composed, unless it was written there."""
        key, name = work.layout.file(number), work.layout.file_name(number)
        segments = [part.object for part in parts]
        if [one.key for one in segments] != [key]:
            compose(
                self._services.s3, segments, target_of(self._services, work, key, name), check=check
            )
        return File(key, name, tuple(segments), sum(part.rows for part in parts))

    def _rejects(
        self, work: Work, rendered: Sequence[RenderedSlice], check: Callable[[], None]
    ) -> File | None:
        parts = [one.rejects for one in rendered if one.rejects]
        if not parts:
            return None
        key = work.layout.rejects
        segments = [part.object for part in parts]
        if [one.key for one in segments] != [key]:
            compose(self._services.s3, segments, rejects_target(self._services, key), check=check)
        return File(key, "rejects.ndjson", tuple(segments), sum(part.rows for part in parts))

    def _write(self, key: str, content_type: str, content: bytes) -> None:
        encryption = Encryption(self._services.settings.kms_key)
        target = Target(self._bucket, key, content_type, encryption=encryption)
        with ObjectWriter(self._services.s3, target) as sink:
            sink.write(content)
            sink.commit()

    def sweep(self, export_id: str) -> None:
        """Remove everything of an export that will never count: uploads and objects of generations
        that are over, but for the result that the job names.

        Generations only rise. One that is over stays so, whatever happens while this goes on: a
        claim that is taken meanwhile has a later one.

        Raises:
            NotFound: there is no such export.
            StoreUnavailable: not everything is removed; do it again.
            ClientError: S3 refuses, for want of a permission.
        """
        item = self._store.get(export_id)
        # Without a claim, the next one raises the generation: then this one is over, too.
        alive = int(item.get("generation", 0)) + ("claim" not in item)
        named = str(item.get("manifestKey", "")).rpartition("/")[0]
        results = results_of(str(item.get("merchantID", "")), export_id)
        for prefix in (results, staging_of(export_id)):
            later = from_generation(prefix, alive)

            def keep(key: str, later: Callable[[str], bool] = later) -> bool:
                return later(key) or key.rpartition("/")[0] == named

            aborted = abort_uploads(self._services.s3, self._bucket, prefix, later)
            deleted = delete_objects(self._services.s3, self._bucket, prefix, keep)
            if aborted or deleted:
                log.info(
                    "%s: %d uploads aborted, %d objects deleted",
                    prefix,
                    len(aborted),
                    len(deleted),
                )

    def tidy(self, export_id: str) -> None:
        """Sweep, if that is possible now: what stays does no harm, and the bucket's lifecycle
        rules remove it."""
        try:
            self.sweep(export_id)
        except (NotFound, Transient, ClientError) as error:
            log.warning("export %s is left to the lifecycle rules: %s", export_id, error)


def staged(work: Work, rendered: Sequence[RenderedSlice]) -> bool:
    """Whether something lies in staging: everything but the file of a small export does."""
    return any(
        not part.object.key.startswith(work.layout.folder) for one in rendered for part in one.parts
    )


def target_of(services: Services, work: Work, key: str, file_name: str) -> Target:
    """Where a file goes, and the name that a browser saves it under."""
    return _attachment(services, key, work.content_type, file_name)


def rejects_target(services: Services, key: str) -> Target:
    """Where a rejects file goes."""
    return _attachment(services, key, "application/x-ndjson", "rejects.ndjson")


def _attachment(services: Services, key: str, content_type: str, file_name: str) -> Target:
    settings = services.settings
    disposition = f'attachment; filename="{file_name}"'
    return Target(settings.bucket, key, content_type, disposition, Encryption(settings.kms_key))


def too_many_files(count: str) -> ExportFailed:
    """The failure of an export of so many files."""
    return ExportFailed(
        "too_many_files",
        f"the export would be {count} files, and at most {MOST_FILES} are possible: ask for a "
        "shorter range or a larger split_rows",
    )

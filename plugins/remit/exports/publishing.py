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
from remit.errors import ExportFailed, NotFound, Transient
from remit.exports.layout import from_generation, results_of, staging_of
from remit.exports.manifest import File, manifest
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
        document = manifest(
            work.job,
            work.report,
            work.columns,
            files,
            generation=work.generation,
            as_of=work.as_of,
            rejects=rejects,
            totals=merged(one.totals for one in rendered),
            capacity_units=sum(one.capacity_units for one in rendered),
        )
        self._write(work.layout.manifest, "application/json", document)
        return {
            "rows": sum(file.rows for file in files),
            "bytes": sum(file.bytes for file in files),
            "files": [file.record() for file in files],
            "checksum": {"sha256": files[0].sha256, "crc64nvme": files[0].crc64nvme},
            "resultKey": files[0].key,
            "resultURL": f"s3://{self._bucket}/{files[0].key}",
            "manifestKey": work.layout.manifest,
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
            raise ExportFailed(
                "too_many_files",
                f"the export would be {len(parts)} files, and at most {MOST_FILES} are possible: "
                "ask for a shorter range or a larger split_rows",
            )
        if len(parts) == 1:
            return [self._file(work, 0, parts, check)]
        return [self._file(work, number, [one], check) for number, one in enumerate(parts, start=1)]

    def _file(
        self, work: Work, number: int, parts: Sequence[Part], check: Callable[[], None]
    ) -> File:
        """A file in its place: composed, unless it was written there."""
        from remit.exports.rendering import target_of  # slow to import

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
            target = self._target(key, "application/x-ndjson", "rejects.ndjson")
            compose(self._services.s3, segments, target, check=check)
        return File(key, "rejects.ndjson", tuple(segments), sum(part.rows for part in parts))

    def _write(self, key: str, content_type: str, content: bytes) -> None:
        with ObjectWriter(self._services.s3, self._target(key, content_type, None)) as sink:
            sink.write(content)
            sink.commit()

    def _target(self, key: str, content_type: str, file_name: str | None) -> Target:
        disposition = f'attachment; filename="{file_name}"' if file_name else None
        encryption = Encryption(self._services.settings.kms_key)
        return Target(self._bucket, key, content_type, disposition, encryption)

    def sweep_predecessors(self, work: Work) -> None:
        """Abort the uploads and delete the staged objects that earlier generations left open: their
        workers were killed, or will find the claim lost."""
        if work.generation == 1:
            return
        for prefix in self._prefixes(work.job.merchant_id, work.job.id):
            keep = from_generation(prefix, work.generation)
            if aborted := abort_uploads(self._services.s3, self._bucket, prefix, keep):
                log.info("export %s: %d uploads of predecessors aborted", work.job.id, len(aborted))
        staging = staging_of(work.job.id)
        keep = from_generation(staging, work.generation)
        delete_objects(self._services.s3, self._bucket, staging, keep)

    def withdraw(self, work: Work) -> None:
        """Remove the results of a claim that was lost before the job named them.

        Only if the job does not name them: the move may have been made, and its answer lost.
        """
        try:
            item = self._store.get(work.job.id)
            if item.get("manifestKey") != work.layout.manifest:
                delete_objects(self._services.s3, self._bucket, work.layout.folder, _keep_none)
        except (NotFound, Transient, ClientError) as error:
            log.warning("%s is left to the lifecycle rule: %s", work.layout.folder, error)

    def drop_staged(self, work: Work) -> None:
        """Delete what was staged. What stays does no harm: the bucket's lifecycle removes it."""
        prefix = f"{staging_of(work.job.id)}{work.generation}/"
        try:
            delete_objects(self._services.s3, self._bucket, prefix, _keep_none)
        except (Transient, ClientError) as error:
            log.warning("%s is left to the lifecycle rule: %s", prefix, error)

    def sweep(self, merchant_id: str, export_id: str) -> None:
        """Remove everything of an export, in all generations.

        Raises:
            StoreUnavailable: not everything is removed; do it again.
        """
        for prefix in self._prefixes(merchant_id, export_id):
            abort_uploads(self._services.s3, self._bucket, prefix, _keep_none)
            delete_objects(self._services.s3, self._bucket, prefix, _keep_none)

    def _prefixes(self, merchant_id: str, export_id: str) -> tuple[str, str]:
        return results_of(merchant_id, export_id), staging_of(export_id)


def _keep_none(key: str) -> bool:  # noqa: ARG001
    return False

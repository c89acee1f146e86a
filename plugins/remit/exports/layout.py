"""Where an export's objects lie. Every key carries the generation, so that two workers that both
believe they own an export never write the same object.

    exports/{merchant}/{export}/{generation}/{file}          the file people download
    exports/{merchant}/{export}/{generation}/manifest.json
    staging/{export}/{generation}/{slice}                    slices of a large export
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from remit.clock import format_instant
from remit.exports.job import ExportJob

_SEGMENT_BYTES = 300


@dataclass(frozen=True)
class Layout:
    """The keys of one generation of an export."""

    job: ExportJob
    generation: int
    extension: str

    @property
    def file_name(self) -> str:
        """The name that a browser saves under; the same in every generation."""
        request = self.job.request
        days = f"{_for_file(request.start_date)}_{_for_file(request.end_date)}"
        return f"{request.report}_{days}.{self.extension}"

    @property
    def file(self) -> str:
        """Key of the file."""
        return f"{self._folder}/{self.file_name}"

    @property
    def manifest(self) -> str:
        """Key of the manifest."""
        return f"{self._folder}/manifest.json"

    @property
    def disposition(self) -> str:
        """The file's `Content-Disposition`."""
        return f'attachment; filename="{self.file_name}"'

    def slice(self, number: int) -> str:
        """Key of a staged slice."""
        return f"staging/{_segment(self.job.id)}/{self.generation}/{number:04d}"

    @property
    def _folder(self) -> str:
        merchant, export = _segment(self.job.merchant_id), _segment(self.job.id)
        return f"exports/{merchant}/{export}/{self.generation}"


def _segment(text: str) -> str:
    """An id as one segment of a key. Clients take `.` and `..` out of a URL's path, and a key has
    at most 1,024 bytes: such an id is replaced by its digest."""
    quoted = quote(text, safe="")
    if quoted.strip(".") == "" or len(quoted) > _SEGMENT_BYTES:
        return hashlib.sha256(text.encode()).hexdigest()
    return quoted


def _for_file(text: str) -> str:
    """A date as it was asked for, without what file systems dislike."""
    return text.replace(":", "").replace("+", "")


def as_of_text(job: ExportJob) -> str:
    """The instant that an export looks at the table: nothing created later is in it."""
    return format_instant(job.created_at)

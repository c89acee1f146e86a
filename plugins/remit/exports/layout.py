"""Where an export's objects lie. Every key carries the generation, so that two workers that both
believe they own an export never write the same object.

    exports/{merchant}/{export}/{generation}/{file}          the files that people download
    exports/{merchant}/{export}/{generation}/rejects.ndjson
    exports/{merchant}/{export}/{generation}/manifest.json
    staging/{export}/{generation}/{slice}-{part}             parts of what is written in parts
    staging/{export}/{generation}/{slice}-rejects
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from remit.exports.job import ExportJob

_SEGMENT_BYTES = 300
_GENERATION = re.compile(r"/(\d+)/")


@dataclass(frozen=True)
class Layout:
    """The keys of one generation of an export."""

    job: ExportJob
    generation: int
    extension: str

    def file_name(self, number: int = 0) -> str:
        """The name that a browser saves under, the same in every generation. 0: the only file;
        otherwise the file's number from 1 on."""
        request = self.job.request
        days = f"{_for_file(request.start_date)}_{_for_file(request.end_date)}"
        part = f"_part-{number:04d}" if number else ""
        return f"{request.report}_{days}{part}.{self.extension}"

    def file(self, number: int = 0) -> str:
        """Key of a file."""
        return f"{self.folder}{self.file_name(number)}"

    @property
    def manifest(self) -> str:
        """Key of the manifest."""
        return f"{self.folder}manifest.json"

    @property
    def rejects(self) -> str:
        """Key of the rejects file."""
        return f"{self.folder}rejects.ndjson"

    def staged(self, slice_number: int, part: int) -> str:
        """Key of a part of a slice."""
        return f"{staging_of(self.job.id)}{self.generation}/{slice_number:04d}-{part:04d}"

    def staged_rejects(self, slice_number: int) -> str:
        """Key of the rejects of a slice."""
        return f"{staging_of(self.job.id)}{self.generation}/{slice_number:04d}-rejects"

    @property
    def folder(self) -> str:
        """What all keys of this generation's results begin with."""
        return f"{results_of(self.job.merchant_id, self.job.id)}{self.generation}/"


def results_of(merchant_id: str, export_id: str) -> str:
    """What the keys of an export's results begin with, in all generations."""
    return f"exports/{_segment(merchant_id)}/{_segment(export_id)}/"


def staging_of(export_id: str) -> str:
    """What the keys of an export's staged objects begin with, in all generations."""
    return f"staging/{_segment(export_id)}/"


def from_generation(prefix: str, generation: int) -> Callable[[str], bool]:
    """Whether a key under a prefix is of that generation or a later one."""

    def later(key: str) -> bool:
        match = _GENERATION.match(key, len(prefix) - 1)
        return match is None or int(match[1]) >= generation

    return later


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

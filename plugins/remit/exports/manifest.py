"""`manifest.json`: what an export's files hold, so that whoever downloads them can check them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remit.aws.objects import StoredObject, combine_crc64, encode_crc64
from remit.clock import format_instant
from remit.exports.job import ExportJob
from remit.exports.reports import Column, Report
from remit.exports.request import ExportRequest, as_values

SCHEMA_VERSION = 2

AS_OF_RULE = "records created at or after as_of are not in the export; as_of does not bound updates"


@dataclass(frozen=True)
class File:
    """A finished file: the segments that it was made of, end to end, and its rows."""

    key: str
    name: str
    segments: tuple[StoredObject, ...]
    rows: int

    @property
    def bytes(self) -> int:
        """Its size."""
        return sum(segment.bytes for segment in self.segments)

    @property
    def sha256(self) -> str | None:
        """In hex; None for a file of several segments, because SHA-256 does not combine."""
        return self.segments[0].sha256 if len(self.segments) == 1 else None

    @property
    def crc64nvme(self) -> str:
        """Of the whole file, as S3 writes it."""
        whole = 0
        for segment in self.segments:
            whole = combine_crc64(whole, segment.crc64nvme, segment.bytes)
        return encode_crc64(whole)

    def record(self) -> dict[str, Any]:
        """As the job's record has it."""
        return {
            "key": self.key,
            "name": self.name,
            "rows": self.rows,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "crc64nvme": self.crc64nvme,
        }

    def entry(self) -> dict[str, Any]:
        """As the manifest has it."""
        offset, segments = 0, []
        for segment in self.segments:
            segments.append({"offset": offset, "length": segment.bytes, "sha256": segment.sha256})
            offset += segment.bytes
        return {
            "name": self.name,
            "rows": self.rows,
            "bytes": self.bytes,
            "checksums": {
                "sha256": self.sha256,
                "crc64nvme": self.crc64nvme,
                "segments": segments,
            },
        }


def range_of(request: ExportRequest) -> dict[str, str]:
    """The range that was asked for, as instants, half-open, and the zone of its days."""
    return {
        "start": format_instant(request.range.start),
        "end": format_instant(request.range.end),
        "timezone": request.timezone,
    }


def manifest(
    job: ExportJob,
    report: Report,
    columns: Sequence[Column],
    files: Sequence[File],
    *,
    generation: int,
    as_of: datetime,
    rejects: File | None,
    totals: Mapping[str, Mapping[str, str]],
    capacity_units: float,
) -> bytes:
    """The manifest of an export, as JSON. Totals are in major units, as decimal text."""
    request = job.request
    document = {
        "schema_version": SCHEMA_VERSION,
        "export_id": job.id,
        "merchant_id": job.merchant_id,
        "generation": generation,
        "report": report.name,
        "format": request.format,
        "compression": request.compression,
        "rows": sum(file.rows for file in files),
        "bytes": sum(file.bytes for file in files),
        "files": [file.entry() for file in files],
        "columns": [
            {"name": column.name, "type": column.type, "unit": column.unit} for column in columns
        ],
        "totals": totals,
        "range": range_of(request),
        "as_of": format_instant(as_of),
        "as_of_rule": AS_OF_RULE,
        "filters": request.given_filters(),
        "options": as_values(request),
        "rejects": rejects.entry() if rejects else None,
        "read_capacity_units": capacity_units,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"

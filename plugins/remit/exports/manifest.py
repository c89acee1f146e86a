"""`manifest.json`: what a file holds, so that whoever downloads it can check it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from remit.aws.objects import StoredObject, combine_crc64, encode_crc64
from remit.clock import format_instant
from remit.exports.job import ExportJob
from remit.exports.layout import Layout, as_of_text
from remit.exports.reports import Report

SCHEMA_VERSION = 1


def checksums(segments: Sequence[StoredObject]) -> dict[str, Any]:
    """The checksums of a file made of these segments, end to end.

    A file of one segment has a SHA-256 of its own. SHA-256 does not combine, so a composed file
    has one per segment; the CRC64NVME is of the whole file in either case.
    """
    whole, offset, parts = 0, 0, []
    for segment in segments:
        parts.append({"offset": offset, "length": segment.bytes, "sha256": segment.sha256})
        whole = combine_crc64(whole, segment.crc64nvme, segment.bytes)
        offset += segment.bytes
    return {
        "sha256": segments[0].sha256 if len(segments) == 1 else None,
        "crc64nvme": encode_crc64(whole),
        "segments": parts,
    }


def manifest(
    job: ExportJob,
    layout: Layout,
    report: Report,
    segments: Sequence[StoredObject],
    *,
    rows: int,
    capacity_units: float,
) -> bytes:
    """The manifest of a finished file, as JSON."""
    request = job.request
    document = {
        "schema_version": SCHEMA_VERSION,
        "export_id": job.id,
        "merchant_id": job.merchant_id,
        "generation": layout.generation,
        "report": report.name,
        "format": request.format,
        "file": layout.file_name,
        "rows": rows,
        "bytes": sum(segment.bytes for segment in segments),
        "checksums": checksums(segments),
        "columns": [{"name": column.name, "type": column.type} for column in report.columns],
        "range": {
            "start": format_instant(request.range.start),
            "end": format_instant(request.range.end),
        },
        "filters": request.model_dump(
            include={"status", "customer_id", "min_amount", "max_amount"}, exclude_none=True
        ),
        "as_of": as_of_text(job),
        "read_capacity_units": capacity_units,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"

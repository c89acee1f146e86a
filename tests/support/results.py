"""What an export has left behind, as its merchant sees it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from remit.services import Services
from tests.support.aws import content


def record(services: Services, export_id: str = "export-1") -> dict[str, Any]:
    """The job's record."""
    item = services.tables.export_jobs.get(export_id)
    assert item is not None
    return item


def finished(services: Services, export_id: str = "export-1") -> dict[str, Any]:
    """The record of a job that has left the queue."""
    item = record(services, export_id)
    assert not item.keys() & {"claim", "dueShard", "dueAt"}, "it is still in the queue"
    return item


def manifest_of(services: Services, job: dict[str, Any]) -> dict[str, Any]:
    """The manifest that a job names."""
    document: dict[str, Any] = json.loads(content(services, job["manifestKey"]))
    return document


def file_of(services: Services, job: dict[str, Any], compression: str = "none") -> bytes:
    """The only file of a job, decompressed; several members or frames are one after the other."""
    (file,) = job["files"]
    assert file["key"] == job["resultKey"]
    stored = content(services, file["key"])
    if compression == "none":
        return stored
    decompressed: bytes = pa.input_stream(pa.BufferReader(stored), compression=compression).read()
    return decompressed


def csv_rows(services: Services, job: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of the only file of a job, which is CSV."""
    text = file_of(services, job).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def parquet_rows(services: Services, key: str) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(content(services, key))).to_pylist()
    return rows


def rejects_of(services: Services, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The records that a job's export has set aside."""
    return [json.loads(line) for line in content(services, job["rejectsKey"]).splitlines()]

"""An export's record as merchants see it, whoever wrote the record, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from remit.aws.items import Item
from remit.clock import format_instant
from remit.exports.job import expiry_of, options_of, report_of, status_of
from remit.exports.last_error import told_of
from remit.exports.links import Link
from remit.exports.progress import progress_of

Mint = Callable[[str], Link]
"""Makes a download link to the object of a key."""


def export_document(item: Item, now: datetime, mint: Mint) -> dict[str, Any]:
    """The answer that tells how far an export is, and where its files are once it is completed."""
    options = options_of(item)
    return {
        "export_id": item["id"],
        "status": status_of(item, now),
        "report": report_of(item),
        "format": item.get("format", "csv"),
        "start_date": options.get("start_date"),
        "end_date": options.get("end_date"),
        "options": options,
        "created_at": item.get("createdAt"),
        "updated_at": item.get("updatedAt"),
        "expires_at": _epoch_text(expiry_of(item)),
        "progress": asdict(progress_of(item)),
        "rows": item.get("rows"),
        "bytes": item.get("bytes"),
        "error": _error(item),
        **_result(item, mint if status_of(item, now) == "completed" else None),
    }


def _result(item: Item, mint: Mint | None) -> dict[str, Any]:
    """What a completed export has; nothing without a `mint`."""
    files = [_file(file, mint) for file in _files(item)] if mint else []
    only = files[0] if len(files) == 1 else {}
    return {
        "files": files,
        "checksum": only.get("checksum"),
        "download_url": only.get("url"),
        "download_expires_at": only.get("expires_at"),
        "manifest_url": _url(item.get("manifestKey"), mint),
        "rejects": item.get("rejects", 0) if mint else None,
        "rejects_url": _url(item.get("rejectsKey"), mint),
    }


def _files(item: Item) -> list[Mapping[str, Any]]:
    """The files of a record; an older one has the key of its only file instead."""
    if isinstance(files := item.get("files"), list):
        return [file for file in files if isinstance(file, Mapping) and "key" in file]
    if not isinstance(key := item.get("resultKey"), str):
        return []
    checksum = item.get("checksum")
    sums = checksum if isinstance(checksum, Mapping) else {}
    return [{**sums, "key": key, "rows": item.get("rows"), "bytes": item.get("bytes")}]


def _file(file: Mapping[str, Any], mint: Mint) -> dict[str, Any]:
    link = mint(file["key"])
    return {
        "name": file.get("name") or file["key"].rpartition("/")[2],
        "rows": file.get("rows"),
        "bytes": file.get("bytes"),
        "checksum": {"sha256": file.get("sha256"), "crc64nvme": file.get("crc64nvme")},
        "url": link.url,
        "expires_at": format_instant(link.expires_at),
    }


def _url(key: Any, mint: Mint | None) -> str | None:
    return mint(key).url if mint and isinstance(key, str) else None


def _error(item: Item) -> dict[str, Any] | None:
    """Why there is no file, or none yet."""
    if item.get("status") != "failed":
        return told_of(item)
    return {"code": item.get("errorCode", "failed"), "message": item.get("error", "")}


def _epoch_text(seconds: int | None) -> str | None:
    return format_instant(datetime.fromtimestamp(seconds, UTC)) if seconds else None

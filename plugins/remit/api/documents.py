"""An export's record as merchants see it, whoever wrote the record, and when.

Nothing here asks a store, or mints a link: where the files are is a path of the hook, which leads
to a fresh link, and says so to the audit log, when it is followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from remit.aws.items import Item
from remit.clock import format_instant
from remit.exports.job import expiry_of, options_of, report_of, status_of
from remit.exports.last_error import told_of
from remit.exports.progress import progress_of


@dataclass(frozen=True)
class File:
    """A file of a completed export, as far as its record knows it."""

    key: str
    name: str
    rows: int | None
    bytes: int | None
    sha256: str | None
    crc64nvme: str | None

    def document(self) -> dict[str, Any]:
        """What merchants are told of it."""
        return {
            "name": self.name,
            "rows": self.rows,
            "bytes": self.bytes,
            "checksum": {"sha256": self.sha256, "crc64nvme": self.crc64nvme},
        }


def export_summary(item: Item, now: datetime) -> dict[str, Any]:
    """What a list says of an export: all but its files and what is in them."""
    options = options_of(item)
    return {
        "export_id": item["id"],
        "status": _text(status_of(item, now)),
        "report": report_of(item),
        "format": _text(item.get("format")) or "csv",
        "start_date": options.get("start_date"),
        "end_date": options.get("end_date"),
        "options": options,
        "created_at": _text(item.get("createdAt")),
        "updated_at": _text(item.get("updatedAt")),
        "expires_at": _expiry_text(item),
        "progress": asdict(progress_of(item)),
        "rows": _whole(item.get("rows")),
        "bytes": _whole(item.get("bytes")),
        "error": _error(item),
    }


def export_document(item: Item, now: datetime, path: str) -> dict[str, Any]:
    """How far an export is, what is in its files once it is completed, and where they are. `path`
    is the export's own."""
    completed = status_of(item, now) == "completed"
    return {**export_summary(item, now), **_result(item if completed else {}, path)}


def files_of(item: Item) -> list[File]:
    """The files of a record; an older one has the key of its only file instead."""
    if isinstance(files := item.get("files"), list):
        return [
            _file(file)
            for file in files
            if isinstance(file, Mapping) and isinstance(file.get("key"), str)
        ]
    if not isinstance(key := item.get("resultKey"), str):
        return []
    return [_file({**_map(item.get("checksum")), **_sizes(item), "key": key})]


def _result(item: Item, path: str) -> dict[str, Any]:
    """What a completed export has; nothing of an empty record."""
    files = files_of(item)
    download = f"{path}/download"
    documents = [
        {**file.document(), "url": f"{download}?file={number}"}
        for number, file in enumerate(files, start=1)
    ]
    only = documents[0] if len(documents) == 1 else {}
    return {
        "files": documents,
        "checksum": only.get("checksum"),
        "download_url": download if only else None,
        "download_expires_at": _expiry_text(item) if documents else None,
        "manifest": _manifest(item) if item else None,
        "manifest_url": f"{download}?file=manifest" if _has(item, "manifestKey") else None,
        "rejects": (_whole(item.get("rejects")) or 0) if item else None,
        "rejects_url": f"{download}?file=rejects" if _has(item, "rejectsKey") else None,
    }


def _manifest(item: Item) -> dict[str, Any]:
    """What the manifest says of all files together, as far as the record has it."""
    span = _map(item.get("range"))
    return {
        "range": {name: _text(span.get(name)) for name in ("start", "end", "timezone")},
        "as_of": _text(item.get("asOf")),
        "totals": {
            amount: {currency: str(value) for currency, value in _map(sums).items()}
            for amount, sums in _map(item.get("totals")).items()
        },
    }


def _file(file: Mapping[str, Any]) -> File:
    return File(
        key=file["key"],
        name=_text(file.get("name")) or file["key"].rpartition("/")[2],
        rows=_whole(file.get("rows")),
        bytes=_whole(file.get("bytes")),
        sha256=_text(file.get("sha256")),
        crc64nvme=_text(file.get("crc64nvme")),
    )


def _error(item: Item) -> dict[str, Any] | None:
    """Why there is no file, or none yet."""
    if item.get("status") != "failed":
        found: dict[str, Any] | None = plain(told_of(item))
        return found
    code, message = _text(item.get("errorCode")), _text(item.get("error"))
    return {"code": code or "failed", "message": message or ""}


def _expiry_text(item: Item) -> str | None:
    seconds = expiry_of(item)
    return format_instant(datetime.fromtimestamp(seconds, UTC)) if seconds else None


def _has(item: Item, name: str) -> bool:
    return isinstance(item.get(name), str)


def _sizes(item: Item) -> dict[str, Any]:
    return {name: item.get(name) for name in ("rows", "bytes")}


# Another service may have written anything: what is of another type is not told.


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | Decimal) else None


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def plain(value: Any) -> Any:
    """A value of a record as JSON has it: sets as lists, in order; bytes are left out."""
    match value:
        case Mapping():
            return {str(name): plain(one) for name, one in value.items()}
        case str() | bool() | int() | None:
            return value
        case Decimal():
            return float(value)
        case frozenset() | set():
            return sorted(map(plain, value), key=str)
        case Sequence() if not isinstance(value, bytes):
            return [plain(one) for one in value]
    return None

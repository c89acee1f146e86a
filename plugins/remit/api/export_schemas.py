"""What the OpenAPI document says of the answers about exports, each with an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from remit.exports.job import MOVES
from remit.exports.progress import Progress
from remit.exports.request import FORMATS

Responses = dict[int | str, dict[str, Any]]
"""As FastAPI's `responses` wants it."""

_ID = "export-01m84ekemg2w5g23n8btf52x14"
_NAME = "payments_2026-01-01_2026-01-31.csv"
_PATH = f"/remit/exports/{_ID}"
_LINK = "https://remit-exports.s3.amazonaws.com/exports/…?X-Amz-Signature=…"

_STRING: Mapping[str, Any] = {"type": "string"}
_TEXT: Mapping[str, Any] = {"type": ["string", "null"]}
_NUMBER: Mapping[str, Any] = {"type": ["integer", "null"]}
_INSTANT: Mapping[str, Any] = {**_TEXT, "format": "date-time"}
_CHECKSUM: Mapping[str, Any] = {
    "type": ["object", "null"],
    "properties": {"sha256": _TEXT, "crc64nvme": _TEXT},
}

_SUMMARY: Mapping[str, Any] = {
    "export_id": _STRING,
    "status": {"type": "string", "enum": list(MOVES)},
    "report": _STRING,
    "format": {"type": "string", "enum": list(FORMATS)},
    "start_date": _TEXT,
    "end_date": _TEXT,
    "options": {"type": "object", "description": "What was asked for, beyond the defaults"},
    "created_at": _INSTANT,
    "updated_at": _INSTANT,
    "expires_at": _INSTANT,
    "progress": {
        "type": "object",
        "properties": {one.name: {"type": "integer"} for one in fields(Progress)},
    },
    "rows": _NUMBER,
    "bytes": _NUMBER,
    "error": {
        "type": ["object", "null"],
        "description": "Of a failed export, why there is no file; of one that is pending or "
        "processing, why the last try came to nothing: it is tried again",
        "properties": {
            "code": {"type": "string", "description": "Stable, for programs"},
            "message": {"type": "string", "description": "For people"},
        },
    },
}

_FILE: Mapping[str, Any] = {
    "name": _STRING,
    "rows": _NUMBER,
    "bytes": _NUMBER,
    "checksum": _CHECKSUM,
}

_HOOKS_PATH: Mapping[str, Any] = {
    **_TEXT,
    "description": "A path of the hook, which needs the token and leads to a fresh link",
}

_RESULT: Mapping[str, Any] = {
    "files": {
        "type": "array",
        "items": {"type": "object", "properties": {**_FILE, "url": _HOOKS_PATH}},
    },
    "checksum": {**_CHECKSUM, "description": "Of the only file; null if there are several"},
    "download_url": _HOOKS_PATH,
    "download_expires_at": {**_INSTANT, "description": "When the files are removed"},
    "manifest": {
        "type": ["object", "null"],
        "description": "What the manifest says of all files together",
        "properties": {
            "range": {
                "type": "object",
                "properties": {"start": _INSTANT, "end": _INSTANT, "timezone": _TEXT},
            },
            "as_of": {**_INSTANT, "description": "Up to when creations count"},
            "totals": {
                "type": "object",
                "description": "Per column of major units and currency, as decimal text",
                "additionalProperties": {"type": "object", "additionalProperties": _STRING},
            },
        },
    },
    "manifest_url": _HOOKS_PATH,
    "rejects": {**_NUMBER, "description": "Records that could not be read"},
    "rejects_url": _HOOKS_PATH,
}

_SUMMARY_EXAMPLE: Mapping[str, Any] = {
    "export_id": _ID,
    "status": "completed",
    "report": "payments",
    "format": "csv",
    "start_date": "2026-01-01",
    "end_date": "2026-01-31",
    "options": {"start_date": "2026-01-01", "end_date": "2026-01-31"},
    "created_at": "2026-11-23T12:00:00.000000Z",
    "updated_at": "2026-11-23T12:00:02.500000Z",
    "expires_at": "2026-11-30T12:00:00.000000Z",
    "progress": {"rows": 1000, "bytes": 202819, "slices": 1, "slices_done": 1, "percent": 100},
    "rows": 1000,
    "bytes": 202819,
    "error": None,
}

_FILE_EXAMPLE: Mapping[str, Any] = {
    "name": _NAME,
    "rows": 1000,
    "bytes": 202819,
    "checksum": {"sha256": "1a9ec231" * 8, "crc64nvme": "BHNLi719HqU="},
}

_EXAMPLE: Mapping[str, Any] = {
    **_SUMMARY_EXAMPLE,
    "files": [{**_FILE_EXAMPLE, "url": f"{_PATH}/download?file=1"}],
    "checksum": _FILE_EXAMPLE["checksum"],
    "download_url": f"{_PATH}/download",
    "download_expires_at": "2026-11-30T12:00:00.000000Z",
    "manifest": {
        "range": {
            "start": "2026-01-01T00:00:00.000000Z",
            "end": "2026-02-01T00:00:00.000000Z",
            "timezone": "UTC",
        },
        "as_of": "2026-11-23T11:59:55.000000Z",
        "totals": {"amount_major": {"EUR": "1999.0000", "USD": "104210.5500"}},
    },
    "manifest_url": f"{_PATH}/download?file=manifest",
    "rejects": 0,
    "rejects_url": None,
}

_MINTED: Mapping[str, Any] = {
    "url": {"type": "string", "format": "uri", "description": "Presigned: it needs no token"},
    "expires_at": {"type": "string", "format": "date-time"},
}

_MINTED_EXAMPLE = {"url": _LINK, "expires_at": "2026-11-23T13:00:00.000000Z"}


def _object(title: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object that always has all of these. `title` is what it is called in `components`."""
    return {
        "title": title,
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
    }


def _json(description: str, schema: Mapping[str, Any], example: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": description, "content": content}


_DOCUMENT = _object("Export", {**_SUMMARY, **_RESULT})

ACCEPTED: Responses = {
    202: _json(
        "The export is stored, and will be made",
        _object(
            "ExportAccepted",
            {
                "export_id": _STRING,
                "status": {"type": "string", "enum": ["pending"]},
                "message": _STRING,
                "check_url": _STRING,
            },
        ),
        {
            "export_id": _ID,
            "status": "pending",
            "message": "Export job created. You will receive a notification when complete.",
            "check_url": _PATH,
        },
    )
}

EXPORT: Responses = {
    200: _json(
        "How far the export is, and its files once it is completed", _DOCUMENT, dict(_EXAMPLE)
    )
}

EXPORT_AGAIN: Responses = {
    202: _json(
        "The export will be made again",
        _DOCUMENT,
        {
            **_SUMMARY_EXAMPLE,
            "status": "pending",
            "progress": {"rows": 0, "bytes": 0, "slices": 1, "slices_done": 0, "percent": 0},
            "rows": None,
            "bytes": None,
            **dict.fromkeys(_RESULT),
            "files": [],
        },
    )
}

EXPORTS: Responses = {
    200: _json(
        "A page of exports, without their files",
        _object(
            "ExportPage",
            {
                "data": {"type": "array", "items": _object("ExportSummary", _SUMMARY)},
                "next_cursor": _TEXT,
            },
        ),
        {"data": [_SUMMARY_EXAMPLE], "next_cursor": None},
    )
}

DOWNLOAD: Responses = {
    200: _json(
        "Of an export of several files, a link to each",
        _object(
            "Links",
            {
                "export_id": _STRING,
                "files": {"type": "array", "items": _object("FileLink", {**_FILE, **_MINTED})},
            },
        ),
        {
            "export_id": _ID,
            "files": [
                {**_FILE_EXAMPLE, "name": f"part-{number}.csv", **_MINTED_EXAMPLE}
                for number in (1, 2)
            ],
        },
    ),
    307: {
        **_json(
            "A fresh link to the file, which ends soon",
            _object("Link", {"name": _STRING, **_MINTED}),
            {"name": _NAME, **_MINTED_EXAMPLE},
        ),
    },
}

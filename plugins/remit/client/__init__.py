"""Remit for the programs of merchants and of payment services: exports, events, webhooks.

    from remit.client import RemitClient

    client = RemitClient("https://payments.example/remit", token)
    client.export("2026-01-01", "2026-01-31", format="parquet").wait().download("payments.parquet")

It needs `requests` and nothing else of what Remit runs on: neither Airflow nor boto3, pandas or
DuckDB is imported. [docs/client.md](../../../docs/client.md) has all of it.
"""

from __future__ import annotations

from remit.client.client import RemitClient
from remit.client.errors import (
    ClientError,
    Conflict,
    DownloadFailed,
    ExportCanceled,
    ExportExpired,
    ExportFailed,
    ExportNotCompleted,
    FileDamaged,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    NotReached,
    RemitApiError,
    TooManyRequests,
    Unavailable,
    WaitTimedOut,
)
from remit.client.exports import ExportHandle
from remit.client.retrying import Polling, RetryPolicy, Timing
from remit.client.transport import Timeouts
from remit.webhooks import SignatureInvalid, verify

__all__ = [
    "ClientError",
    "Conflict",
    "DownloadFailed",
    "ExportCanceled",
    "ExportExpired",
    "ExportFailed",
    "ExportHandle",
    "ExportNotCompleted",
    "FileDamaged",
    "InvalidRequest",
    "NotAuthenticated",
    "NotFound",
    "NotPermitted",
    "NotReached",
    "Polling",
    "RemitApiError",
    "RemitClient",
    "RetryPolicy",
    "SignatureInvalid",
    "Timeouts",
    "Timing",
    "TooManyRequests",
    "Unavailable",
    "WaitTimedOut",
    "verify",
]

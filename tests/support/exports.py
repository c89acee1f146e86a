"""Builders of payments and export jobs as the payments platform writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from remit.exports.job import ExportJob
from remit.exports.reports import ReportLibrary
from remit.exports.request import parse_request
from remit.exports.store import IF_FREE_OR_MINE
from remit.queue import Claim
from remit.services import Services
from remit.settings import REPORTS_DIRECTORY

if TYPE_CHECKING:
    from remit.exports.pipeline import ExportPipeline

# Their SQL has tests of its own.
REPORTS = ReportLibrary(REPORTS_DIRECTORY, check=lambda _: None).current().usable
"""The reports that are shipped."""


def payment(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A payment's record."""
    record = {
        "id": f"pay-{number:06d}",
        "merchantID": "merchant-1",
        "amount": 1999,
        "currency": "USD",
        "status": "succeeded",
        "paymentMethod": "card",
        "customerID": "cus-1",
        "description": f"order {number}",
        "createdAt": "2026-01-15T12:00:00Z",
        "updatedAt": "2026-01-15T12:00:01Z",
        **changes,
    }
    return {name: value for name, value in record.items() if value is not ...}


def store_payments(services: Services, *payments: Mapping[str, Any]) -> None:
    """Write payments into the table."""
    for record in payments:
        services.tables.payments.put(record)


def request_values(**changes: Any) -> dict[str, Any]:
    """The fields of a request for January 2026."""
    return {"start_date": "2026-01-01", "end_date": "2026-01-31", "format": "csv", **changes}


def export_job(export_id: str = "export-1", **changes: Any) -> ExportJob:
    """A job that was asked for in November 2026."""
    return ExportJob(
        id=export_id,
        merchant_id="merchant-1",
        request=parse_request(request_values(**changes), REPORTS),
        created_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
        expires_at=int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()),
    )


def claimed(pipeline: ExportPipeline, export_id: str = "export-1", owner: str = "run-1") -> Claim:
    """A claim on a job, as a run that was started for it takes it."""
    claim = pipeline.store.claim(export_id, owner, IF_FREE_OR_MINE)
    assert claim is not None, f"{export_id} is not to be had"
    return claim

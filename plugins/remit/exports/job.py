"""The export job: its states, and its record in the table that the payments platform shares.

The record is the platform's own (camelCase attributes, PascalCase inside `query`, times with any
offset), with Remit's attributes beside it. What another service wrote and what the hook wrote are
read by the same function.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from remit.aws.items import Item
from remit.clock import epoch_seconds, format_instant, parse_instant
from remit.errors import ExportFailed, InvalidRequest
from remit.exports.request import ExportRequest, parse_request

Status = Literal["pending", "processing", "completed", "failed", "canceled", "expired"]

MOVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "pending": frozenset({"processing", "failed", "canceled", "expired"}),
        "processing": frozenset(
            {"processing", "pending", "completed", "failed", "canceled", "expired"}
        ),
        # Only a run that was cleared leads back from these: it exports again, under the same id.
        "completed": frozenset({"pending", "expired"}),
        "failed": frozenset({"pending", "expired"}),
        "canceled": frozenset({"pending", "expired"}),
        # Final: from then on the bucket removes the file and DynamoDB the record, at any moment. An
        # export that was opened again could vanish while it is rendered; a new one has a new id.
        "expired": frozenset(),
    }
)
"""Status to the statuses that may follow; every move is a condition of its write.

A merchant cancels what is not finished: a file that is there, or a reason why there is none, stays.
"""


def sources_of(status: str) -> list[str]:
    """The statuses from which a job may move to `status`."""
    return sorted(before for before, after in MOVES.items() if status in after)


FINISHED = frozenset(sources_of("pending")) - {"processing"}
"""Statuses in which nothing is left to do, and from which a cleared run exports again."""


def status_of(item: Item, now: datetime) -> Any:
    """The status of a job's record now: when its time is up it is expired, written down or not."""
    expires_at = expiry_of(item)
    gone = expires_at is not None and expires_at <= epoch_seconds(now)
    return "expired" if gone else item.get("status")


_QUERY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "StartDate": "start_date",
        "EndDate": "end_date",
        "Report": "report",
        "Status": "status",
        "CustomerID": "customer_id",
        "MinAmount": "min_amount",
        "MaxAmount": "max_amount",
    }
)
"""Attribute inside `query` to field of the request.

`Limit` and `Cursor` page the platform's list of payments; an export is all of its range, so they
are left out.
"""


@dataclass(frozen=True)
class ExportJob:
    """One export, as far as it is the same in every generation."""

    id: str
    merchant_id: str
    request: ExportRequest
    created_at: datetime
    expires_at: int


def new_item(job: ExportJob) -> Item:
    """The record of a new job, without its place in the queue."""
    fields = job.request.model_dump(exclude_none=True)
    return {
        "id": job.id,
        "merchantID": job.merchant_id,
        "status": "pending",
        "format": job.request.format,
        "query": {name: fields[key] for name, key in _QUERY_FIELDS.items() if key in fields},
        "generation": 0,
        "attempts": 0,
        "createdAt": format_instant(job.created_at),
        "updatedAt": format_instant(job.created_at),
        "expiresAt": job.expires_at,
    }


def read_job(
    item: Item, reports: Collection[str], *, now: datetime, default_expiry: datetime
) -> ExportJob:
    """The job that a record describes, whoever wrote it.

    Raises:
        ExportFailed: the record does not describe an export; the message says why.
    """
    try:
        return ExportJob(
            id=item["id"],
            merchant_id=_text(item, "merchantID"),
            request=_request(item, reports),
            created_at=_instant(item.get("createdAt"), now),
            expires_at=expiry_of(item) or epoch_seconds(default_expiry),
        )
    except (InvalidRequest, ValueError, TypeError) as error:
        raise ExportFailed("invalid_request", f"the export's record is wrong: {error}") from error


def expiry_of(item: Item) -> int | None:
    """Seconds since 1970 after which a job is gone; None if its record says nothing readable."""
    value = item.get("expiresAt")
    return int(value) if isinstance(value, int | Decimal) and 0 < value < 1 << 36 else None


def _request(item: Item, reports: Collection[str]) -> ExportRequest:
    query = item.get("query")
    if not isinstance(query, dict):
        raise TypeError("the attribute 'query' is not a map")
    values: dict[str, Any] = {
        field: query[name]
        for name, field in _QUERY_FIELDS.items()
        if query.get(name) not in (None, "")
    }
    return parse_request({**values, "format": item.get("format") or "csv"}, reports)


def _text(item: Item, name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"the attribute {name!r} is missing")
    return value


def _instant(value: Any, default: datetime) -> datetime:
    return parse_instant(value) if value else default

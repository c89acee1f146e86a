"""The export job: its states, and its record in the table that the payments platform shares.

The record is the platform's own (camelCase attributes, PascalCase inside `query`, times with any
offset), with Remit's attributes beside it. What another service wrote and what the hook wrote are
read by the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from remit.aws.items import Item
from remit.clock import epoch_seconds, format_instant, parse_instant
from remit.errors import ExportFailed, InvalidRequest
from remit.exports.reports.report import Report
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


DEFAULT_REPORT: str = ExportRequest.model_fields["report"].default

_QUERY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "StartDate": "start_date",
        "EndDate": "end_date",
        "Timezone": "timezone",
        "Report": "report",
        "Columns": "columns",
        "Status": "status",
        "Currency": "currency",
        "CustomerID": "customer_id",
        "MinAmount": "min_amount",
        "MaxAmount": "max_amount",
        "Compression": "compression",
        "SplitRows": "split_rows",
    }
)
"""Attribute inside `query` to field of the request; `format` stands beside `query`.

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
    fields = job.request.model_dump(mode="json", exclude_none=True)
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
    item: Item, reports: Mapping[str, Report], *, now: datetime, default_expiry: datetime
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
    except InvalidRequest as error:
        raise ExportFailed("invalid_request", f"the request cannot be served: {error}") from error
    except (ValueError, TypeError) as error:
        raise ExportFailed("invalid_request", f"the export's record is wrong: {error}") from error


def options_of(item: Item) -> dict[str, Any]:
    """What a job's record asks for, unchecked, as `as_values` has it: without the defaults, and
    without what is no text, no whole number and no list of texts."""
    fields = ExportRequest.model_fields
    return {
        name: value
        for name, value in _values(item).items()
        if value != fields[name].default and _is_plain(value)
    }


def report_of(item: Item) -> str:
    """The name of the report that a job's record asks for."""
    return str(_values(item).get("report", DEFAULT_REPORT))


def summary_of(item: Item) -> str:
    """A job in one line, for operators: whose it is, the report, the range and the format."""
    given = options_of(item)
    days = f"{given.get('start_date')} to {given.get('end_date')}"
    form = given.get("format", ExportRequest.model_fields["format"].default)
    return f"{item.get('merchantID')}: {report_of(item)}, {days}, {form}"


def expiry_of(item: Item) -> int | None:
    """Seconds since 1970 after which a job is gone; None if its record says nothing readable."""
    value = item.get("expiresAt")
    return int(value) if isinstance(value, int | Decimal) and 0 < value < 1 << 36 else None


def _request(item: Item, reports: Mapping[str, Report]) -> ExportRequest:
    if not isinstance(item.get("query"), dict):
        raise TypeError("the attribute 'query' is not a map")
    return parse_request(_values(item), reports)


def _values(item: Item) -> dict[str, Any]:
    """The request of a record, as `parse_request` takes it; what is empty is not given."""
    query = item.get("query")
    given = query if isinstance(query, dict) else {}
    values = {field: given.get(name) for name, field in _QUERY_FIELDS.items()}
    values["format"] = item.get("format")
    return {field: value for field, value in values.items() if value not in (None, "")}


def _is_plain(value: Any) -> bool:
    texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return texts or isinstance(value, str | int)


def _text(item: Item, name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"the attribute {name!r} is missing")
    return value


def _instant(value: Any, default: datetime) -> datetime:
    return parse_instant(value) if value else default

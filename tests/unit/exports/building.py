"""Builders: records, pages, what the engine makes of them, frames of rows, files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from remit.exports.engine import Selection, frames
from remit.exports.rejects import Detail, Rejects
from remit.exports.render import RENDERERS
from remit.exports.render.arrow import schema_of, table_of
from remit.exports.reports import Column, Report
from remit.exports.request import TimeRange
from tests.support.exports import REPORTS

JANUARY = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
AS_OF = datetime(2026, 11, 23, tzinfo=UTC)

Record = Mapping[str, Any]
"""Attribute name to AttributeValue."""


def page(*records: Record) -> bytes:
    """An answer to Query, as DynamoDB writes it."""
    answer = {"Count": len(records), "Items": records, "ScannedCount": len(records)}
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def record(number: int = 1, **changes: Any) -> Record:
    """A payment as DynamoDB holds it; `...` leaves an attribute out."""
    return _record(
        {
            "id": {"S": f"pay-{number:06d}"},
            "merchantID": {"S": "merchant-1"},
            "amount": {"N": "1999"},
            "currency": {"S": "USD"},
            "status": {"S": "succeeded"},
            "paymentMethod": {"S": "card"},
            "customerID": {"S": "cus-1"},
            "description": {"S": f"order {number}"},
            "createdAt": {"S": "2026-01-15T12:00:00Z"},
            "updatedAt": {"S": "2026-01-15T12:00:01Z"},
        },
        changes,
    )


def transaction(number: int = 1, **changes: Any) -> Record:
    """A refund as DynamoDB holds it."""
    return _record(
        {
            "id": {"S": f"txn-{number:06d}"},
            "merchantID": {"S": "merchant-1"},
            "paymentID": {"S": "pay-000001"},
            "type": {"S": "refund"},
            "amount": {"N": "500"},
            "currency": {"S": "USD"},
            "status": {"S": "succeeded"},
            "createdAt": {"S": "2026-01-16T12:00:00Z"},
        },
        changes,
    )


def settlement(number: int = 1, **changes: Any) -> Record:
    """A settlement as DynamoDB holds it."""
    return _record(
        {
            "id": {"S": f"set-{number:06d}"},
            "merchantID": {"S": "merchant-1"},
            "date": {"S": "2026-01-15"},
            "totalAmount": {"N": "100000"},
            "currency": {"S": "USD"},
        },
        changes,
    )


def _record(attributes: Record, changes: Record) -> Record:
    return {name: value for name, value in {**attributes, **changes}.items() if value is not ...}


def selection(
    report: str | Report = "payments",
    columns: Sequence[str] | None = None,
    *,
    span: TimeRange = JANUARY,
    as_of: datetime = AS_OF,
    time_zone: str = "UTC",
    **filters: Any,
) -> Selection:
    """What is wanted of a report: of January, unless said otherwise."""
    found = REPORTS[report] if isinstance(report, str) else report
    return Selection(found, found.select(columns), span, as_of, time_zone, filters)


@dataclass(frozen=True)
class Exported:
    """What the engine has made of some pages."""

    frames: list[pd.DataFrame]
    rows: list[dict[str, Any]]
    rejects: Rejects

    @property
    def rejected(self) -> dict[str, str]:
        """Record id to the reasons."""
        lines = map(json.loads, self.rejects.lines().splitlines())
        return {one["id"]: "; ".join(one["reasons"]) for one in lines}

    def column(self, name: str) -> list[Any]:
        """One column of the rows."""
        return [row[name] for row in self.rows]


def exported(
    wanted: Selection,
    *pages: bytes,
    limit: int = 1000,
    detail: Detail = Detail.VALUES,
    **feeds: Iterable[bytes],
) -> Exported:
    """Run the engine; the pages are those of the first source, unless feeds are named."""
    sources = {source.name: source for source in wanted.report.sources}
    rejects = Rejects(sources, limit, detail)
    named = {**dict.fromkeys(sources, ()), **(feeds or {next(iter(sources)): pages})}
    found = list(frames(wanted, named, rejects))
    tables = [table_of(frame, wanted.frame_columns) for frame in found]
    rows = [row for table in tables for row in table.to_pylist()]
    return Exported(found, rows, rejects)


def instant(text: str) -> datetime:
    """An instant, as Python reads it."""
    return datetime.fromisoformat(text).astimezone(UTC)


COLUMNS = (
    Column("name", "text"),
    Column("amount_minor", "integer", "minor units of currency"),
    Column("amount", "major", "major units of currency", currency="currency"),
    Column("currency", "text", "ISO 4217 code"),
    Column("created_at_utc", "timestamp"),
    Column("day", "date"),
    Column("live", "boolean"),
    Column("metadata", "json"),
    Column("fees", "attribute"),
    Column("others", "attributes"),
)
"""A column of every type."""

ROW: Mapping[str, Any] = {
    "name": "a",
    "amount_minor": -70,
    "amount": Decimal("-0.70"),
    "currency": "USD",
    "created_at_utc": datetime(2026, 1, 31, 23, 59, 59, 1, tzinfo=UTC),
    "day": date(2026, 1, 31),
    "live": True,
    "metadata": '{"k":1}',
    "fees": "[0.10]",
    "others": "{}",
}


def row(**changes: Any) -> dict[str, Any]:
    """A row of `COLUMNS`; `None` is a missing value."""
    return {**ROW, **changes}


MISSING_ROW: Mapping[str, Any] = dict.fromkeys(ROW)


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = COLUMNS) -> pd.DataFrame:
    """Rows as the engine makes frames of them."""
    table = pa.Table.from_pylist(list(rows), schema=schema_of(columns))
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def rendered(
    format: str,
    *frames: pd.DataFrame,
    columns: Sequence[Column] = COLUMNS,
    first: bool = True,
    sort: str | None = None,
) -> bytes:
    """The file that a renderer makes of some frames."""
    sink = io.BytesIO()
    renderer = RENDERERS[format](sink, columns, first=first, sort=sort)
    for one in frames:
        renderer.write(one)
    renderer.finish()
    return sink.getvalue()

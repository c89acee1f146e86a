"""Reading an exported file back, as a merchant would, and holding it against what was seeded.

Nothing here uses Remit's code: the CSV goes through the `csv` module, the JSON through `json`, the
Parquet through pyarrow, and the expected rows come from the seed's own records.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet

from demo import seed
from demo.errors import CheckFailed

Row = dict[str, Any]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Text that begins so must not reach a spreadsheet as it is: CSV has an apostrophe before it."""


def check_rows(form: str, content: bytes, payments: list[seed.Record]) -> int:
    """Compare a file with the payments that it should hold; returns its number of rows.

    Raises:
        CheckFailed: names the first payment that is missing, is too much or differs.
    """
    rows = _READERS[form](content)
    got = {row["payment_id"]: row for row in rows}
    expected = {payment["id"]: _expected(payment, form) for payment in payments}
    if len(rows) != len(got):
        raise CheckFailed(f"{form}: {len(rows) - len(got)} payments are there twice")
    for missing in sorted(expected.keys() - got.keys()):
        raise CheckFailed(f"{form}: {missing} is missing ({len(got)} of {len(expected)} rows)")
    for extra in sorted(got.keys() - expected.keys()):
        raise CheckFailed(f"{form}: {extra} does not belong there")
    for payment_id, row in expected.items():
        _check_row(form, row, got[payment_id])
    return len(rows)


def guarded(text: str) -> str:
    """Text as a CSV cell has it, so that no spreadsheet runs it as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _check_row(form: str, expected: Row, got: Row) -> None:
    for name, value in expected.items():
        if got[name] != value:
            raise CheckFailed(
                f"{form}: {expected['payment_id']} has {name} {got[name]!r}, not {value!r}"
            )


def _expected(payment: seed.Record, form: str) -> Row:
    texts = {
        "status": payment["status"],
        "currency": payment["currency"],
        "payment_method": payment["paymentMethod"],
        "customer_id": payment.get("customerID"),
        "description": payment.get("description"),
    }
    if form == "csv":  # the csv module cannot tell a missing value from an empty one
        texts = {name: guarded(text or "") for name, text in texts.items()}
    return {
        "payment_id": payment["id"],
        "created_at_utc": seed.created_at(payment),
        "amount_minor": payment["amount"],
        "metadata": payment.get("metadata"),
        **texts,
    }


def _from_csv(content: bytes) -> list[Row]:
    text = io.StringIO(content.decode("utf-8"), newline="")
    return [
        {
            **row,
            "created_at_utc": _instant(row["created_at_utc"]),
            "amount_minor": int(row["amount_minor"]),
            "metadata": _json(row["metadata"]),
        }
        for row in csv.DictReader(text, strict=True)
    ]


def _from_ndjson(content: bytes) -> list[Row]:
    rows = (json.loads(line) for line in content.decode("utf-8").removesuffix("\n").split("\n"))
    return [{**row, "created_at_utc": _instant(row["created_at_utc"])} for row in rows]


def _from_parquet(content: bytes) -> list[Row]:
    rows: Iterable[Row] = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    return [{**row, "metadata": _json(row["metadata"])} for row in rows]


_READERS: dict[str, Callable[[bytes], list[Row]]] = {
    "csv": _from_csv,
    "json": _from_ndjson,
    "parquet": _from_parquet,
}

FORMATS = tuple(_READERS)
"""Every format that Remit exports."""


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _json(text: str | None) -> Any:
    return json.loads(text) if text else None

"""The demo's own checks have to fail where a file is wrong: here each is given a wrong file."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo import seed
from demo.errors import CheckFailed
from demo.files import FORMATS, check_rows, guarded

PAYMENTS: list[seed.Record] = [
    {
        "id": "pay-1",
        "status": "succeeded",
        "currency": "JPY",
        "paymentMethod": "card",
        "amount": 2**62 + 1,
        "description": '=1+1\r\n"quoted", \u2028 and 請求書',
        "createdAt": "2026-02-01T00:30:00.25+05:45",
        "metadata": {"nested": [{"a": None}, 1]},
    },
    {
        "id": "pay-2",
        "status": "failed",
        "currency": "USD",
        "paymentMethod": "wallet",
        "customerID": "cus-1",
        "amount": -70,
        "createdAt": "2026-01-05T10:00:00Z",
    },
]


def exported() -> list[dict[str, Any]]:
    """The rows of a right export, typed."""
    return [
        {
            "payment_id": payment["id"],
            "created_at_utc": seed.created_at(payment),
            "status": payment["status"],
            "amount_minor": payment["amount"],
            "currency": payment["currency"],
            "payment_method": payment["paymentMethod"],
            "customer_id": payment.get("customerID"),
            "description": payment.get("description"),
            "metadata": json.dumps(payment["metadata"]) if "metadata" in payment else None,
        }
        for payment in PAYMENTS
    ]


def written(form: str, rows: list[dict[str, Any]]) -> bytes:
    if form == "parquet":
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), buffer)
        return buffer.getvalue()
    texts = [{**row, "created_at_utc": row["created_at_utc"].isoformat()} for row in rows]
    if form == "json":
        nested = [{**row, "metadata": json.loads(row["metadata"] or "null")} for row in texts]
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in nested).encode()
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, fieldnames=list(texts[0]))
    writer.writeheader()
    for row in texts:
        writer.writerow({**row, "description": guarded(row["description"] or "")})
    return file.getvalue().encode()


@pytest.mark.parametrize("form", FORMATS)
def test_a_right_file_passes(form: str) -> None:
    assert check_rows(form, written(form, exported()), PAYMENTS) == 2


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_row_fails(form: str) -> None:
    with pytest.raises(CheckFailed, match="pay-2 is missing"):
        check_rows(form, written(form, exported()[:1]), PAYMENTS)


@pytest.mark.parametrize("form", FORMATS)
def test_a_row_too_many_fails(form: str) -> None:
    with pytest.raises(CheckFailed, match="pay-2 does not belong there"):
        check_rows(form, written(form, exported()), PAYMENTS[:1])


@pytest.mark.parametrize("form", FORMATS)
def test_a_repeated_row_fails(form: str) -> None:
    rows = exported()
    with pytest.raises(CheckFailed, match="twice"):
        check_rows(form, written(form, [*rows, rows[0]]), PAYMENTS)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("amount_minor", int(float(2**62 + 1))),  # went through a float
        ("currency", "USD"),
        ("description", "請求書"),
        ("metadata", '{"nested": [{"a": null}, 2]}'),
    ],
)
def test_a_wrong_value_fails(form: str, name: str, wrong: Any) -> None:
    rows = exported()
    rows[0][name] = wrong
    with pytest.raises(CheckFailed, match=f"pay-1 has {name}"):
        check_rows(form, written(form, rows), PAYMENTS)


def test_an_unguarded_formula_fails_in_csv() -> None:
    content = written("csv", exported()).replace(b"'=1+1", b"=1+1")
    with pytest.raises(CheckFailed, match="pay-1 has description"):
        check_rows("csv", content, PAYMENTS)


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\ta", "\ra", "\na"])
def test_text_that_a_spreadsheet_would_run_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", " =1", "'=1", "2-1"])
def test_other_text_is_left_alone(text: str) -> None:
    assert guarded(text) == text

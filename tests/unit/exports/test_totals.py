from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from remit.exports.reports import Column
from remit.exports.totals import Totals, merged
from tests.unit.exports.building import exported, frame, page, record, selection

COLUMNS = (
    Column("amount", "major", "major units", currency="currency"),
    Column("currency", "text"),
    Column("fee", "major", "major units", currency="fee_currency"),
    Column("fee_currency", "text"),
    Column("count", "integer", "payments"),
)
AMOUNTS = st.decimals(Decimal("-1e15"), Decimal("1e15"), places=4)
CODES = st.sampled_from(["USD", "JPY", "KWD", "CLF"])
ROWS = st.lists(st.tuples(st.none() | AMOUNTS, st.none() | CODES), max_size=8)


def row(amount: str | None = None, currency: str | None = None, **more: Any) -> dict[str, Any]:
    values = {"amount": amount and Decimal(amount), "currency": currency, **more}
    return {column.name: values.get(column.name) for column in COLUMNS}


def sums(*frames: Sequence[dict[str, Any]]) -> Any:
    totals = Totals(COLUMNS)
    for rows in frames:
        totals.add(frame(rows, COLUMNS))
    return totals.sums()


def test_amounts_are_added_per_column_and_currency() -> None:
    rows = [
        row("19.99", "USD", fee=Decimal("0.30"), fee_currency="EUR"),
        row("-5", "USD", fee=Decimal("0.20"), fee_currency="EUR"),
        row("1999", "JPY"),
    ]
    assert sums(rows) == {
        "amount": {"JPY": "1999.0000", "USD": "14.9900"},
        "fee": {"EUR": "0.5000"},
    }


def test_frames_are_added_up() -> None:
    assert sums([row("1", "USD")], [], [row("2", "USD"), row("4", "JPY")]) == {
        "amount": {"JPY": "4.0000", "USD": "3.0000"}
    }


def test_what_has_no_currency_or_no_amount_counts_nowhere() -> None:
    rows = [row("1", None), row(None, "USD"), row(None, None), row(None, "XXX")]
    assert sums(rows) == {}
    assert sums([*rows, row("1", "USD")]) == {"amount": {"USD": "1.0000"}}


def test_what_cancels_out_is_nothing_and_stays() -> None:
    assert sums([row("1", "USD"), row("-1", "USD")]) == {"amount": {"USD": "0.0000"}}


def test_without_rows_or_amounts_there_are_no_sums() -> None:
    assert sums() == {}
    assert sums([]) == {}
    totals = Totals([Column("name", "text"), Column("count", "integer", "payments")])
    totals.add(frame([{"name": "a", "count": 1}], (Column("name", "text"),)))
    assert totals.sums() == {}


def test_the_largest_amounts_add_up_exactly() -> None:
    most = Decimal(2**63 - 1) / 100
    assert sums([row(str(most), "USD")] * 1000) == {"amount": {"USD": f"{most * 1000:.4f}"}}


def test_an_amount_counts_also_if_its_currency_is_not_in_the_file() -> None:
    wanted = selection(columns=["payment_id", "amount_major"])
    (found,) = exported(wanted, page(record(1), record(2, currency={"S": "XXX"}))).frames
    totals = Totals(wanted.columns)
    totals.add(found)
    assert totals.sums() == {"amount_major": {"USD": "19.9900"}}


@settings(deadline=None)
@given(ROWS, st.integers(0, 8))
def test_the_sums_are_exact_and_do_not_depend_on_the_frames(
    rows: list[tuple[Decimal | None, str | None]], at: int
) -> None:
    expected: dict[str, Decimal] = {}
    for amount, currency in rows:
        if amount is not None and currency is not None:
            expected[currency] = expected.get(currency, Decimal(0)) + amount
    made = [row(amount if amount is None else str(amount), currency) for amount, currency in rows]

    whole, apart = sums(made), sums(made[:at], made[at:])

    found = {code: Decimal(text) for code, text in whole.get("amount", {}).items()}
    assert found == expected
    assert apart == whole
    assert merged([sums(made[:at]), sums(made[at:])]) == whole


def test_parts_are_merged() -> None:
    parts = [
        {"amount": {"USD": "1.0000", "JPY": "5.0000"}},
        {},
        {"fee": {"USD": "0.1000"}, "amount": {"USD": "-2.5000"}},
    ]
    assert merged(parts) == {
        "amount": {"JPY": "5.0000", "USD": "-1.5000"},
        "fee": {"USD": "0.1000"},
    }
    assert merged([]) == {}

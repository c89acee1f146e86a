"""Any record through every format and back, read by what everybody reads these formats with."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.exports.currencies import EXPONENTS
from remit.exports.render import RENDERERS
from remit.exports.render.csv import FORMULA_STARTS
from remit.exports.reports import Column
from tests.support.exports import REPORTS
from tests.unit.exports.building import (
    JANUARY,
    Exported,
    Record,
    exported,
    page,
    record,
    rendered,
    selection,
)
from tests.unit.exports.files import READERS, exact_json

COLUMNS = (
    "payment_id", "created_at_utc", "updated_at_utc", "status", "amount_minor", "amount_major",
    "currency", "payment_method", "customer_id", "description", "metadata", "other_attributes",
)  # fmt: skip


@dataclass(frozen=True)
class Attribute:
    """An AttributeValue, and the value that it stands for."""

    value: dict[str, Any]
    plain: Any


def attribute(kind: str, plain: Any, content: Any = None) -> Attribute:
    return Attribute({kind: plain if content is None else content}, plain)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "", " ", "=1+1", "+1", "-70", "@SUM(A1)", "\t=1", "\r=1", "\n=1", *FORMULA_STARTS,
        "'", "'=1", '"', '""', 'say "hi", there', "a\r\nb", "\\", "\\\"", "{", '}{"', '{"S":"x"}',
        "null", "true", "1e5", "007", "2026-01-01", "a\x00b", "\x1b", "\x7f", "\u2028", "𝄞", "é",
        "https://example.com", "<b>&amp;</b>", "x" * 300,
    ]
)  # fmt: skip
WIDE = Context(prec=40)


@st.composite
def digits(draw: st.DrawFn) -> str:
    """A number of DynamoDB's: up to 38 digits."""
    mantissa = draw(st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-1000, 1000))
    number = Decimal(mantissa).scaleb(draw(st.integers(-130, 87)), WIDE)
    plain = abs(number.adjusted()) < 38 and number.as_tuple().exponent <= 0
    return f"{number:f}" if plain and draw(st.booleans()) else str(number)


NUMBERS = digits()
BINARY = st.binary(max_size=8).map(lambda value: base64.b64encode(value).decode())


def sets_of(kind: str, elements: st.SearchStrategy[str], order: Any) -> Any:
    found = st.lists(elements, min_size=1, max_size=3, unique_by=order)
    plain: Callable[[str], Any] = Decimal if kind == "NS" else str
    return found.map(
        lambda values: Attribute({kind: values}, [plain(one) for one in sorted(values, key=order)])
    )


LEAVES = (
    TEXTS.map(lambda text: attribute("S", text))
    | NUMBERS.map(lambda text: attribute("N", Decimal(text), text))
    | BINARY.map(lambda text: attribute("B", text))
    | st.booleans().map(lambda flag: Attribute({"BOOL": flag}, flag))
    | st.just(Attribute({"NULL": True}, None))
    | sets_of("SS", TEXTS, str)
    | sets_of("NS", NUMBERS, Decimal)
    | sets_of("BS", BINARY, str)
)


def listed(elements: Sequence[Attribute]) -> Attribute:
    return Attribute({"L": [one.value for one in elements]}, [one.plain for one in elements])


def mapped(entries: Mapping[str, Attribute]) -> Attribute:
    return Attribute(
        {"M": {name: one.value for name, one in entries.items()}},
        {name: one.plain for name, one in entries.items()},
    )


ATTRIBUTES: st.SearchStrategy[Attribute] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(listed)
        | st.dictionaries(TEXTS, inner, max_size=3).map(mapped)
    ),
    max_leaves=6,
)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
CREATED = st.datetimes(
    JANUARY.start.replace(tzinfo=None),
    JANUARY.end.replace(tzinfo=None) - timedelta(microseconds=1),
    timezones=st.just(UTC),
)
UPDATED = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", "CLF", "eur", "XXX"]) | TEXTS
DECLARED = {
    "status": "status",
    "paymentMethod": "payment_method",
    "customerID": "customer_id",
    "description": "description",
}
"""Attributes that are texts, to their columns."""

(PAYMENTS,) = REPORTS["payments"].sources
_KNOWN = frozenset(one.name for one in PAYMENTS.attributes)
UNDECLARED = (
    st.sampled_from(["Amount", "ID", "createdat", "Items", "Count", "S", "N", "M", "a.b", "_id"])
    | TEXTS.filter(lambda name: name and name not in _KNOWN)
)  # fmt: skip


Row = Mapping[str, Any]
"""Column to the value that it should have; JSON is what it stands for."""


@dataclass(frozen=True)
class Case:
    """A record, and the row that it should be."""

    record: Record
    row: Row


def case(metadata: Attribute | None = None, others: Mapping[str, Attribute] | None = None) -> Case:
    """A payment with these attributes."""
    attributes = {} if metadata is None else {"metadata": metadata.value}
    attributes |= {name: one.value for name, one in (others or {}).items()}
    row = {
        "metadata": metadata and metadata.plain,
        "other_attributes": {name: one.plain for name, one in (others or {}).items()} or None,
    }
    return Case(record(**attributes), row)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any payment."""
    base = case(
        draw(st.none() | ATTRIBUTES), draw(st.dictionaries(UNDECLARED, ATTRIBUTES, max_size=3))
    )
    created, zone = draw(CREATED), draw(OFFSETS)
    updated = draw(st.none() | UPDATED)
    amount = draw(st.integers(-(2**63), 2**63 - 1))
    currency = draw(st.none() | CURRENCIES)
    exponent = EXPONENTS.get((currency or "").upper())
    texts = {name: draw(st.none() | TEXTS) for name in DECLARED}
    attributes = {
        **base.record,
        "createdAt": {"S": created.astimezone(zone).isoformat(timespec="microseconds")},
        "updatedAt": ... if updated is None else {"S": updated.isoformat()},
        "amount": {"N": str(amount)},
        "currency": ... if currency is None else {"S": currency},
        **{name: ... if text is None else {"S": text} for name, text in texts.items()},
    }
    row = {
        **base.row,
        "created_at_utc": created,
        "updated_at_utc": updated,
        "amount_minor": amount,
        "amount_major": None if exponent is None else Decimal(amount).scaleb(-exponent),
        "currency": currency,
        **{column: texts[name] for name, column in DECLARED.items()},
    }
    return Case({name: value for name, value in attributes.items() if value is not ...}, row)


def unescaped(text: str) -> str:
    """`_xHHHH_` as spreadsheets read it (ECMA-376, part 1, 22.9.2.19); openpyxl leaves it. A text
    that has such a thing itself is escaped once more, which openpyxl undoes at times, so that none
    is in these tests; those of the format look into its XML."""
    return re.sub(r"_x([0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), text)


def guarded(text: str) -> str:
    return f"'{text}" if text.startswith(tuple(FORMULA_STARTS)) else text


def as_it_is(value: Any) -> Any:
    return value


READ: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "csv": {
        "text": as_it_is,
        "integer": Decimal,
        "major": Decimal,
        "timestamp": datetime.fromisoformat,
        "json": exact_json,
    },
    "json": {
        "text": as_it_is,
        "integer": as_it_is,
        "major": as_it_is,
        "timestamp": datetime.fromisoformat,
        "json": as_it_is,
    },
    "parquet": {
        "text": as_it_is,
        "integer": Decimal,
        "major": as_it_is,
        "timestamp": as_it_is,
        "json": exact_json,
    },
    "xlsx": {
        "text": unescaped,
        "integer": lambda cell: Decimal(str(cell)),
        "major": lambda cell: Decimal(str(cell)),
        "timestamp": datetime.fromisoformat,
        "json": lambda cell: exact_json(unescaped(cell)),
    },
}
"""Per format, how what a reader has of a column's type becomes the value itself."""

MISSING: Mapping[str, Any] = {"csv": "", "json": None, "parquet": None, "xlsx": None}
"""Per format, what a reader has of a missing value; in CSV, of an empty text as well."""


def read(format: str, column: Column, cell: Any) -> Any:
    kind = "json" if column.type in {"attribute", "attributes"} else column.type
    return None if cell == MISSING[format] else READ[format][kind](cell)


def expected(format: str, column: Column, value: Any) -> Any:
    if format == "csv" and column.type == "text" and value is not None:
        return guarded(value) or None
    return value


def distinct(value: Any) -> Any:
    """The value, such that true is not 1."""
    match value:
        case bool():
            return str(value), bool
        case int():
            return Decimal(value)
        case dict():
            return {name: distinct(one) for name, one in value.items()}
        case list():
            return [distinct(one) for one in value]
    return value


WANTED = selection(columns=COLUMNS)


def check(payments: Sequence[Case], format: str, made: Exported) -> None:
    """That each record is its row in a file of this format."""
    columns, sort = WANTED.columns, WANTED.report.sort
    rows = READERS[format](rendered(format, *made.frames, columns=columns, sort=sort))
    found = {one["payment_id"]: one for one in rows}
    assert len(rows) == len(found) == len(payments)
    for number, one in enumerate(payments):
        row = found[f"pay-{number:06d}"]
        assert [*row] == [*COLUMNS]
        for column in columns:
            if column.name in one.row:
                value = expected(format, column, one.row[column.name])
                cell = read(format, column, row[column.name])
                assert distinct(cell) == distinct(value), column.name


def made_of(payments: Sequence[Case]) -> Exported:
    """What the engine makes of the records, in two pages."""
    records = [
        {**one.record, "id": {"S": f"pay-{number:06d}"}} for number, one in enumerate(payments)
    ]
    made = exported(WANTED, page(*records[:2]), page(*records[2:]))
    assert made.rejected == {}
    return made


@settings(max_examples=30, deadline=None)
@given(st.lists(cases(), min_size=1, max_size=5))
def test_any_record_reads_back_from_every_format(payments: list[Case]) -> None:
    made = made_of(payments)
    for name in RENDERERS:
        check(payments, name, made)


EVERY_TYPE = {
    "S": attribute("S", 'say "hi",\r\nthere'),
    "S empty": attribute("S", ""),
    "S formula": attribute("S", "=1+1"),
    "N": attribute("N", Decimal("-0.10"), "-0.10"),
    "N 38 digits": attribute("N", Decimal("9" * 38), "9" * 38),
    "N small": attribute("N", Decimal("1E-130"), "1E-130"),
    "N large": attribute("N", Decimal("9.9E+125"), "9.9E+125"),
    "B": attribute("B", "AP+/"),
    "BOOL": Attribute({"BOOL": False}, False),
    "NULL": Attribute({"NULL": True}, None),
    "M": mapped({"a": attribute("S", "b"), "c": attribute("N", Decimal(1), "1")}),
    "M empty": mapped({}),
    "L": listed([attribute("S", "b"), Attribute({"NULL": True}, None), listed([])]),
    "SS": Attribute({"SS": ["b", "a", "B"]}, ["B", "a", "b"]),
    "NS": Attribute({"NS": ["10", "-1", "9.5"]}, [Decimal(-1), Decimal("9.5"), Decimal(10)]),
    "BS": Attribute({"BS": ["AQ==", "AA=="]}, ["AA==", "AQ=="]),
    "nested": mapped({"": listed([mapped({"x": Attribute({"SS": ["é"]}, ["é"])})])}),
}
"""Every type that AWS documents for AttributeValue."""


@cache
def of_every_type() -> tuple[list[Case], Exported]:
    alone = [case(one, {"extra": one}) for one in EVERY_TYPE.values()]
    found = [*alone, case(mapped(EVERY_TYPE), EVERY_TYPE), case(listed([*EVERY_TYPE.values()]))]
    return found, made_of(found)


@pytest.mark.parametrize("format", RENDERERS)
def test_every_type_of_attribute_reads_back(format: str) -> None:
    payments, made = of_every_type()
    check(payments, format, made)

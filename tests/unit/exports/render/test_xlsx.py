from __future__ import annotations

import io
import re
import zipfile
from datetime import datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings

from remit.errors import ExportFailed
from remit.exports.render import RENDERERS
from remit.exports.render import xlsx as module
from remit.exports.reports import Column
from tests.unit.exports.building import COLUMNS, MISSING_ROW, frame, rendered, row
from tests.unit.exports.render.rows import ROWS, shown

NAME = (Column("name", "text"),)
NAMES = [column.name for column in COLUMNS]
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def unescaped(text: str) -> str:
    """`_xHHHH_` as spreadsheets read it (ECMA-376, part 1, 22.9.2.19); openpyxl leaves it."""
    return re.sub(r"_x([0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), text)


def cells(*frames: pd.DataFrame, columns: Any = COLUMNS) -> list[dict[str, Any]]:
    """The rows as openpyxl reads them."""
    content = rendered("xlsx", *frames, columns=columns)
    (sheet,) = openpyxl.load_workbook(io.BytesIO(content)).worksheets
    head, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(head, one, strict=True)) for one in rows]


def texts(*given: str | None) -> list[str | None]:
    """What a spreadsheet shows for these texts: from the file's own XML."""
    content = rendered("xlsx", frame([{"name": one} for one in given], NAME), columns=NAME)
    archive = zipfile.ZipFile(io.BytesIO(content))
    strings = ET.fromstring(archive.read("xl/sharedStrings.xml"))  # noqa: S314 - our own file
    shared = ["".join(one.itertext()) for one in strings.iter(f"{SHEET}si")]
    sheet = ET.fromstring(archive.read("xl/worksheets/sheet1.xml"))  # noqa: S314
    found: dict[str, str] = {}
    for cell in sheet.iter(f"{SHEET}c"):
        if (value := cell.findtext(f"{SHEET}v")) is not None:
            assert cell.get("t") == "s", "a text is a text"
            found[cell.attrib["r"]] = unescaped(shared[int(value)])
    return [found.get(f"A{number}") for number in range(2, len(given) + 2)]


def test_a_row_has_every_value_in_its_form() -> None:
    (found,) = cells(frame([row()]))
    assert found == {
        "name": "a",
        "amount_minor": -70,
        "amount": -0.7,
        "currency": "USD",
        "created_at_utc": "2026-01-31T23:59:59.000001Z",
        "day": "2026-01-31",
        "live": True,
        "metadata": '{"k":1}',
        "fees": "[0.10]",
        "others": "{}",
    }


def test_the_head_is_the_first_row_and_stays_in_sight() -> None:
    book = openpyxl.load_workbook(io.BytesIO(rendered("xlsx", frame([]))))
    assert book.sheetnames == ["Export"]
    assert list(book.worksheets[0].values) == [tuple(NAMES)]
    assert book.worksheets[0].freeze_panes == "A2"


def test_what_is_missing_is_an_empty_cell() -> None:
    assert cells(frame([MISSING_ROW, row()]))[0] == MISSING_ROW


@pytest.mark.parametrize(
    ("number", "cell"),
    [
        (999_999_999_999_999, 999_999_999_999_999),
        (-999_999_999_999_999, -999_999_999_999_999),
        (1_000_000_000_000_001, "1000000000000001"),
        (2**63 - 1, "9223372036854775807"),
        (-(2**63), "-9223372036854775808"),
        (0, 0),
    ],
)
def test_a_number_too_long_for_a_spreadsheet_is_text(number: int, cell: Any) -> None:
    assert cells(frame([row(amount_minor=number)]))[0]["amount_minor"] == cell


@pytest.mark.parametrize(
    ("currency", "amount", "cell"),
    [
        ("USD", "0.10", 0.1),
        ("USD", "-0.70", -0.7),
        ("USD", "9999999999999.99", 9999999999999.99),
        ("USD", "12345678901234.56", "12345678901234.56"),
        ("JPY", "123456789012345", 123456789012345),
        ("CLF", "99999999999999999999.9999", "99999999999999999999.9999"),
    ],
)
def test_an_amount_is_exact(currency: str, amount: str, cell: Any) -> None:
    (found,) = cells(frame([row(currency=currency, amount=Decimal(amount))]))
    assert found["amount"] == cell
    assert Decimal(str(found["amount"])) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "http://example.com", "12", "1e5", "TRUE", "", " a "]
)
def test_text_stays_text_and_is_never_a_formula_or_a_link(text: str) -> None:
    assert texts(text) == [text]
    content = rendered("xlsx", frame([{"name": text}], NAME), columns=NAME)
    archive = zipfile.ZipFile(io.BytesIO(content))
    sheet = archive.read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet
    assert b"hyperlink" not in sheet
    assert "xl/worksheets/_rels/sheet1.xml.rels" not in archive.namelist()


@pytest.mark.parametrize(
    "text",
    [
        "a\r\nb",
        "\t",
        "\x00",
        "\x01\x1f",
        "_x0041_",
        "x_x000D_",
        "\ufffe",
        "\U0001f600",
        "<b>&\"']]>",
    ],
)
def test_text_with_characters_that_xml_does_not_know_reads_back(text: str) -> None:
    assert texts(text, "plain") == [text, "plain"]


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_openpyxl_reads_back_equal(rows: list[dict[str, Any]]) -> None:
    found = cells(frame(rows))
    assert len(found) == len(rows)
    for read, values in zip(found, rows, strict=True):
        assert (read["amount_minor"] is None) == (values["amount_minor"] is None)
        if values["amount_minor"] is not None:
            assert int(read["amount_minor"]) == values["amount_minor"]
        amount = shown(values["amount"], values["currency"])
        assert (read["amount"] is None) == (amount is None)
        if amount is not None:
            assert Decimal(str(read["amount"])) == Decimal(amount)
        assert read["live"] is values["live"]
        assert read["day"] == (values["day"] and values["day"].isoformat())
        instant = read["created_at_utc"]
        assert (instant and datetime.fromisoformat(instant)) == values["created_at_utc"]


@settings(max_examples=30, deadline=None)
@given(ROWS)
def test_any_text_reads_back_equal(rows: list[dict[str, Any]]) -> None:
    given_texts = [one["name"] for one in rows]
    assert texts(*given_texts) == given_texts


@pytest.mark.parametrize("text", ["<r></r>", "<r><t>5</t></r>", "<r>&</r>", "<r> a</r>b"])
def test_text_that_looks_like_the_files_own_xml_is_text(text: str) -> None:
    assert texts(text, "plain") == [text, "plain"]


def test_text_that_looks_like_the_files_own_xml_does_not_break_the_file() -> None:
    assert texts("<r>\x00</r>", "plain") == ["<r>_x0000_</r>", "plain"]


def test_the_same_rows_are_the_same_bytes() -> None:
    first, second = (rendered("xlsx", frame([row()])) for _ in range(2))
    assert first == second
    properties = openpyxl.load_workbook(io.BytesIO(first)).properties
    assert properties.created == properties.modified == datetime(2000, 1, 1)


def test_a_text_that_no_cell_holds_is_refused_by_its_row() -> None:
    most = "x" * 32_767
    assert len(cells(frame([row(name=most)]))[0]["name"]) == 32_767

    with pytest.raises(ExportFailed, match=r"^row 3 has a text of 32768 characters") as caught:
        cells(frame([row(), row()]), frame([row(name=f"{most}x")]))

    assert caught.value.code == "cell_too_long"
    assert "ask for csv, json or parquet" in str(caught.value)


@pytest.mark.parametrize("wide", ["\U0001f600", "\U00010000", "\U0010ffff"])
def test_a_character_beyond_the_first_65536_counts_as_two(wide: str) -> None:
    """As in Excel, which takes a file with a longer text for damaged."""
    assert texts(wide * 16_383 + "x") == [wide * 16_383 + "x"]
    assert texts("\uffff" * 32_767) == ["\uffff" * 32_767]
    with pytest.raises(ExportFailed, match="a text of 32768 characters"):
        texts(wide * 16_384)


def test_more_bytes_than_a_file_may_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2**20)
    wide = frame([{"name": "x" * 10_000}] * 50, NAME)
    assert len(cells(wide, wide, columns=NAME)) == 100

    with pytest.raises(ExportFailed, match=r"at most 1 MB of values.* split_rows") as caught:
        cells(wide, wide, wide, columns=NAME)

    assert caught.value.code == "too_many_bytes"


def test_as_many_usual_rows_as_a_file_holds_are_within_its_bytes() -> None:
    assert 600 * (RENDERERS["xlsx"].max_rows or 0) <= module.MOST_BYTES


def test_only_so_many_rows_are_meant_to_be_in_one_file() -> None:
    """Within Excel's own limit of 2^20 rows, the head included; the writer of parts holds to it."""
    assert 0 < (RENDERERS["xlsx"].max_rows or 0) < 2**20

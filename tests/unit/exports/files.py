"""What standard readers read of the files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import openpyxl
from pyarrow import parquet


def csv_rows(content: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file by the names in its header."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def exact_json(text: str | bytes) -> Any:
    """JSON whose numbers keep their digits."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def json_rows(content: bytes) -> list[dict[str, Any]]:
    """The objects of an NDJSON file."""
    lines = content.decode().split("\n")
    assert lines.pop() == "", "the last line has no end"
    return [exact_json(line) for line in lines]


def parquet_rows(content: bytes) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(content)).to_pylist()
    return rows


def xlsx_cells(content: bytes) -> list[list[Any]]:
    """The cells of a workbook's only sheet, with the header."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    (sheet,) = book.worksheets
    return [[cell.value for cell in cells] for cells in sheet.iter_rows()]


def xlsx_rows(content: bytes) -> list[dict[str, Any]]:
    """The rows of a workbook's only sheet, by the names in its header."""
    header, *rows = xlsx_cells(content)
    return [dict(zip(header, cells, strict=True)) for cells in rows]


READERS: Mapping[str, Callable[[bytes], list[dict[str, Any]]]] = {
    "csv": csv_rows,
    "json": json_rows,
    "parquet": parquet_rows,
    "xlsx": xlsx_rows,
}
"""Format to a standard reader of it."""

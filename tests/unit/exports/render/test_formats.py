"""What holds for every format."""

from __future__ import annotations

import io
from typing import Any, get_args

import openpyxl
import pandas as pd
import pytest
from pyarrow import parquet

from remit.errors import ConfigurationError
from remit.exports.render import RENDERERS
from remit.exports.render.arrow import ARROW_TYPES
from remit.exports.reports import COLUMN_TYPES, Column
from remit.exports.request import Format
from tests.unit.exports.building import COLUMNS, MISSING_ROW, frame, rendered, row

JOINABLE = [name for name, renderer in RENDERERS.items() if renderer.joinable]
HEAD = ",".join(column.name for column in COLUMNS).encode() + b"\r\n"


def row_count(format: str, content: bytes) -> int:
    match format:
        case "csv":
            assert content.startswith(HEAD)
            return content.count(b"\r\n") - 1
        case "json":
            return content.count(b"\n")
        case "parquet":
            return int(parquet.read_table(io.BytesIO(content)).num_rows)
    return int(openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].max_row) - 1


def test_every_format_that_can_be_asked_for_has_a_renderer() -> None:
    assert set(RENDERERS) == set(get_args(Format))


def test_every_type_of_column_has_an_arrow_type_and_is_in_these_tests() -> None:
    assert set(ARROW_TYPES) == set(COLUMN_TYPES) == {column.type for column in COLUMNS}


@pytest.mark.parametrize("format", RENDERERS)
def test_no_frames_give_a_valid_file_with_its_head(format: str) -> None:
    assert row_count(format, rendered(format)) == 0


@pytest.mark.parametrize("format", RENDERERS)
def test_frames_without_rows_change_nothing(format: str) -> None:
    rows = [row(), MISSING_ROW]
    without = rendered(format, frame(rows))
    with_empty = rendered(format, frame([]), frame(rows), frame([]), frame(rows).iloc[2:])
    assert row_count(format, with_empty) == 2
    if format != "parquet":  # its row groups tell the frames
        assert with_empty == without
    assert row_count(format, rendered(format, frame([]))) == 0


@pytest.mark.parametrize("format", RENDERERS)
def test_columns_without_a_single_value_are_there(format: str) -> None:
    assert row_count(format, rendered(format, frame([MISSING_ROW] * 3))) == 3


@pytest.mark.parametrize("format", RENDERERS)
def test_the_columns_are_the_declared_ones_in_their_order(format: str) -> None:
    """A frame has the columns in the engine's order, and may have currencies besides."""
    reordered = frame([row()])[[column.name for column in reversed(COLUMNS)]]
    assert rendered(format, reordered) == rendered(format, frame([row()]))


@pytest.mark.parametrize("format", RENDERERS)
def test_an_amount_is_written_though_its_currency_is_not_selected(format: str) -> None:
    columns = (COLUMNS[2],)
    content = rendered(format, frame([row()]), columns=columns)
    found: Any
    match format:
        case "csv":
            found = content.decode().split("\r\n")
            assert found[:2] == ["amount", '"-0.70"']
        case "json":
            assert content == b'{"amount":-0.70}\n'
        case "parquet":
            assert parquet.read_table(io.BytesIO(content)).column_names == ["amount"]
        case _:
            found = list(openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].values)
            assert found == [("amount",), (-0.7,)]


@pytest.mark.parametrize("format", JOINABLE)
@pytest.mark.parametrize("cut", range(4))
def test_slices_of_a_joinable_format_are_the_file_end_to_end(format: str, cut: int) -> None:
    rows = [row(name="a"), MISSING_ROW, row(name="c")]
    whole = rendered(format, frame(rows))
    first = rendered(format, frame(rows[:cut]))
    rest = rendered(format, frame(rows).iloc[cut:], first=False)
    assert first + rest == whole


@pytest.mark.parametrize("format", JOINABLE)
def test_an_empty_slice_adds_nothing(format: str) -> None:
    assert rendered(format, first=False) == b""


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize(
    "spoiled",
    [
        lambda made: made.drop(columns=["name"]),
        lambda made: made.rename(columns={"name": "renamed"}),
        lambda made: made.assign(amount_minor=["many"]),
        lambda made: made.assign(amount_minor=[1.5]),
        lambda made: made.assign(created_at_utc=["soon"]),
    ],
    ids=["dropped", "renamed", "text", "fraction", "no time"],
)
def test_a_frame_that_is_not_what_was_declared_is_a_matter_of_the_deployment(
    format: str, spoiled: Any
) -> None:
    with pytest.raises(ConfigurationError, match="is it the transform"):
        rendered(format, spoiled(frame([row()])))


@pytest.mark.parametrize("format", RENDERERS)
def test_a_frame_with_other_dtypes_of_the_same_values_is_rendered_alike(format: str) -> None:
    """As a transform may leave them."""
    made = frame([row(), row(name="b")])
    changed = made.assign(
        name=pd.Series(["a", "b"], dtype="str"),
        amount_minor=[-70, -70],
        live=[True, True],
        others=pd.Series(["{}", "{}"], dtype="object"),
    )
    assert rendered(format, changed) == rendered(format, made)


def test_only_text_formats_can_be_laid_end_to_end() -> None:
    assert JOINABLE == ["csv", "json"]


@pytest.mark.parametrize("format", RENDERERS)
def test_a_report_of_one_column_is_rendered(format: str) -> None:
    for column in COLUMNS:
        needed = (column, Column("currency", "text")) if column.currency else (column,)
        columns = (column,)
        made = frame([row(), MISSING_ROW], needed)
        assert len(rendered(format, made, columns=columns)) > 0

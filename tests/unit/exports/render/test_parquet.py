from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from pyarrow import parquet

from remit.exports.render import parquet as module
from remit.exports.reports import Column
from tests.unit.exports.building import MISSING_ROW, frame, rendered, row
from tests.unit.exports.render.rows import ROWS

NAME = (Column("name", "text"),)
SORT = "created_at_utc"
START = datetime(2026, 1, 1, tzinfo=UTC)


def opened(*frames: pd.DataFrame, sort: str | None = None) -> parquet.ParquetFile:
    return parquet.ParquetFile(io.BytesIO(rendered("parquet", *frames, sort=sort)))


def at(seconds: int | None) -> dict[str, Any]:
    return row(created_at_utc=None if seconds is None else START + timedelta(seconds=seconds))


def groups(file: parquet.ParquetFile) -> list[list[Any]]:
    """Per row group, the seconds at which its rows are."""
    found = []
    for number in range(file.num_row_groups):
        instants = file.read_row_group(number)[SORT].to_pylist()
        found.append([one and (one - START).total_seconds() for one in instants])
    return found


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many rows make a row group."""
    monkeypatch.setattr(module, "ROW_GROUP_ROWS", 10)
    return 10


def test_the_schema_is_the_declared_one() -> None:
    schema = opened(frame([row()])).schema_arrow
    assert {field.name: field.type for field in schema} == {
        "name": pa.string(),
        "amount_minor": pa.int64(),
        "amount": pa.decimal128(24, 4),
        "currency": pa.string(),
        "created_at_utc": pa.timestamp("us", tz="UTC"),
        "day": pa.date32(),
        "live": pa.bool_(),
        "metadata": pa.string(),
        "fees": pa.string(),
        "others": pa.string(),
    }
    assert schema.field("amount").metadata[b"unit"] == b"major units of currency"


@pytest.mark.parametrize("rows", [[], [row()], [MISSING_ROW] * 3], ids=["none", "one", "missing"])
def test_the_schema_does_not_depend_on_what_is_there(rows: list[Any]) -> None:
    assert opened(frame(rows)).schema_arrow.equals(opened().schema_arrow, check_metadata=False)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_pyarrow_reads_back_equal(rows: list[dict[str, Any]]) -> None:
    read = opened(frame(rows)).read()
    assert read.to_pylist() == [{name: one[name] for name in read.column_names} for one in rows]


@settings(max_examples=20, deadline=None)
@given(ROWS)
def test_a_part_of_a_frame_reads_back_equal(rows: list[dict[str, Any]]) -> None:
    read = opened(frame(rows).iloc[1:]).read()
    assert read.to_pylist() == [{name: one[name] for name in read.column_names} for one in rows[1:]]


def test_pandas_reads_back_equal() -> None:
    written = frame([row(), row(amount=None, name=None), MISSING_ROW])
    content = io.BytesIO(rendered("parquet", written))
    read = pd.read_parquet(content, dtype_backend="pyarrow")
    pd.testing.assert_frame_equal(read, written)


def test_columns_are_compressed_with_zstd() -> None:
    metadata = opened(frame([row()])).metadata
    group = metadata.row_group(0)
    kinds = {group.column(number).compression for number in range(metadata.num_columns)}
    assert kinds == {"ZSTD"}


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ([1] * 25, [10, 10, 5]),
        ([25], [10, 10, 5]),
        ([4] * 6, [8, 8, 8]),
        ([6] * 3, [6, 6, 6]),
        ([10, 10], [10, 10]),
        ([3, 25, 3], [3, 10, 10, 5, 3]),
    ],
    ids=str,
)
def test_row_groups_are_full_and_not_more(
    small_groups: int, frames: list[int], found: list[int]
) -> None:
    made = [frame([at(second) for second in range(count)]) for count in frames]
    assert [len(one) for one in groups(opened(*made, sort=SORT))] == found


def test_wide_rows_make_smaller_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them sorted; a frame that is too large by itself is a row group all the same."""
    monkeypatch.setattr(module, "ROW_GROUP_BYTES", 10_000)
    wide = [frame([at(second) | {"name": "x" * 4000}]) for second in (5, 1, 4, 2, 3)]
    huge = frame([at(second) | {"name": "x" * 20_000} for second in (2, 1)])
    file = opened(*wide, huge, frame([at(1)]), sort=SORT)
    assert groups(file) == [[1, 5], [2, 4], [3], [1, 2], [1]]


def test_what_waits_for_a_row_group_is_bounded() -> None:
    """250 rows of 400 KB are 100 MB, and no more of them is in memory than one row group."""
    most = 0
    with io.BytesIO() as sink:
        renderer = module.ParquetRenderer(sink, NAME, first=True)
        for _ in range(10):
            renderer.write(frame([{"name": "x" * 400_000}] * 25, NAME))
            most = max(most, sum(table.nbytes for table in renderer._waiting))
        renderer.finish()
    assert 0 < most <= module.ROW_GROUP_BYTES


@pytest.mark.parametrize(
    "seconds",
    [
        [3, 1, 2],
        [1, 2, 3],
        [2, 2, 1],
        [None, 2, 1],
        [1, None, 2],
        [None, None],
        [],
    ],
)
def test_a_row_group_is_sorted_and_says_so_whatever_the_order_was(seconds: list[Any]) -> None:
    file = opened(*(frame([at(second)]) for second in seconds), sort=SORT)

    whole = [one for group in groups(file) for one in group]
    present = sorted(one for one in seconds if one is not None)
    assert whole == [*present, *[None] * seconds.count(None)], "nulls last"
    for number in range(file.num_row_groups):
        (sorting,) = file.metadata.row_group(number).sorting_columns
        name = file.schema_arrow.names[sorting.column_index]
        assert (name, sorting.descending, sorting.nulls_first) == (SORT, False, False)


def test_rows_of_one_time_keep_their_order() -> None:
    rows = [row(name=str(n), created_at_utc=START - timedelta(seconds=n % 3)) for n in range(3000)]
    names = opened(frame(rows), sort=SORT).read(["name"])["name"].to_pylist()
    assert names == sorted(names, key=lambda name: (-(int(name) % 3), int(name)))


def test_readers_can_skip_groups_by_their_least_and_greatest_value(small_groups: int) -> None:
    metadata = opened(frame([at(second) for second in range(20)]), sort=SORT).metadata
    position = metadata.schema.names.index(SORT)
    edges = [metadata.row_group(number).column(position).statistics for number in range(2)]
    assert [(one.min - START).total_seconds() for one in edges] == [0, 10]
    assert [(one.max - START).total_seconds() for one in edges] == [9, 19]


def test_without_a_sort_nothing_is_sorted_or_said_to_be() -> None:
    file = opened(frame([at(3), at(1), at(2)]))
    assert groups(file) == [[3, 1, 2]]
    assert file.metadata.row_group(0).sorting_columns == ()


def test_a_sort_by_a_column_that_is_not_selected_is_none() -> None:
    content = rendered("parquet", frame([row()]), sort="elsewhere")
    assert parquet.read_metadata(io.BytesIO(content)).row_group(0).sorting_columns == ()


def test_a_row_group_of_the_usual_size_holds_many_frames() -> None:
    assert module.ROW_GROUP_ROWS >= 50_000

from __future__ import annotations

import csv
import gc
import io
from typing import Any
from unittest.mock import MagicMock

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.aws.multipart import part_size
from remit.aws.objects import ObjectWriter, StoredObject, Target, UploadGone
from remit.errors import ExportFailed, LeaseLost, StoreUnavailable
from remit.exports.render import RENDERERS, parquet
from remit.exports.slices import Part
from remit.exports.writing import Form, PartWriter
from tests.unit.exports.building import COLUMNS, frame, row
from tests.unit.exports.files import READERS, csv_rows

NAMES = [column.name for column in COLUMNS]
TEXT_AND_COMPRESSION = [("csv", "gzip"), ("json", "zstd")]


class Objects:
    """A store in memory: what was committed is visible, what was aborted is not. An object that has
    more bytes than there is room for raises the error."""

    def __init__(self, room: int = 2**30, error: Exception | None = None) -> None:
        self.room = room
        self.error = error
        self.visible: dict[int, bytes] = {}
        self.opened: list[_Object] = []

    def open(self, part: int) -> Any:
        self.opened.append(_Object(self, part))
        return self.opened[-1]

    @property
    def aborted(self) -> list[int]:
        return [one.part for one in self.opened if one.is_aborted]


class _Object(io.BytesIO):
    """What a part writer needs of `ObjectWriter`."""

    def __init__(self, store: Objects, part: int) -> None:
        super().__init__()
        self._store = store
        self.part = part
        self.is_aborted = False

    @property
    def bytes_written(self) -> int:
        return len(self.getvalue())

    def write(self, data: Any, /) -> int:
        if (
            self._store.error is not None
            and self.tell() + memoryview(data).nbytes > self._store.room
        ):
            raise self._store.error
        return super().write(data)

    def commit(self) -> StoredObject:
        assert self.part not in self._store.visible
        assert not self.is_aborted
        self._store.visible[self.part] = self.getvalue()
        return StoredObject(str(self.part), len(self.getvalue()), "", 0)

    def abort(self) -> None:
        self.is_aborted = True


def writer(
    objects: Objects,
    format: str = "csv",
    *,
    split_rows: int | None = None,
    compression: str = "none",
    headed: bool = True,
) -> PartWriter:
    form = Form(RENDERERS[format], compression, COLUMNS, "created_at_utc")
    return PartWriter(form, objects.open, split_rows=split_rows, headed=headed)


def rows(count: int, first: int = 0) -> list[Any]:
    return [row(name=f"row {number}") for number in range(first, first + count)]


def write(objects: Objects, *frames: int, **options: Any) -> tuple[Part, ...]:
    """Write frames of so many rows."""
    first = 0
    with writer(objects, **options) as one:
        for count in frames:
            one.write(frame(rows(count, first)))
            first += count
        return one.finish()


def written(frames: list[int], **options: Any) -> tuple[list[int], list[bytes]]:
    """Write frames of so many rows; returns the rows and the contents of the files."""
    objects = Objects()
    parts = write(objects, *frames, **options)
    assert [part.object.key for part in parts] == [str(number) for number in objects.visible]
    return [part.rows for part in parts], [*objects.visible.values()]


@pytest.mark.parametrize(
    ("frames", "parts"),
    [
        ([], [0]),
        ([0], [0]),
        ([0, 0], [0]),
        ([1], [1]),
        ([9], [9]),
        ([10], [10]),
        ([11], [10, 1]),
        ([20], [10, 10]),
        ([5, 5], [10]),
        ([5, 5, 5], [10, 5]),
        ([9, 2], [10, 1]),
        ([3, 30, 3], [10, 10, 10, 6]),
        ([10, 0, 10], [10, 10]),
        ([10, 0], [10]),
    ],
    ids=str,
)
def test_files_are_split_at_exactly_the_rows_that_were_asked_for(
    frames: list[int], parts: list[int]
) -> None:
    counts, contents = written(frames, split_rows=10)
    assert counts == parts
    assert [len(csv_rows(content)) for content in contents] == parts


@settings(deadline=None)
@given(st.lists(st.integers(0, 25), max_size=5), st.none() | st.integers(1, 12))
def test_every_row_is_in_one_file_and_in_order(frames: list[int], split: int | None) -> None:
    counts, contents = written(frames, split_rows=split)
    found = [one["name"] for content in contents for one in csv_rows(content)]
    assert found == [f"row {number}" for number in range(sum(frames))]
    assert sum(counts) == sum(frames)
    assert all(count == split for count in counts[:-1])


@pytest.mark.parametrize("format", RENDERERS)
def test_every_file_of_a_split_is_whole(format: str) -> None:
    counts, contents = written([7, 7, 7], format=format, split_rows=10)
    assert counts == [10, 10, 1]
    for content, count in zip(contents, counts, strict=True):
        found = READERS[format](content)
        assert len(found) == count
        assert list(found[0]) == NAMES


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_every_file_of_a_split_is_compressed_by_itself(compression: str) -> None:
    _, compressed = written([15], split_rows=10, compression=compression)
    contents = [
        pa.input_stream(pa.BufferReader(one), compression=compression).read() for one in compressed
    ]
    assert [len(csv_rows(one)) for one in contents] == [10, 5]


def test_a_slice_within_a_file_has_no_header() -> None:
    _, contents = written([2], headed=False)
    assert next(csv.reader(io.StringIO(contents[0].decode())))[0] == "row 0"


@pytest.mark.parametrize("frames", [[], [0]])
@pytest.mark.parametrize("format", RENDERERS)
def test_without_rows_there_is_one_valid_file(format: str, frames: list[int]) -> None:
    counts, contents = written(frames, format=format, split_rows=10)
    assert counts == [0]
    assert READERS[format](contents[0]) == []
    if format == "csv":
        assert contents[0].decode() == ",".join(NAMES) + "\r\n"


def test_rows_and_bytes_are_told_as_they_are_written() -> None:
    objects = Objects()
    with writer(objects, split_rows=10) as one:
        assert (one.rows, one.bytes_written) == (0, 0)
        one.write(frame(rows(5)))
        assert (one.rows, one.bytes_written) == (5, objects.opened[0].bytes_written)
        one.write(frame(rows(10)))
        assert one.rows == 15
        assert one.bytes_written == sum(opened.bytes_written for opened in objects.opened)
        parts = one.finish()
    assert one.bytes_written == sum(part.object.bytes for part in parts)


def test_nothing_is_visible_before_a_file_is_whole() -> None:
    objects = Objects()
    with writer(objects, split_rows=10) as one:
        one.write(frame(rows(9)))
        assert objects.visible == {}
        one.write(frame(rows(1)))
        assert [*objects.visible] == [0]
        one.finish()


def lost(objects: Objects, *frames: int) -> None:
    """Write frames of so many rows, and lose the lease before the end."""
    with writer(objects, split_rows=10) as one:
        for count in frames:
            one.write(frame(rows(count)))
        raise LeaseLost


def test_what_is_raised_meanwhile_leaves_nothing_unfinished() -> None:
    objects = Objects()
    with pytest.raises(LeaseLost):
        lost(objects, 15)
    assert [*objects.visible] == [0]
    assert objects.aborted == [1]


@pytest.mark.parametrize("frames", [[], [10]])
def test_what_is_raised_between_two_files_aborts_none(frames: list[int]) -> None:
    objects = Objects()
    with pytest.raises(LeaseLost):
        lost(objects, *frames)
    assert objects.aborted == []


@pytest.mark.parametrize(
    ("format", "compression"),
    [*TEXT_AND_COMPRESSION, ("parquet", "none"), ("xlsx", "none")],
)
def test_what_ends_after_an_abort_reaches_nothing(format: str, compression: str) -> None:
    """Compressors and Parquet's writer write their ends, as late as they are collected."""
    s3 = MagicMock()
    sink = ObjectWriter(s3, Target("exports", "exports/file", "text/csv"))
    form = Form(RENDERERS[format], compression, COLUMNS, None)

    def lose() -> None:
        with PartWriter(form, lambda part: sink, split_rows=None, headed=True) as one:
            one.write(frame(rows(3)))
            sink.write(bytes(part_size(0) - sink.bytes_written))  # one byte more is an upload
            raise LeaseLost

    with pytest.raises(LeaseLost):
        lose()
    gc.collect()

    assert s3.mock_calls == []


@pytest.mark.parametrize(
    "error", [StoreUnavailable("slow"), UploadGone("gone"), LeaseLost()], ids=repr
)
@pytest.mark.parametrize(
    ("format", "compression"), [*((one, "none") for one in RENDERERS), *TEXT_AND_COMPRESSION]
)
def test_what_the_store_raises_comes_out_as_it_is_and_nothing_is_visible(
    format: str, compression: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 1000)
    objects = Objects(room=5_000, error=error)
    with pytest.raises(type(error)) as caught:
        write(objects, 3000, 3000, format=format, compression=compression)
    assert caught.value is error
    assert objects.visible == {}
    assert objects.aborted == [0]


@pytest.mark.parametrize("format", RENDERERS)
def test_a_file_that_cannot_be_finished_is_aborted(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any) -> None:
        raise OSError("reset")

    monkeypatch.setattr(RENDERERS[format], "finish", fail)
    objects = Objects()
    with pytest.raises(OSError, match="reset"):
        write(objects, 3, format=format)
    assert objects.visible == {}
    assert objects.aborted == [0]


def test_a_row_too_many_for_the_format_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RENDERERS["xlsx"], "max_rows", 10)
    objects = Objects()
    with pytest.raises(ExportFailed, match="at most 10 rows") as raised:
        write(objects, 6, 5, format="xlsx")
    assert raised.value.code == "too_many_rows"
    assert objects.visible == {}
    assert objects.aborted == [0]


@pytest.mark.parametrize("options", [{}, {"split_rows": 10}, {"split_rows": 5}], ids=str)
def test_as_many_rows_as_the_format_holds_are_fine(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RENDERERS["xlsx"], "max_rows", 10)
    counts, _ = written([6, 4], format="xlsx", **options)
    assert sum(counts) == 10


def test_files_that_are_small_enough_may_be_any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RENDERERS["xlsx"], "max_rows", 10)
    counts, _ = written([25], format="xlsx", split_rows=10)
    assert counts == [10, 10, 5]

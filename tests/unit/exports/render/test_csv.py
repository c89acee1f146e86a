from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from pyarrow import csv as arrow_csv

from remit.aws.objects import UploadGone
from remit.errors import LeaseLost, StoreUnavailable
from remit.exports.render.csv import FORMULA_STARTS, CsvRenderer
from remit.exports.reports import Column
from tests.unit.exports.building import COLUMNS, MISSING_ROW, frame, rendered, row
from tests.unit.exports.render.rows import ROWS, shown

NAMES = ",".join(column.name for column in COLUMNS)
JSON = ("json", "attribute", "attributes")
NAME = (Column("name", "text"),)


def read(content: bytes) -> list[dict[str, str]]:
    """What Python's reader makes of it."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def guarded(text: str) -> str:
    return f"'{text}" if text.startswith(tuple(FORMULA_STARTS)) else text


def written(text: str | None) -> str:
    """The cell of a text column, as it is in the file."""
    content = rendered("csv", frame([{"name": text}], NAME), columns=NAME)
    return content.decode().removeprefix("name\r\n").removesuffix("\r\n")


def test_a_line_has_every_value_in_its_form() -> None:
    assert rendered("csv", frame([row(name='say "hi",\r\nthere')])).decode() == (
        f"{NAMES}\r\n"
        '"say ""hi"",\r\nthere",-70,"-0.70","USD","2026-01-31T23:59:59.000001Z","2026-01-31",true,'
        '"{""k"":1}","[0.10]","{}"\r\n'
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a", '"a"'),
        ("", '""'),
        (None, ""),
        ('"', '""""'),
        ('""', '""""""'),
        ("a,b", '"a,b"'),
        ("a\r\nb", '"a\r\nb"'),
        ("a\nb\rc", '"a\nb\rc"'),
        ("日本 é \U0001f600", '"日本 é \U0001f600"'),
        ("\u2028\x00\x7f", '"\u2028\x00\x7f"'),
        (" a ", '" a "'),
        ("12", '"12"'),
        ("null", '"null"'),
    ],
)
def test_text_is_in_quotes_and_what_is_missing_is_not(text: str | None, cell: str) -> None:
    assert written(text) == cell


def test_missing_and_empty_differ() -> None:
    """To readers that look at quotes; Arrow's, for one."""
    content = rendered("csv", frame([row(name=None), row(name=""), row(name="a")]))
    options = arrow_csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
    table = arrow_csv.read_csv(io.BytesIO(content), convert_options=options)
    assert table["name"].to_pylist() == [None, "", "a"]


def test_a_row_without_any_value_is_a_line_of_commas() -> None:
    content = rendered("csv", frame([MISSING_ROW, row(), MISSING_ROW])).decode()
    commas = "," * (len(COLUMNS) - 1)
    assert content.split("\r\n")[1] == content.split("\r\n")[3] == commas


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_text_that_starts_a_formula_is_guarded_and_no_other(start: str) -> None:
    assert written(f"{start}1+1") == f'"\'{start}1+1"'
    assert written(start) == f'"\'{start}"'
    for harmless in (f"a{start}1", f" {start}1", f"'{start}1"):
        assert written(harmless) == f'"{harmless}"'


def test_the_characters_that_start_a_formula_are_these() -> None:
    full_width = {chr(ord(character) + 0xFEE0) for character in "=+-@"}
    assert set(FORMULA_STARTS) == {*"=+-@\t\r\n", *full_width}


@pytest.mark.parametrize("type", JSON)
@pytest.mark.parametrize("text", ["-70", "-0.5E+3", '"=1+1"', '{"=1":"-1"}', "[-1]", "true"])
def test_json_is_no_formula_and_stays_as_it_is(type: str, text: str) -> None:
    """It begins with a brace, a bracket, a quote, a letter, or as a number does."""
    columns = (Column("free", type),)
    content = rendered("csv", frame([{"free": text}], columns), columns=columns)
    ((cell,),) = csv.reader(content.decode().split("\r\n")[1:-1], strict=True)
    assert cell == text


def test_a_formula_among_harmless_texts_is_the_one_that_is_guarded() -> None:
    texts = ["a", None, "", "=1", 'b"', None, '=2"']
    content = rendered("csv", frame([{"name": text} for text in texts], NAME), columns=NAME)
    cells = content.decode().split("\r\n")[1:-1]
    assert cells == ['"a"', "", '""', '"\'=1"', '"b"""', "", '"\'=2"""']


@pytest.mark.parametrize(
    ("changes", "name", "cell"),
    [
        ({"amount_minor": -70}, "amount_minor", "-70"),
        ({"amount_minor": -(2**63)}, "amount_minor", str(-(2**63))),
        ({"amount": Decimal("-0.70")}, "amount", "-0.70"),
        ({"amount": Decimal(-1), "currency": "JPY"}, "amount", "-1"),
        ({"amount": Decimal("-0.001"), "currency": "KWD"}, "amount", "-0.001"),
        ({"amount": Decimal("-0.0001"), "currency": "CLF"}, "amount", "-0.0001"),
        ({"created_at_utc": datetime.fromisoformat("0001-01-01T00:00:00Z")}, "created_at_utc", ...),
        ({"day": date(1, 1, 1)}, "day", "0001-01-01"),
        ({"live": False}, "live", "false"),
    ],
)
def test_numbers_times_and_truth_values_are_never_guarded(
    changes: Any, name: str, cell: Any
) -> None:
    (cells,) = read(rendered("csv", frame([row(**changes)])))
    assert cells[name] == ("0001-01-01T00:00:00.000000Z" if cell is ... else cell)


def test_integers_and_truth_values_are_bare_and_all_else_is_in_quotes() -> None:
    (cells,) = csv.reader(
        [rendered("csv", frame([row()])).decode().split("\r\n")[1]], quoting=csv.QUOTE_NONE
    )
    bare = {column.name for column in COLUMNS if column.type in ("integer", "boolean")}
    for column, cell in zip(COLUMNS, cells, strict=True):
        assert cell.startswith('"') == cell.endswith('"') == (column.name not in bare), column


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_pythons_reader_reads_back_what_was_written(rows: list[dict[str, Any]]) -> None:
    found = read(rendered("csv", frame(rows)))

    assert len(found) == len(rows)
    for cells, values in zip(found, rows, strict=True):
        for column in COLUMNS:
            value = values[column.name]
            cell = cells[column.name]
            if value is None:
                assert cell == ""
            elif column.type == "text":
                assert cell == guarded(value)
            else:
                assert cell == exact(column, values)


def exact(column: Column, values: dict[str, Any]) -> str | None:
    value = values[column.name]
    match column.type:
        case "major":
            return shown(value, values["currency"])
        case "timestamp":
            return str(value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")).rjust(27, "0")
        case "boolean":
            return str(value).lower()
    return str(value)


@settings(max_examples=20, deadline=None)
@given(ROWS)
def test_a_part_of_a_frame_is_rendered_as_a_frame_of_its_own(rows: list[dict[str, Any]]) -> None:
    whole = frame(rows)
    for first in range(len(rows)):
        part = whole.iloc[first:]
        assert rendered("csv", part) == rendered("csv", frame(rows[first:]))


def test_the_guard_takes_arrays_that_begin_in_the_middle_of_others() -> None:
    from remit.exports.render.csv import _guarded

    texts = pa.array(['"', None, "a", '=""', None, "", 'b"'])
    for first in range(len(texts)):
        for last in range(first, len(texts) + 1):
            part = texts[first:last]
            given = part.to_pylist()
            assert _guarded(part).to_pylist() == [one and guarded(one) for one in given]


class Sink(io.RawIOBase):
    """Notes the sizes of what it takes, and raises once it has taken so many writes."""

    def __init__(self, error: Exception | None = None, after: int = 2) -> None:
        self.sizes: list[int] = []
        self._error = error
        self._after = after

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if self._error is not None and len(self.sizes) == self._after:
            raise self._error
        self.sizes.append(memoryview(data).nbytes)
        return self.sizes[-1]


def sizes(count: int, width: int) -> list[int]:
    """The sizes of the writes of so many rows of a text of so many bytes."""
    sink = Sink()
    renderer = CsvRenderer(sink, NAME, first=False)
    renderer.write(frame([{"name": "x" * width}] * count, NAME))
    assert sum(sink.sizes) == count * (width + 4)
    assert not sink.closed
    return sink.sizes


@pytest.mark.parametrize(
    ("count", "width", "writes"),
    [(20_000, 100, 10), (200, 100_000, 20), (100, 400_000, 50), (3, 3_000_000, 3), (0, 0, 0)],
)
def test_a_write_has_many_narrow_rows_or_a_few_wide_ones(
    count: int, width: int, writes: int
) -> None:
    found = sizes(count, width)
    assert len(found) == writes
    assert max(found, default=0) < max(1.1 * 2**20, width + 5)


@pytest.mark.parametrize(
    "error", [StoreUnavailable("slow"), UploadGone("gone"), LeaseLost(), OSError("reset")], ids=str
)
def test_what_the_sink_raises_comes_out_as_it_is(error: Exception) -> None:
    renderer = CsvRenderer(Sink(error), NAME, first=True)
    with pytest.raises(type(error)) as caught:
        renderer.write(frame([{"name": "x"}] * 10_000, NAME))
    assert caught.value is error


def test_a_reader_that_makes_floats_of_what_is_bare_leaves_amounts_exact() -> None:
    columns = [column for column in COLUMNS if column.type != "boolean"]
    content = rendered("csv", frame([row()]), columns=columns).decode()
    (cells,) = csv.reader(content.split("\r\n")[1:-1], quoting=csv.QUOTE_NONNUMERIC)
    read_back = dict(zip((column.name for column in columns), cells, strict=True))
    assert read_back["amount_minor"] == -70.0
    assert read_back["amount"] == "-0.70"
    assert read_back["created_at_utc"] == "2026-01-31T23:59:59.000001Z"

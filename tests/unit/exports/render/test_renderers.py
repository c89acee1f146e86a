from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from remit.exports.render import RENDERERS
from remit.exports.render.arrow import schema_of
from remit.exports.reports import Column

COLUMNS = (
    Column("name", "text"),
    Column("amount_minor", "integer"),
    Column("created_at_utc", "timestamp"),
    Column("metadata", "json"),
)
INSTANT = datetime(2026, 1, 31, 23, 59, 59, 1, tzinfo=UTC)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | st.text(),
            "amount_minor": st.none() | st.integers(-(2**63), 2**63 - 1),
            "created_at_utc": st.none()
            | st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)),
            "metadata": st.none() | st.dictionaries(st.text(), st.text()).map(json.dumps),
        }
    ),
    max_size=5,
)


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pa.Table.from_pylist(rows, schema=schema_of(COLUMNS))
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def render(format: str, *frames: list[dict[str, Any]], first: bool = True) -> bytes:
    sink = io.BytesIO()
    renderer = RENDERERS[format](sink, COLUMNS, first=first)
    for rows in frames:
        renderer.write(frame_of(rows))
    renderer.finish()
    return sink.getvalue()


def row(**changes: Any) -> dict[str, Any]:
    values = {"name": "a", "amount_minor": -70, "created_at_utc": INSTANT, "metadata": '{"k":1}'}
    return {**values, **changes}


def cells(*frames: list[dict[str, Any]]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(render("csv", *frames).decode(), newline="")))


def test_csv_is_rfc_4180() -> None:
    assert render("csv", [row(name='say "hi",\r\nthere')]) == (
        b"name,amount_minor,created_at_utc,metadata\r\n"
        b'"say ""hi"",\r\nthere",-70,"2026-01-31T23:59:59.000001Z","{""k"":1}"\r\n'
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-70", "'-70"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("＝1+1", "'＝1+1"),  # noqa: RUF001 - full-width, as a spreadsheet also takes it
        ("a=1", "a=1"),
        (" =1", " =1"),
        ("'=1", "'=1"),
        ("", ""),
    ],
)
def test_text_that_starts_a_formula_is_guarded(text: str, cell: str) -> None:
    assert cells([row(name=text)])[1][0] == cell


def test_numbers_are_never_guarded() -> None:
    assert cells([row(amount_minor=-70)])[1][1] == "-70"


def test_missing_and_empty_differ_in_csv() -> None:
    lines = render("csv", [row(name=None, metadata=None), row(name="")]).split(b"\r\n")
    assert lines[1].startswith(b",-70,")
    assert lines[2].startswith(b'"",-70,')


@given(ROWS)
def test_csv_reads_back(rows: list[dict[str, Any]]) -> None:
    read = cells(rows)[1:]
    assert len(read) == len(rows)
    for found, written in zip(read, rows, strict=True):
        name = written["name"] or ""
        assert found[0] == (
            "'" + name
            if name[:1] in tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
            and name
            else name
        )
        assert found[1] == ("" if written["amount_minor"] is None else str(written["amount_minor"]))
        instant = written["created_at_utc"]
        assert (datetime.fromisoformat(found[2]) if found[2] else None) == instant


@given(ROWS)
def test_ndjson_reads_back(rows: list[dict[str, Any]]) -> None:
    text = render("json", rows)
    read = [json.loads(line) for line in text.decode().split("\n")[:-1]]
    assert [one["name"] for one in read] == [one["name"] for one in rows]
    assert [one["amount_minor"] for one in read] == [one["amount_minor"] for one in rows]
    instants = [one["created_at_utc"] for one in read]
    assert [i and datetime.fromisoformat(i) for i in instants] == [
        one["created_at_utc"] for one in rows
    ]
    assert [one["metadata"] for one in read] == [
        one["metadata"] and json.loads(one["metadata"]) for one in rows
    ]


def test_ndjson_keeps_every_digit_of_nested_numbers() -> None:
    digits = "12345678901234567890.123456789"
    assert f'"metadata":{{"n":{digits}}}'.encode() in render(
        "json", [row(metadata=f'{{"n":{digits}}}')]
    )


@given(ROWS)
def test_parquet_reads_back_with_the_declared_schema(rows: list[dict[str, Any]]) -> None:
    table = parquet.read_table(io.BytesIO(render("parquet", rows)))
    assert table.schema.equals(schema_of(COLUMNS))
    assert table.to_pylist() == rows


def test_parquet_is_compressed_with_zstd() -> None:
    metadata = parquet.read_metadata(io.BytesIO(render("parquet", [row()])))
    assert metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("format", RENDERERS)
def test_no_rows_give_a_valid_file(format: str) -> None:
    content = render(format)
    if format == "csv":
        assert content == b"name,amount_minor,created_at_utc,metadata\r\n"
    elif format == "json":
        assert content == b""
    else:
        assert parquet.read_table(io.BytesIO(content)).num_rows == 0


@pytest.mark.parametrize("format", [name for name, kind in RENDERERS.items() if kind.joinable])
def test_slices_of_a_joinable_format_are_the_file_end_to_end(format: str) -> None:
    whole = render(format, [row(name="a")], [row(name="b")])
    slices = render(format, [row(name="a")]) + render(format, [row(name="b")], first=False)
    assert slices == whole

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.exports.reports import Column
from tests.unit.exports.building import COLUMNS, MISSING_ROW, frame, rendered, row
from tests.unit.exports.render.rows import ROWS, TEXTS

NAME = (Column("name", "text"),)
NESTED = ("json", "attribute", "attributes")


def exactly(text: str) -> Any:
    """JSON with every digit of its numbers."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def read(content: bytes) -> list[Any]:
    """What a reader makes of it, line by line."""
    lines = content.decode().split("\n")
    assert lines.pop() == "", "every line ends"
    return [exactly(line) for line in lines]


def texts_of(*texts: str | None) -> list[Any]:
    content = rendered("json", frame([{"name": text} for text in texts], NAME), columns=NAME)
    return [line["name"] for line in read(content)]


def test_a_line_has_every_value_in_its_form() -> None:
    assert rendered("json", frame([row(name='say "hi"\n')])).decode() == (
        '{"name":"say \\"hi\\"\\n","amount_minor":-70,"amount":-0.70,"currency":"USD",'
        '"created_at_utc":"2026-01-31T23:59:59.000001Z","day":"2026-01-31","live":true,'
        '"metadata":{"k":1},"fees":[0.10],"others":{}}\n'
    )


def test_every_column_is_there_and_what_is_missing_is_null() -> None:
    assert read(rendered("json", frame([MISSING_ROW]))) == [dict.fromkeys(MISSING_ROW)]


@pytest.mark.parametrize("code", [*range(0x20), 0x7F, 0x85, 0x2028, 0x2029, 0xFEFF, 0x1F600])
def test_every_control_character_reads_back_on_one_line(code: int) -> None:
    text = f"a{chr(code)}b"
    assert texts_of(text, "plain", text) == [text, "plain", text]


@pytest.mark.parametrize("text", ['"', "\\", '\\"', "\\n", "\\u0041", "/", "</script>", "", "null"])
def test_quotes_and_backslashes_read_back(text: str) -> None:
    assert texts_of(text) == [text]


def test_missing_and_empty_differ() -> None:
    assert texts_of(None, "", "a") == [None, "", "a"]


@pytest.mark.parametrize(
    "digits", ["12345678901234567890.123456789", "1E-7", "0.10", "-0.0", "1" * 38]
)
def test_nested_numbers_keep_every_digit(digits: str) -> None:
    content = rendered("json", frame([row(metadata=f'{{"n":{digits}}}')]))
    assert f'"metadata":{{"n":{digits}}}'.encode() in content


def test_an_amount_is_a_number_with_the_decimals_of_its_currency() -> None:
    amounts = [("USD", "19.99"), ("JPY", "1999"), ("KWD", "1.999"), ("CLF", "0.1999")]
    rows = [row(currency=code, amount=Decimal(text)) for code, text in amounts]
    lines = rendered("json", frame(rows)).decode().splitlines()
    assert [line.split('"amount":')[1].split(",")[0] for line in lines] == [
        text for _, text in amounts
    ]


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_every_line_reads_back_equal(rows: list[dict[str, Any]]) -> None:
    assert read(rendered("json", frame(rows))) == [
        {column.name: plain(column, one[column.name]) for column in COLUMNS} for one in rows
    ]


def plain(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type in NESTED:
        return exactly(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
    return value.isoformat() if isinstance(value, date) else value


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | TEXTS, max_size=20))
def test_any_text_reads_back_equal(texts: list[str | None]) -> None:
    assert texts_of(*texts) == texts


@settings(max_examples=20, deadline=None)
@given(ROWS)
def test_a_part_of_a_frame_is_rendered_as_a_frame_of_its_own(rows: list[dict[str, Any]]) -> None:
    whole = frame(rows)
    for first in range(len(rows)):
        assert rendered("json", whole.iloc[first:]) == rendered("json", frame(rows[first:]))

"""Columns of attributes as plain JSON, held to the function that makes one value plain."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.aws import plain_column
from remit.aws.plain_column import plain_json_column
from remit.aws.plain_json import plain_json

SPECIAL = ['"', "{", "}", "[", "]", ":", ",", "\\", "\n", "\x00", "ä", "€", "𝄞", "S", "N", "M", " "]
TEXTS = st.text(st.sampled_from(SPECIAL), max_size=8) | st.text(max_size=8)
DIGITS = st.decimals(-(10**20), 10**20, places=9).map(str) | st.integers().map(str)
NUMBERS = DIGITS.filter(lambda digits: len(digits) <= 38) | st.sampled_from(
    ["0", "-0", "0.5", "-0.5", "00", "007", "+1", "1.50", "1E+20", "1e-130", ".5", "1."]
)
BINARY = st.binary(max_size=6).map(lambda value: base64.b64encode(value).decode())


def sets(elements: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(elements, min_size=1, max_size=3, unique=True)


SCALARS = (
    TEXTS.map(lambda value: {"S": value})
    | NUMBERS.filter(lambda digits: digits[-1] != ".").map(lambda value: {"N": value})
)  # fmt: skip
LEAVES = (
    SCALARS
    | BINARY.map(lambda value: {"B": value})
    | st.booleans().map(lambda value: {"BOOL": value})
    | st.just({"NULL": True})
    | sets(TEXTS).map(lambda value: {"SS": value})
    | sets(NUMBERS).map(lambda value: {"NS": value})
    | sets(BINARY).map(lambda value: {"BS": value})
)
ATTRIBUTES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda value: {"L": value})
        | st.dictionaries(TEXTS, inner, max_size=3).map(lambda value: {"M": value})
    ),
    max_leaves=8,
)
FLAT_MAPS = st.dictionaries(TEXTS, SCALARS, max_size=4).map(lambda value: {"M": value})


def text_of(attribute: Any) -> str:
    """JSON as DuckDB writes it: no white space, the least escapes."""
    return json.dumps(attribute, ensure_ascii=False, separators=(",", ":"))


VALUES = st.none() | (FLAT_MAPS | ATTRIBUTES).map(text_of)
NO_ATTRIBUTES = [
    "7", "[]", "{}", '"x"', '{"X":1}', '{"N":"ten"}', '{"S":"a","N":"1"}', '{"M":{', '{"M":',
    '{"M":{"a":{"X":"b"}}}', '{"M":{"a":{}}}', '{"MS":{}}',
]  # fmt: skip


def plain(text: str | None) -> str | None:
    try:
        return None if text is None else plain_json(text)
    except ValueError:
        return None


def read(text: str | None) -> Any:
    return text if text is None else json.loads(text, parse_float=Decimal, parse_int=Decimal)


def check(column: Any, texts: Sequence[str | None]) -> None:
    """That a column is made plain as each of its texts is."""
    made = plain_json_column(column)
    made.validate(full=True)
    assert [read(one) for one in made.to_pylist()] == [read(plain(one)) for one in texts]


@settings(deadline=None)
@given(st.lists(VALUES, max_size=8))
def test_it_agrees_with_what_one_value_gives(texts: list[str | None]) -> None:
    check(pa.array(texts, pa.string()), texts)


@settings(deadline=None)
@given(st.lists(FLAT_MAPS.map(text_of), min_size=1, max_size=8))
def test_it_agrees_on_maps_of_strings_and_numbers(texts: list[str]) -> None:
    check(pa.array(texts, pa.string()), texts)


@settings(deadline=None)
@given(st.lists(VALUES, max_size=8), st.data())
def test_it_agrees_on_a_part_of_a_column(texts: list[str | None], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(texts)))
    last = data.draw(st.integers(first, len(texts)))
    part = pa.array(texts, pa.string()).slice(first, last - first)
    check(part, texts[first:last])


@settings(deadline=None)
@given(st.lists(st.lists(VALUES, max_size=4), max_size=4))
def test_it_agrees_on_a_column_in_chunks(chunks: list[list[str | None]]) -> None:
    column = pa.chunked_array([pa.array(one, pa.string()) for one in chunks], pa.string())
    check(column, [text for one in chunks for text in one])
    check(column.slice(1), [text for one in chunks for text in one][1:])


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ('{"M":{}}', "{}"),
        ('{"M":{"order":{"S":"x"},"tries":{"N":"1"}}}', '{"order":"x","tries":1}'),
        ('{"M":{"":{"S":""}}}', '{"":""}'),
        ('{"M":{"S":{"S":"S"},"N":{"N":"0.10"}}}', '{"S":"S","N":0.10}'),
        ('{"M":{"ä":{"S":"𝄞"}}}', '{"ä":"𝄞"}'),
        ('{"M":{"a":{"S":"{"}}}', '{"a":"{"}'),
        ('{"M":{"a":{"S":"}{"},"b":{"N":"1"}}}', '{"a":"}{","b":1}'),
        ('{"M":{"{":{"S":"}"}}}', '{"{":"}"}'),
        ('{"M":{"a":{"S":"\\""}}}', '{"a":"\\""}'),
        ('{"M":{"a":{"N":"-1"},"b":{"N":"-0.5"},"c":{"N":"0"}}}', '{"a":-1,"b":-0.5,"c":0}'),
        ('{"M":{"a":{"N":"+1"},"b":{"N":"007"}}}', '{"a":1,"b":7}'),
        ('{"M":{"a":{"M":{"b":{"S":"c"}}}}}', '{"a":{"b":"c"}}'),
        ('{"M":{"a":{"M":{}}}}', '{"a":{}}'),
        ('{"M":{"a":{"BOOL":true},"b":{"NULL":true}}}', '{"a":true,"b":null}'),
        ('{"S":"M"}', '"M"'),
        (
            '{"N":"1234567890123456789012345678901234567.8"}',
            "1234567890123456789012345678901234567.8",
        ),
    ],
)
def test_the_text_is_exact(attribute: str, text: str) -> None:
    assert plain_json_column(pa.array([attribute])).to_pylist() == [text]
    around = '{"M":{"a":{"S":"b"}}}'
    column = pa.array([around, attribute, None, around])
    assert plain_json_column(column).to_pylist() == ['{"a":"b"}', text, None, '{"a":"b"}']


@pytest.mark.parametrize("text", NO_ATTRIBUTES)
def test_what_is_no_attribute_gives_null_and_spoils_no_other(text: str) -> None:
    map_ = '{"M":{"a":{"S":"b"},"c":{"N":"1"}}}'
    found = plain_json_column(pa.array([map_, text, map_])).to_pylist()
    assert found == ['{"a":"b","c":1}', None, '{"a":"b","c":1}']


@pytest.mark.parametrize("texts", [[], [None], [None, None]])
def test_a_column_may_hold_nothing(texts: list[str | None]) -> None:
    assert plain_json_column(pa.array(texts, pa.string())).to_pylist() == [None] * len(texts)
    assert plain_json_column(pa.chunked_array([pa.array(texts, pa.string())])).to_pylist() == [
        None
    ] * len(texts)


def test_ten_thousand_values_are_made_plain_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one: list[str] = []

    def noted(text: str) -> str:
        one_by_one.append(text)
        return plain_json(text)

    monkeypatch.setattr(plain_column, "plain_json", noted)
    kinds = [{"S": "x{}"}, {"S": "x"}, {"N": "1.50"}, {"S": "Zürich"}]
    texts = [
        text_of({"M": {f"key {n}": kinds[n % 4 or 1], "order": {"N": str(n)}}})
        for n in range(10_000)
    ]
    texts[::1000] = [text_of({"M": {"a": {"S": "}{"}}})] * 10
    check(pa.array(texts), texts)
    assert len(one_by_one) == 10

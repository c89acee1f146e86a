from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.standins.dynamodb import numbers
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.values import checked, item_size, same


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("007", "7"),
        ("1.50", "1.5"),
        ("+1", "1"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("-12.0E-2", "-0.12"),
        ("9" * 38, "9" * 38),
        ("1" + "0" * 60, "1" + "0" * 60),
        ("1E-130", "0." + "0" * 129 + "1"),
    ],
)
def test_a_number_has_one_text(text: str, canonical: str) -> None:
    assert numbers.canonical(text) == canonical


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "numeric"),
        ("one", "numeric"),
        ("NaN", "numeric"),
        ("1_000", "numeric"),
        ("1" * 39, "38 significant"),
        ("1E126", "overflow"),
        ("1E-131", "underflow"),
        ("1E99999999999999999999", "flow"),
    ],
)
def test_what_is_no_number_of_dynamodb_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        numbers.canonical(text)


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20
    )
)
def test_no_digit_is_lost(number: Decimal) -> None:
    assert Decimal(numbers.canonical(str(number))) == number


def test_sums_are_exact() -> None:
    assert numbers.add("0.1", "0.2") == "0.3"
    assert numbers.add("9" * 37 + "8", "1") == "9" * 38
    assert numbers.subtract("1", "0.00000000000000000001") == "0.99999999999999999999"


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "é"}, 2),
        ({"N": "0"}, 1),
        ({"N": "12345"}, 4),
        ({"N": "-100"}, 3),
        ({"B": base64.b64encode(b"12345").decode()}, 5),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "bc"]}, 3),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"NULL": True}]}, 3 + 2 + 3),
        ({"M": {"key": {"S": "ab"}}}, 3 + 1 + 5),
    ],
)
def test_sizes_are_as_dynamodb_counts_them(value: dict[str, Any], size: int) -> None:
    assert item_size({"name": value}) == len("name") + size


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"S": "a", "N": "1"},
        {"X": "a"},
        {"S": 1},
        {"B": "not base64"},
        {"SS": []},
        {"NS": ["1", "1.0"]},
        {"BOOL": "true"},
        {"M": []},
        {"L": {}},
    ],
)
def test_what_is_no_attribute_value_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        checked(value)


def test_equality_knows_types_and_sets() -> None:
    assert same({"SS": ["a", "b"]}, {"SS": ["b", "a"]})
    assert not same({"S": "1"}, {"N": "1"})
    assert not same({"L": [{"S": "a"}]}, {"L": []})
    assert same({"M": {"a": {"NS": ["1", "2"]}}}, {"M": {"a": {"NS": ["2", "1"]}}})
    assert not same({"M": {"a": {"S": "x"}}}, {"M": {"b": {"S": "x"}}})

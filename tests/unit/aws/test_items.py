from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.aws.items import decode, encode

NUMBERS = st.integers(-(10**37), 10**37) | st.decimals(
    -(10**15), 10**15, allow_nan=False, allow_infinity=False, places=10
)
SCALARS = st.none() | st.booleans() | st.text() | st.binary() | NUMBERS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS
    | st.frozensets(st.text(), min_size=1)
    | st.frozensets(st.binary(), min_size=1)
    | st.frozensets(st.integers(-(10**37), 10**37), min_size=1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_every_type_survives(value: Any) -> None:
    assert decode(encode(value)) == value


def test_whole_numbers_are_integers_and_others_decimals() -> None:
    assert decode({"N": "1999"}) == 1999
    assert isinstance(decode({"N": "1999.00"}), int)
    assert decode({"N": "19.99"}) == Decimal("19.99")


@pytest.mark.parametrize("value", [1.5, object(), set(), {1, "a"}, frozenset({None})])
def test_what_has_no_exact_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_more_digits_than_dynamodb_keeps_are_refused() -> None:
    with pytest.raises(ArithmeticError):
        encode(Decimal("1." + "1" * 38))

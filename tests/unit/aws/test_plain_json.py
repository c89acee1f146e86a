from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.aws.plain_json import plain_json

LEAVES = (
    st.text().map(lambda text: ({"S": text}, text))
    | st.booleans().map(lambda flag: ({"BOOL": flag}, flag))
    | st.just(({"NULL": True}, None))
    | st.decimals(-(10**20), 10**20, allow_nan=False, allow_infinity=False, places=8).map(
        lambda number: ({"N": str(number)}, number)
    )
    | st.lists(st.text(), min_size=1, unique=True).map(lambda v: ({"SS": v}, sorted(v)))
)
PAIRS: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda v: ({"L": [a for a, _ in v]}, [b for _, b in v]))
        | st.dictionaries(st.text(), inner, max_size=4).map(
            lambda v: ({"M": {k: a for k, (a, _) in v.items()}}, {k: b for k, (_, b) in v.items()})
        )
    ),
    max_leaves=12,
)


@given(PAIRS)
def test_the_plain_value_is_the_same(pair: tuple[Any, Any]) -> None:
    attribute, plain = pair
    assert json.loads(plain_json(json.dumps(attribute)), parse_float=Decimal) == plain


@pytest.mark.parametrize(
    ("attribute", "plain"),
    [
        (
            '{"N":"12345678901234567890123456789012345678"}',
            "12345678901234567890123456789012345678",
        ),
        ('{"N":"0.10"}', "0.10"),
        ('{"N":"007"}', "7"),
        ('{"N":"1E-7"}', "1E-7"),
        ('{"NS":["10","9"]}', "[9,10]"),
        ('{"B":"AAE="}', '"AAE="'),
        ('{"M":{}}', "{}"),
    ],
)
def test_digits_and_order_are_exact(attribute: str, plain: str) -> None:
    assert plain_json(attribute) == plain


@pytest.mark.parametrize(
    "attribute", ["", "7", "[]", "{}", '{"X":1}', '{"N":"ten"}', '{"N":"NaN"}', '{"S":"a","N":"1"}']
)
def test_what_is_no_attribute_value_is_refused(attribute: str) -> None:
    with pytest.raises(ValueError):
        plain_json(attribute)

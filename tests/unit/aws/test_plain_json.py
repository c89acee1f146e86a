from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.aws.plain_json import other_attributes, plain_json

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


@settings(deadline=None)
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


def test_other_attributes_are_those_that_are_not_declared() -> None:
    record = '{"id":{"S":"x"},"ID":{"S":"y"},"fees":{"L":[{"N":"0.10"}]},"tags":{"SS":["b","a"]}}'
    assert other_attributes(record, ["id"]) == '{"ID":"y","fees":[0.10],"tags":["a","b"]}'


def test_without_other_attributes_there_is_no_text() -> None:
    assert other_attributes('{"id":{"S":"x"}}', ["id"]) is None
    assert other_attributes("{}", ["id"]) is None


@pytest.mark.parametrize("odd", ['{"?":1}', "7", '"x"', "[]", '{"S":"a","N":"1"}', '{"N":"ten"}'])
def test_an_other_attribute_that_is_no_attribute_value_is_left_as_it_came(odd: str) -> None:
    text = other_attributes(f'{{"odd":{odd},"right":{{"S":"x"}}}}', [])
    assert json.loads(text or "") == {"odd": json.loads(odd), "right": "x"}


@settings(deadline=None)
@given(st.dictionaries(st.text(), PAIRS, max_size=4), st.sets(st.text(), max_size=2))
def test_other_attributes_are_the_same_plain_values(
    attributes: dict[str, tuple[Any, Any]], declared: set[str]
) -> None:
    record = json.dumps({name: attribute for name, (attribute, _) in attributes.items()})
    plain = {name: value for name, (_, value) in attributes.items() if name not in declared}
    text = other_attributes(record, declared)
    assert (json.loads(text, parse_float=Decimal) if text else {}) == plain

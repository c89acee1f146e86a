from __future__ import annotations

import json
from typing import Any

import pytest

from remit.api.strict_json import DEPTH, each_once, parse_object
from remit.errors import InvalidRequest
from remit.webhooks.event import MAX_DIGITS


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    """An object that holds `depth - 1` more things in one another."""
    return f'{{"a": {opening * (depth - 1)}{closing * (depth - 1)}}}'.encode()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"a": 1, "b": [1.5, None, True, "x"], "c": {"a": {}}},
        {"é": "😀", "quoted": '"\\/\b\f\n\r\t'},
        {"n": 10 ** (MAX_DIGITS - 1)},
        {"n": 1.7976931348623157e308},
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_is_read_as_it_is(values: dict[str, object], ascii_only: bool) -> None:
    assert parse_object(json.dumps(values, ensure_ascii=ascii_only).encode()) == values


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b'{"a": "\x00"}', "not JSON"),
        (b'{"a": "\n"}', "not JSON"),
        (b'{"a": \xff}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not JSON"),
        ('{"a": 1}'.encode("utf-32"), "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b'{"a": [-Infinity]}', "-Infinity is not JSON"),
        (b'{"a": 1e999999}', "a number is too large"),
        (b'{"a": -1e400}', "a number is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number has 5000 digits"),
        (b'{"a": 0.' + b"9" * 5000 + b"}", "a number is too large"),
        (rb'{"a": "\u0000"}', "a text has a NUL character"),
        (rb'{"a": [{"\u0000": 1}]}', "a text has a NUL character"),
        (rb'{"a": "\ud800"}', "a text has half a surrogate pair"),
        (rb'{"a": [["\udfff"]]}', "a text has half a surrogate pair"),
        (rb'{"\ud800x": 1}', "a text has half a surrogate pair"),
        (nested(DEPTH + 1), "too deep"),
        (b"[" * 60_000, "too deep"),
        (b'{"a":' * 60_000, "too deep"),
    ],
)
def test_what_is_no_plain_object_is_refused_and_says_why(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_object(body)
    (error,) = refused.value.errors
    assert error.field == "body"
    assert message in error.message
    assert error.allowed


def test_what_is_as_deep_as_may_be_is_read() -> None:
    assert list(parse_object(nested(DEPTH))) == ["a"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"a": 1, "b": 2, "a": 1}', "a"),
        (b'{"x": {"b": 1, "b": {}}}', "b"),
        (rb'{"a": 1, "\u0061": 2}', "a"),
    ],
)
def test_a_member_that_is_there_twice_is_named(body: bytes, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_object(body)
    assert [error.field for error in refused.value.errors] == [field]


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert parse_object(rb'{"a": "\\u0000"}') == {"a": r"\u0000"}


class Name(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)  # type: ignore[no-any-return]

    __hash__ = str.__hash__


def test_the_name_that_is_there_twice_is_found_without_comparing_all_with_all() -> None:
    Name.compared = 0
    members: list[tuple[str, Any]] = [(Name(number), 1) for number in range(10_000)]
    with pytest.raises(InvalidRequest) as refused:
        each_once([*members, (Name(9_999), 1)])
    assert [error.field for error in refused.value.errors] == ["9999"]
    assert Name.compared < 1_000

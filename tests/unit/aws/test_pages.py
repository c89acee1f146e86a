from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.aws import pages
from remit.aws.pages import Page, parse_page
from remit.errors import StoreUnavailable

ITEMS = [{"id": {"S": "a"}, "tags": {"SS": ["x", "y"]}}]
TEXTS = st.text(st.sampled_from(list('[]{}",:\\Items')), max_size=12) | st.text(max_size=12)


def answer(**changes: Any) -> bytes:
    """An answer to Query as DynamoDB writes it: in this order, without white space."""
    document = {
        "ConsumedCapacity": {"CapacityUnits": 12.5, "TableName": "Payments"},
        "Count": 1,
        "Items": ITEMS,
        "LastEvaluatedKey": {"id": {"S": "a"}},
        "ScannedCount": 1,
        **changes,
    }
    kept = {name: value for name, value in document.items() if value is not ...}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()


def crc32(content: bytes) -> str:
    return str(zlib.crc32(content))


def test_the_envelope_is_read_and_the_content_kept() -> None:
    content = answer()
    assert parse_page(content, crc32(content)) == Page(content, 1, 12.5, {"id": {"S": "a"}})


@pytest.mark.parametrize("key", [..., None])
def test_the_last_page_has_no_last_key(key: Any) -> None:
    assert parse_page(answer(LastEvaluatedKey=key), None).last_key is None


@pytest.mark.parametrize("consumed", [..., None, {}])
def test_units_that_are_not_told_are_none(consumed: Any) -> None:
    assert parse_page(answer(ConsumedCapacity=consumed), None).capacity_units == 0


def test_a_page_without_records_is_one() -> None:
    assert parse_page(answer(Items=[], Count=0), None).count == 0


def test_an_answer_with_white_space_is_read_as_a_whole() -> None:
    content = json.dumps(json.loads(answer()), indent=1).encode()
    assert parse_page(content, None).last_key == {"id": {"S": "a"}}


def test_the_items_are_read_around(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    decode = pages._decode

    def noted(content: bytes) -> Any:
        read.append(content)
        return decode(content)

    monkeypatch.setattr(pages, "_decode", noted)
    parse_page(answer(Items=ITEMS * 1000), None)
    assert [len(one) for one in read] == [len(answer(Items=[]))]


@pytest.mark.parametrize("text", ["]", 'a]"', "],", ']","Count":7,"x":["', "\\]", '"Items":['])
def test_a_bracket_in_a_key_ends_no_items(text: str) -> None:
    key = {"id": {"S": text}, "createdAt": {"S": "2026"}}
    found = parse_page(answer(LastEvaluatedKey=key), None)
    assert (found.count, found.last_key) == (1, key)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.none() | TEXTS, st.just("id") | TEXTS)
def test_the_envelope_is_that_of_the_answer_read_as_a_whole(
    item: str, other: str, key: str | None, name: str
) -> None:
    items = [{"id": {"S": item}, "m": {"M": {other: {"L": [{"S": other}]}}}}]
    last = {} if key is None else {"LastEvaluatedKey": {name: {"S": key}, "z": {"S": other}}}
    content = answer(**{"LastEvaluatedKey": ..., **last}, Items=items)
    found = parse_page(content, None)
    assert found == Page(content, 1, 12.5, last.get("LastEvaluatedKey"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"7",
        b'{"Items":[]}',
        b'{"Count":"1","Items":[]}',
        b'{"Count":2,"ScannedCount":2}',
        b'{"Count":2,"Items":null,"ScannedCount":2}',
        b'{"Count":2,"Items":{},"ScannedCount":2}',
        answer()[:-1],
        answer()[: len(answer()) // 2],
        answer()[10:],
        answer().replace(b'"S":"a"', b'"S":"\xff"'),
    ],
    ids=[
        "empty", "html", "list", "number", "no count", "count", "no items", "null", "items", "end",
        "half", "start", "no utf-8",
    ],
)  # fmt: skip
def test_what_is_no_answer_is_worth_asking_again(content: bytes) -> None:
    with pytest.raises(StoreUnavailable, match="not a JSON answer"):
        parse_page(content, None)


@pytest.mark.parametrize("checksum", ["1", "", "none", "-1", "0x1"])
def test_what_does_not_match_its_checksum_is_worth_asking_again(checksum: str) -> None:
    with pytest.raises(StoreUnavailable, match="arrived damaged"):
        parse_page(answer(), checksum)


@settings(deadline=None)
@given(st.data())
def test_every_changed_bit_is_found(data: st.DataObject) -> None:
    content = answer()
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    damaged = bytearray(content)
    damaged[at] ^= 1 << bit
    with pytest.raises(StoreUnavailable, match="arrived damaged"):
        parse_page(bytes(damaged), crc32(content))

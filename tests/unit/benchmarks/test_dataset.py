from __future__ import annotations

import json
import random
import zlib
from typing import Any

import pytest

from benchmarks.export.dataset import INDEX, PaymentPages
from benchmarks.export.shapes import ITEM_BYTES, MERCHANT, SHAPES
from benchmarks.standins.answers import Answer
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.values import checked_item, item_size

QUERY = {
    "TableName": "Payments",
    "IndexName": INDEX,
    "KeyConditionExpression": "merchantID = :m",
    "ExpressionAttributeValues": {":m": {"S": MERCHANT}},
}


def document(answer: Answer) -> dict[str, Any]:
    body = b"".join(answer.parts)
    assert answer.crc32 == zlib.crc32(body)
    found: dict[str, Any] = json.loads(body)
    return found


def answers(pages: PaymentPages) -> list[Answer]:
    """All pages of a query, in order."""
    found, start = [], {}
    while True:
        found.append(pages.query({**QUERY, **start}))
        last = document(found[-1]).get("LastEvaluatedKey")
        if last is None:
            return found
        start = {"ExclusiveStartKey": last}


def items(pages: PaymentPages) -> list[dict[str, Any]]:
    return [item for answer in answers(pages) for item in document(answer)["Items"]]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_item_is_one_as_dynamodb_counts_them(shape: str) -> None:
    found = items(PaymentPages(50, shape))
    assert {item_size(checked_item(item)) for item in found} == {ITEM_BYTES}
    assert len({item["id"]["S"] for item in found}) == 50
    created = [item["createdAt"]["S"] for item in found]
    assert created == sorted(set(created))


def test_a_shape_has_what_it_is_named_for() -> None:
    chance = random.Random(1)
    assert "metadata" not in SHAPES["flat"](chance)
    assert {"NULL": True} in SHAPES["nulls"](chance).values()
    assert {"NULL": True} not in SHAPES["nested"](chance).values()


def test_pages_that_lie_ready_are_those_that_are_made() -> None:
    kept, made = PaymentPages(5_000), PaymentPages(5_000)
    kept.warm_up(keep=True)
    assert [document(a) for a in answers(kept)] == [document(a) for a in answers(made)]


def test_rows_that_do_not_begin_a_page_are_the_same_rows() -> None:
    pages = PaymentPages(5_000)
    start = {"ExclusiveStartKey": document(pages.query({**QUERY, "Limit": 7}))["LastEvaluatedKey"]}
    assert document(pages.query({**QUERY, **start}))["Items"] == items(pages)[7 : 7 + 2184]


@pytest.mark.parametrize(("partitions", "expected"), [(1, {"0"}), (4, {"0", "1", "2", "3"})])
def test_a_page_is_of_one_of_so_many_partitions(partitions: int, expected: set[str]) -> None:
    found = answers(PaymentPages(20_000, partitions=partitions))
    assert {answer.partition for answer in found} == expected


def test_a_table_without_rows_has_an_empty_page() -> None:
    (only,) = answers(PaymentPages(0))
    assert document(only) == {"Items": [], "Count": 0, "ScannedCount": 0}


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_a_number_of_items(limit: int) -> None:
    with pytest.raises(InvalidRequest, match="Limit"):
        PaymentPages(5).query({**QUERY, "Limit": limit})
    with pytest.raises(InvalidRequest, match="Limit"):
        PaymentPages(5).scan({"TableName": "Payments", "Limit": limit})


def test_a_scan_has_no_filter_either() -> None:
    with pytest.raises(InvalidRequest, match="FilterExpression"):
        PaymentPages(5).scan({"TableName": "Payments", "FilterExpression": "attribute_exists(id)"})

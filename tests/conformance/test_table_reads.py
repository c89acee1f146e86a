"""What `Table` reads: pages of an index with a place to go on after, and records by their keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from remit.aws.items import Item
from remit.aws.table import Pair, Table
from tests.conformance.tables import create_table, index

Unique = Callable[[str], str]


@pytest.fixture
def letters(dynamodb: Any, unique: Unique) -> Table[str]:
    """Letters 0 to 9 of one owner, every third of them read, and one of another owner."""
    indexes = (index("by-owner", "owner", "kind"),)
    table: Table[str] = Table(
        dynamodb, create_table(dynamodb, unique("letters"), "id", indexes=indexes)
    )
    for number in range(10):
        letter = {"id": f"l{number}", "owner": "o", "kind": "note", "text": "x"}
        table.put({**letter, "read": number % 3 == 0})
    table.put({"id": "other", "owner": "p", "kind": "note", "read": True})
    return table


def page(table: Table[str], start: Item | None, limit: int = 4) -> tuple[list[Item], Item | None]:
    return table.query_page(
        "#owner = :owner AND begins_with(#kind, :kind)",
        {"owner": "o", "kind": "no", "read": True},
        index="by-owner",
        filter="#read = :read",
        limit=limit,
        start=start,
    )


def test_pages_of_an_index_join_without_gap(letters: Table[str]) -> None:
    found, start, pages = [], None, 0
    while pages == 0 or start is not None:
        items, start = page(letters, start)
        found += [item["id"] for item in items]
        pages += 1
    assert sorted(found) == ["l0", "l3", "l6", "l9"]
    assert pages == 3


def test_a_page_begins_after_any_record_of_the_index(letters: Table[str]) -> None:
    items, end = page(letters, None, limit=100)
    assert end is None
    place = {name: items[1][name] for name in ("id", "owner", "kind")}
    after, _ = page(letters, place, limit=100)
    assert after == items[2:]


def test_pages_of_a_table_with_two_keys_go_backwards_and_join(
    dynamodb: Any, unique: Unique
) -> None:
    name = create_table(dynamodb, unique("log"), "owner", "id")
    table: Table[Pair] = Table(dynamodb, name, key="owner", sort="id")
    for number in range(7):
        table.put({"owner": "o", "id": f"2026-0{number}"})
    table.put({"owner": "p", "id": "2026-03"})
    found, start = [], None
    while not found or start is not None:
        items, start = table.query_page(
            "#owner = :owner AND #id BETWEEN :first AND :last",
            {"owner": "o", "first": "2026-01", "last": "2026-05"},
            limit=2,
            start=start,
            descending=True,
        )
        assert len(items) <= 2
        found += [item["id"] for item in items]
    assert found == ["2026-05", "2026-04", "2026-03", "2026-02", "2026-01"]


def test_records_have_no_more_than_the_named_attributes(letters: Table[str]) -> None:
    found = letters.get_many(["l0", "other", "none"], attributes=("text", "read"))
    assert found == {
        "l0": {"id": "l0", "text": "x", "read": True},
        "other": {"id": "other", "read": True},
    }


def test_both_keys_come_with_the_named_attributes(dynamodb: Any, unique: Unique) -> None:
    name = create_table(dynamodb, unique("pairs"), "owner", "id")
    table: Table[Pair] = Table(dynamodb, name, key="owner", sort="id")
    table.put({"owner": "o", "id": "1", "text": "x", "more": "y"})
    found = table.get_many([("o", "1"), ("o", "2")], attributes=("text",))
    assert found == {("o", "1"): {"owner": "o", "id": "1", "text": "x"}}

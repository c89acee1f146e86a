"""Pages, ranges, indexes and projections of Query and Scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from remit.aws.table import Table
from tests.conformance.backends import Backend
from tests.conformance.tables import create_table, error_code, index, n, s

Unique = Callable[[str], str]


@pytest.fixture
def readings(dynamodb: Any, unique: Unique) -> str:
    """Readings 0 to 9 of one device in a table with a composite key, and one of another device."""
    table = create_table(dynamodb, unique("readings"), "device", "at", numbers=("at",))
    for at in range(10):
        item = {"device": s("d-1"), "at": n(at), "value": n(at * at), "note": s(f"note {at}")}
        dynamodb.put_item(TableName=table, Item=item)
    dynamodb.put_item(TableName=table, Item={"device": s("d-2"), "at": n(5)})
    return table


def found(dynamodb: Any, table: str, condition: str = "", **request: Any) -> list[int]:
    """The times that a query finds on device d-1; values are given as keywords, `low=n(3)`."""
    values = {":device": s("d-1")} | {f":{k}": v for k, v in request.pop("values", {}).items()}
    answer = dynamodb.query(
        TableName=table,
        KeyConditionExpression="device = :device" + condition,
        ExpressionAttributeValues=values,
        **request,
    )
    return [int(item["at"]["N"]) for item in answer["Items"]]


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("", {}, range(10)),
        (" AND #at = :a", {"a": 3}, [3]),
        (" AND #at < :a", {"a": 3}, [0, 1, 2]),
        (" AND #at <= :a", {"a": 3}, [0, 1, 2, 3]),
        (" AND #at > :a", {"a": 7}, [8, 9]),
        (" AND #at >= :a", {"a": 7}, [7, 8, 9]),
        (" AND #at BETWEEN :a AND :b", {"a": 3, "b": 5}, [3, 4, 5]),
        (" AND #at BETWEEN :a AND :b", {"a": 3.5, "b": 5.5}, [4, 5]),
    ],
)
def test_a_range_of_the_sort_key(
    dynamodb: Any, readings: str, condition: str, values: dict[str, float], expected: Any
) -> None:
    names = {"ExpressionAttributeNames": {"#at": "at"}} if condition else {}
    bound = {name: n(value) for name, value in values.items()}
    assert found(dynamodb, readings, condition, values=bound, **names) == list(expected)


def test_backwards(dynamodb: Any, readings: str) -> None:
    assert found(dynamodb, readings, ScanIndexForward=False) == list(range(9, -1, -1))


def test_a_prefix_of_the_sort_key(dynamodb: Any, unique: Unique) -> None:
    table = create_table(dynamodb, unique("log"), "host", "line")
    for line in ("a", "ab", "ab\u00e9", "abz", "ac", "b"):
        dynamodb.put_item(TableName=table, Item={"host": s("h"), "line": s(line)})

    answer = dynamodb.query(
        TableName=table,
        KeyConditionExpression="host = :h AND begins_with(line, :p)",
        ExpressionAttributeValues={":h": s("h"), ":p": s("ab")},
    )

    assert [item["line"]["S"] for item in answer["Items"]] == ["ab", "abz", "ab\u00e9"]


@pytest.mark.parametrize("forward", [True, False])
def test_pages_by_limit_join_without_gap(dynamodb: Any, readings: str, forward: bool) -> None:
    pages = dynamodb.get_paginator("query").paginate(
        TableName=readings,
        KeyConditionExpression="device = :d",
        ExpressionAttributeValues={":d": s("d-1")},
        ScanIndexForward=forward,
        PaginationConfig={"PageSize": 3},
    )
    times = [[int(item["at"]["N"]) for item in page["Items"]] for page in pages]
    expected = list(range(10)) if forward else list(range(9, -1, -1))
    assert [len(page) for page in times][:3] == [3, 3, 3]
    assert [time for page in times for time in page] == expected


def test_a_page_goes_on_after_a_key_that_is_gone(dynamodb: Any, readings: str) -> None:
    key = {"device": s("d-1"), "at": n(4)}
    dynamodb.delete_item(TableName=readings, Key=key)
    assert found(dynamodb, readings, ExclusiveStartKey=key) == [5, 6, 7, 8, 9]


def test_limit_counts_what_is_read_and_not_what_passes_the_filter(
    dynamodb: Any, readings: str
) -> None:
    answer = dynamodb.query(
        TableName=readings,
        KeyConditionExpression="device = :d",
        FilterExpression="#v >= :v",
        ExpressionAttributeNames={"#v": "value"},
        ExpressionAttributeValues={":d": s("d-1"), ":v": n(9)},
        Limit=4,
    )
    assert (answer["Count"], answer["ScannedCount"]) == (1, 4)
    assert answer["LastEvaluatedKey"] == {"device": s("d-1"), "at": n(3)}


def test_a_full_last_page_has_a_last_key(standins: Backend, unique: Unique) -> None:
    # DynamoDB stops at the limit without looking further; moto knows that nothing follows.
    table = create_table(standins.dynamodb, unique("full"), "id")
    standins.dynamodb.put_item(TableName=table, Item={"id": s("a")})
    answer = standins.dynamodb.query(
        TableName=table,
        KeyConditionExpression="id = :id",
        ExpressionAttributeValues={":id": s("a")},
        Limit=1,
    )
    assert answer["LastEvaluatedKey"] == {"id": s("a")}


def test_a_page_holds_at_most_a_megabyte(backend: Backend, unique: Unique) -> None:
    dynamodb = backend.dynamodb
    table = create_table(dynamodb, unique("large"), "device", "at", numbers=("at",))
    for at in range(30):
        item = {"device": s("d-1"), "at": n(at), "pad": s("x" * 100_000)}
        dynamodb.put_item(TableName=table, Item=item)
    pages = list(
        dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="device = :d",
            ExpressionAttributeValues={":d": s("d-1")},
            ReturnConsumedCapacity="TOTAL",
        )
    )
    assert [int(item["at"]["N"]) for page in pages for item in page["Items"]] == list(range(30))
    assert "LastEvaluatedKey" not in pages[-1]
    if backend.name == "moto":  # its megabyte is a little smaller, and every answer costs the same
        assert max(page["Count"] for page in pages) <= 10
    else:
        assert [page["Count"] for page in pages] == [10, 10, 10]
        assert pages[0]["ConsumedCapacity"]["CapacityUnits"] == 122.5


def test_count_has_no_items(dynamodb: Any, readings: str) -> None:
    answer = dynamodb.query(
        TableName=readings,
        KeyConditionExpression="device = :d",
        ExpressionAttributeValues={":d": s("d-1")},
        Select="COUNT",
    )
    assert answer["Count"] == 10
    assert "Items" not in answer


def test_a_table_counts_over_pages_and_no_further_than_it_is_told(
    dynamodb: Any, unique: Unique
) -> None:
    name = create_table(dynamodb, unique("large"), "id", indexes=(index("by-kind", "kind"),))
    for number in range(12):  # twice a page of a megabyte, and more
        item = {"id": s(f"id-{number}"), "kind": s("large"), "note": s("x" * 200_000)}
        dynamodb.put_item(TableName=name, Item=item)
    dynamodb.put_item(TableName=name, Item={"id": s("other"), "kind": s("small")})
    table = Table(dynamodb, name)

    def count(most: int) -> int:
        return table.count("#kind = :kind", {"kind": "large"}, index="by-kind", most=most)

    assert [count(most) for most in (1, 11, 12, 13, 1000)] == [1, 11, 12, 12, 12]
    assert table.count("#id = :id", {"id": "other"}, most=5) == 1
    assert table.count("#id = :id", {"id": "none"}, most=5) == 0


def test_a_projection_picks_attributes(dynamodb: Any, readings: str) -> None:
    answer = dynamodb.query(
        TableName=readings,
        KeyConditionExpression="device = :d AND #at = :at",
        ProjectionExpression="note, #v",
        ExpressionAttributeNames={"#at": "at", "#v": "value"},
        ExpressionAttributeValues={":d": s("d-1"), ":at": n(3)},
    )
    assert answer["Items"] == [{"note": s("note 3"), "value": n(9)}]


def test_a_nested_projection_keeps_the_way_there(dynamodb: Any, readings: str) -> None:
    item = {
        "device": s("d-3"),
        "at": n(1),
        "m": {"M": {"a": n(1), "b": {"L": [s("x"), s("y"), s("z")]}}},
    }
    dynamodb.put_item(TableName=readings, Item=item)
    answer = dynamodb.get_item(
        TableName=readings,
        Key={"device": s("d-3"), "at": n(1)},
        ProjectionExpression="m.b[1]",
    )
    assert answer["Item"] == {"m": {"M": {"b": {"L": [s("y")]}}}}


def test_a_scan_reads_everything_once(dynamodb: Any, readings: str) -> None:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=readings, PaginationConfig={"PageSize": 4}
    )
    seen = [(item["device"]["S"], item["at"]["N"]) for page in pages for item in page["Items"]]
    assert len(seen) == len(set(seen)) == 11


def test_segments_of_a_scan_are_the_whole_together(dynamodb: Any, unique: Unique) -> None:
    table = create_table(dynamodb, unique("many"), "id")
    for number in range(40):
        dynamodb.put_item(TableName=table, Item={"id": s(f"id-{number}")})
    parts = [
        dynamodb.scan(TableName=table, Segment=segment, TotalSegments=3)["Items"]
        for segment in range(3)
    ]
    assert sorted(item["id"]["S"] for part in parts for item in part) == sorted(
        f"id-{number}" for number in range(40)
    )


@pytest.fixture
def jobs(dynamodb: Any, unique: Unique) -> str:
    """Jobs of which some are due."""
    return create_jobs(dynamodb, unique)


def create_jobs(dynamodb: Any, unique: Unique) -> str:
    """Jobs with an index of keys only, and one that includes an attribute."""
    table = create_table(
        dynamodb,
        unique("jobs"),
        "id",
        numbers=("shard",),
        indexes=(
            index("due", "shard", "dueAt", projection="KEYS_ONLY"),
            index("status", "state", projection="INCLUDE", include=("note",)),
        ),
    )
    for number in range(8):
        item = {"id": s(f"j{number}"), "state": s("new"), "note": s("n"), "secret": s("s")}
        if number % 2:
            item |= {"shard": n(1), "dueAt": s(f"2026-01-0{9 - number}")}
        dynamodb.put_item(TableName=table, Item=item)
    return table


def due(dynamodb: Any, table: str, **request: Any) -> dict[str, Any]:
    """The jobs of shard 1 in the order of their time."""
    answer: dict[str, Any] = dynamodb.query(
        TableName=table,
        IndexName="due",
        KeyConditionExpression="shard = :s",
        ExpressionAttributeValues={":s": n(1)},
        **request,
    )
    return answer


def test_a_sparse_index_holds_only_what_has_its_key(dynamodb: Any, jobs: str) -> None:
    assert [item["id"]["S"] for item in due(dynamodb, jobs)["Items"]] == ["j7", "j5", "j3", "j1"]


def test_an_index_of_keys_has_the_keys_of_both(dynamodb: Any, jobs: str) -> None:
    assert due(dynamodb, jobs)["Items"][0] == {
        "id": s("j7"),
        "shard": n(1),
        "dueAt": s("2026-01-02"),
    }


def test_an_index_includes_what_it_is_told_to(dynamodb: Any, jobs: str) -> None:
    (item, *_) = dynamodb.query(
        TableName=jobs,
        IndexName="status",
        KeyConditionExpression="#state = :s",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":s": s("new")},
    )["Items"]
    assert item.keys() == {"id", "state", "note"}


def test_pages_of_an_index_go_on_by_the_keys_of_both(dynamodb: Any, jobs: str) -> None:
    first = due(dynamodb, jobs, Limit=2)
    assert first["LastEvaluatedKey"] == {"id": s("j5"), "shard": n(1), "dueAt": s("2026-01-04")}
    rest = due(dynamodb, jobs, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [item["id"]["S"] for item in rest["Items"]] == ["j3", "j1"]


def test_equal_index_keys_are_all_there(dynamodb: Any, jobs: str) -> None:
    for number in range(5):
        item = {"id": s(f"same-{number}"), "shard": n(2), "dueAt": s("2026-02-01")}
        dynamodb.put_item(TableName=jobs, Item=item)
    pages = dynamodb.get_paginator("query").paginate(
        TableName=jobs,
        IndexName="due",
        KeyConditionExpression="shard = :s",
        ExpressionAttributeValues={":s": n(2)},
        PaginationConfig={"PageSize": 2},
    )
    ids = [item["id"]["S"] for page in pages for item in page["Items"]]
    assert sorted(ids) == [f"same-{number}" for number in range(5)]


def test_an_update_moves_an_item_within_an_index_and_out_of_it(dynamodb: Any, jobs: str) -> None:
    dynamodb.update_item(
        TableName=jobs,
        Key={"id": s("j7")},
        UpdateExpression="SET dueAt = :at",
        ExpressionAttributeValues={":at": s("2027-01-01")},
    )
    dynamodb.update_item(
        TableName=jobs,
        Key={"id": s("j5")},
        UpdateExpression="REMOVE #shard, dueAt",
        ExpressionAttributeNames={"#shard": "shard"},
    )
    assert [item["id"]["S"] for item in due(dynamodb, jobs)["Items"]] == ["j3", "j1", "j7"]
    dynamodb.delete_item(TableName=jobs, Key={"id": s("j3")})
    assert [item["id"]["S"] for item in due(dynamodb, jobs)["Items"]] == ["j1", "j7"]


def test_an_index_is_scanned(dynamodb: Any, jobs: str) -> None:
    answer = dynamodb.scan(TableName=jobs, IndexName="due")
    assert sorted(item["id"]["S"] for item in answer["Items"]) == ["j1", "j3", "j5", "j7"]


def test_an_index_that_is_added_later_holds_what_is_there(dynamodb: Any, jobs: str) -> None:
    dynamodb.update_table(
        TableName=jobs,
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "note", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[{"Create": index("by-note", "note")}],
    )
    answer = dynamodb.query(
        TableName=jobs,
        IndexName="by-note",
        KeyConditionExpression="note = :n",
        ExpressionAttributeValues={":n": s("n")},
    )
    assert answer["Count"] == 8


def refused(dynamodb: Any, table: str, change: dict[str, Any]) -> str:
    """The code that a query of the jobs that are due is refused with, when it is so changed."""
    usual = {
        "TableName": table,
        "IndexName": "due",
        "KeyConditionExpression": "shard = :s",
        "ExpressionAttributeValues": {":s": n(1)},
    }
    with pytest.raises(ClientError) as error:
        dynamodb.query(**{**usual, **change})
    return error_code(error)


@pytest.mark.parametrize(
    "change",
    [
        {"KeyConditionExpression": "note = :s"},
        {"KeyConditionExpression": "shard > :s"},
        {"ConsistentRead": True},
        {"Select": "ALL_ATTRIBUTES"},
    ],
    ids=["not a key", "no partition", "consistent", "not projected"],
)
def test_what_a_query_refuses(dynamodb: Any, jobs: str, change: dict[str, Any]) -> None:
    assert refused(dynamodb, jobs, change) == "ValidationException"


@pytest.mark.parametrize(
    "change",
    [
        {"IndexName": "no-such-index"},
        {"ExclusiveStartKey": {"id": s("j1")}},
        {"ExclusiveStartKey": {"id": s("j1"), "shard": n(2), "dueAt": s("2026-01-08")}},
        {"ExpressionAttributeValues": {":s": n(1), ":unused": n(2)}},
        {"ExpressionAttributeValues": {":s": s("1")}},
        {"KeyConditions": {}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_query_refuses_beyond_moto(
    standins: Backend, unique: Unique, change: dict[str, Any]
) -> None:
    # Moto lets these pass, fails on them, or has another code for them.
    table = create_jobs(standins.dynamodb, unique)
    assert refused(standins.dynamodb, table, change) == "ValidationException"


def test_numbers_come_back_exact_and_in_their_plain_form(dynamodb: Any, unique: Unique) -> None:
    table = create_table(dynamodb, unique("numbers"), "id")
    digits = "12345678901234567890123456789012345678"
    item = {"id": s("a"), "long": n(digits), "small": n("0.00012"), "negative": n("-7")}
    dynamodb.put_item(TableName=table, Item=item)
    assert dynamodb.get_item(TableName=table, Key={"id": s("a")})["Item"] == item


def test_numbers_have_one_form(standins: Backend, unique: Unique) -> None:
    # DynamoDB drops zeros that say nothing and writes no exponent; moto returns what it was sent.
    dynamodb = standins.dynamodb
    table = create_table(dynamodb, unique("forms"), "id")
    item = {"id": s("a"), "zeros": n("007.1000"), "exponent": n("1E3"), "zero": n("-0.0")}
    dynamodb.put_item(TableName=table, Item=item)
    stored = dynamodb.get_item(TableName=table, Key={"id": s("a")})["Item"]
    assert stored == {"id": s("a"), "zeros": n("7.1"), "exponent": n("1000"), "zero": n("0")}

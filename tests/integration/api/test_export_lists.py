"""Lists of exports: pages without gap or repetition, filters, and whose they are."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.aws.newest import LEAST
from remit.clock import epoch_seconds, format_instant
from remit.exports.listing import Wanted
from remit.exports.store import ExportStore
from remit.services import Services
from tests.support.api import bearer, token
from tests.support.aws import put_many
from tests.support.clock import ManualClock
from tests.support.standins import StandIns

URL = "/exports"


def job(clock: ManualClock, number: int, **changes: Any) -> dict[str, Any]:
    """A record; the greater the number, the older."""
    item = {
        "id": f"export-{number:04d}",
        "merchantID": "merchant-1",
        "status": "completed",
        "format": "csv",
        "query": {"StartDate": "2026-01-01", "EndDate": "2026-01-31"},
        "createdAt": format_instant(clock() - timedelta(minutes=number)),
        "expiresAt": epoch_seconds(clock() + timedelta(days=7)),
        "files": [{"key": "k", "name": "n"}],
        **changes,
    }
    return {name: value for name, value in item.items() if value is not ...}


def get(client: TestClient, clock: ManualClock, query: Any = (), *permissions: str) -> Any:
    headers = bearer(token(clock, "merchant-1", *(permissions or ("payments",))))
    return client.get(URL, headers=headers, params=query)


def pages(client: TestClient, clock: ManualClock, **query: Any) -> Iterator[list[str]]:
    """The ids of each page."""
    cursor: str | None = None
    for _ in range(300):
        answer = get(client, clock, {**query, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        yield [one["export_id"] for one in body["data"]]
        if (cursor := body["next_cursor"]) is None:
            return
    raise AssertionError("the list has no end")


def ids(client: TestClient, clock: ManualClock, **query: Any) -> list[str]:
    return [one for page in pages(client, clock, **query) for one in page]


@pytest.mark.parametrize("limit", [3, 50, 100])
def test_every_export_is_on_one_page_the_newest_first(
    client: TestClient, services: Services, clock: ManualClock, limit: int
) -> None:
    put_many(services, "ExportJobs", (job(clock, number) for number in range(250)))
    put_many(
        services, "ExportJobs", (job(clock, n, merchantID="merchant-2") for n in range(900, 950))
    )

    found = list(pages(client, clock, limit=limit))

    assert [one for page in found for one in page] == [f"export-{n:04d}" for n in range(250)]
    assert all(len(page) <= limit for page in found)


def test_a_page_is_of_50_unless_told_otherwise_and_has_no_links(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    put_many(services, "ExportJobs", (job(clock, number) for number in range(60)))

    body = get(client, clock).json()

    assert len(body["data"]) == 50
    first = body["data"][0]
    assert (first["status"], first["report"], first["rows"]) == ("completed", "payments", None)
    assert not first.keys() & {"files", "download_url", "manifest_url"}
    assert "url" not in json.dumps(body["data"])


def test_of_one_moment_all_are_told(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    at = format_instant(clock())
    put_many(services, "ExportJobs", (job(clock, n, createdAt=at) for n in range(25)))

    found = ids(client, clock, limit=10)

    assert sorted(found) == [f"export-{n:04d}" for n in range(25)]
    assert len(set(found)) == len(found)


def test_what_comes_while_the_pages_are_turned_moves_nothing(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    put_many(services, "ExportJobs", (job(clock, number) for number in range(1, 31)))
    turned = pages(client, clock, limit=10)
    found = next(turned)
    put_many(services, "ExportJobs", [job(clock, 0)])
    services.tables.client.delete_item(TableName="ExportJobs", Key={"id": {"S": "export-0010"}})

    found += [one for page in turned for one in page]

    assert found == [f"export-{n:04d}" for n in range(1, 31)]


def test_exports_are_filtered_by_status(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    statuses = ("pending", "completed", "failed", "canceled")
    put_many(services, "ExportJobs", (job(clock, n, status=statuses[n % 4]) for n in range(40)))

    failed = ids(client, clock, status="failed", limit=3)
    two = ids(client, clock, status=["failed", "pending"])

    assert failed == [f"export-{n:04d}" for n in range(40) if n % 4 == 2]
    assert two == [f"export-{n:04d}" for n in range(40) if n % 4 in (0, 2)]


def test_what_has_expired_is_expired_whatever_its_record_says(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    put_many(
        services,
        "ExportJobs",
        [job(clock, 1), job(clock, 2, expiresAt=epoch_seconds(clock()))],
    )

    assert ids(client, clock, status="expired") == ["export-0002"]
    assert ids(client, clock, status="completed") == ["export-0001"]


def test_exports_are_filtered_by_the_instant_whatever_its_offset(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    # 12:00 in UTC on the 23rd of November is 17:45 in Kathmandu.
    put_many(services, "ExportJobs", (job(clock, number) for number in range(10)))
    kathmandu = "2026-11-23T17:42:00+05:45"

    assert ids(client, clock, created_after=kathmandu) == [f"export-{n:04d}" for n in range(4)]
    assert ids(client, clock, created_before=kathmandu) == [f"export-{n:04d}" for n in range(4, 10)]
    both = {"created_after": "2026-11-23T11:53:00Z", "created_before": kathmandu}
    assert ids(client, clock, **both) == [f"export-{n:04d}" for n in range(4, 8)]
    assert ids(client, clock, created_after=both["created_before"], created_before=kathmandu) == []
    assert ids(client, clock, created_after="9999-12-31T23:59:59Z") == []
    assert ids(client, clock, created_before="0001-01-01T00:00:00Z") == []
    turned = {"created_after": kathmandu, "created_before": "2026-01-01T00:00:00Z"}
    assert ids(client, clock, **turned) == []


def test_exports_of_the_platforms_own_service_are_in_the_list(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    theirs = {"status": "pending", "expiresAt": ..., "files": ..., "query": ...}
    put_many(
        services,
        "ExportJobs",
        [
            job(clock, 1, createdAt="2026-11-23T11:59:00Z", **theirs),
            job(clock, 2, createdAt="2026-11-23T17:00:00.5+05:45", **theirs),  # 11:15 in UTC
            job(clock, 3, createdAt="2026-11-23T01:30:00-10:00", **theirs),  # 11:30 in UTC
            job(clock, 4, createdAt="yesterday", **theirs),
        ],
    )

    assert set(ids(client, clock)) == {f"export-{n:04d}" for n in (1, 2, 3, 4)}
    window = {"created_after": "2026-11-23T11:10:00Z", "created_before": "2026-11-23T11:45:00Z"}
    assert set(ids(client, clock, **window)) == {"export-0002", "export-0003"}
    (told,) = get(client, clock, {"created_after": "2026-11-23T11:50:00Z"}).json()["data"]
    assert (told["status"], told["created_at"]) == ("pending", "2026-11-23T11:59:00Z")


def test_exports_of_reports_that_the_token_may_not_read_are_left_out(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    reports = ("payments", "refunds", "settlements", "gone")
    put_many(
        services,
        "ExportJobs",
        (job(clock, n, query={"Report": reports[n % 4]}) for n in range(12)),
    )

    def found(*permissions: str) -> set[str]:
        return {one["report"] for one in get(client, clock, (), *permissions).json()["data"]}

    assert found("payments") == {"payments"}
    assert found("refunds", "settlements") == {"refunds", "settlements"}
    assert found("gone") == {"gone"}
    assert found("webhooks") == set()


def test_a_filter_that_matches_nothing_reads_no_more_than_so_much(
    client: TestClient, services: Services, clock: ManualClock, standins: StandIns
) -> None:
    put_many(services, "ExportJobs", (job(clock, number) for number in range(1_200)))
    get(client, clock)
    before = len(standins.queries.seen)

    body = get(client, clock, {"status": "failed", "limit": "1"}).json()

    asked = [one for one, _ in standins.queries.seen[before:]]
    assert body["data"] == []
    assert body["next_cursor"]
    assert asked.count("Query") == asked.count("BatchGetItem") == 5
    assert list(pages(client, clock, status="failed")) == [[], [], []]


def cursor_of(client: TestClient, clock: ManualClock, **query: Any) -> str:
    cursor = get(client, clock, {"limit": 1, **query}).json()["next_cursor"]
    assert cursor
    return str(cursor)


def changed(cursor: str, **key: Any) -> str:
    """A cursor with another key in it; None takes a part out."""
    digest, start = json.loads(base64.urlsafe_b64decode(cursor))
    start = {name: value for name, value in {**start, **key}.items() if value is not None}
    return base64.urlsafe_b64encode(json.dumps([digest, start]).encode()).decode()


def test_a_cursor_that_was_changed_is_refused(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    put_many(services, "ExportJobs", (job(clock, number) for number in range(5)))
    window = {"created_after": "2026-11-23T11:00:00Z", "created_before": "2026-11-23T13:00:00Z"}
    cursor = cursor_of(client, clock, **window)
    hostile = [
        "",
        "x",
        "%00",
        "null",
        cursor[:-4],
        cursor + "A",
        cursor * 100,
        base64.urlsafe_b64encode(b"[1, 2]").decode(),
        base64.urlsafe_b64encode(b'["a", {}]').decode(),
        base64.urlsafe_b64encode(b"[" * 1_500).decode(),
        changed(cursor, id=None),
        changed(cursor, createdAt=None),
        changed(cursor, id=5),
        changed(cursor, id=""),
        changed(cursor, id="\ud800"),
        changed(cursor, id=["a"]),
        changed(cursor, merchantID="merchant-2"),
        changed(cursor, createdAt="2020-01-01T00:00:00Z"),
        changed(cursor, createdAt="~"),
        cursor_of(client, clock),
        cursor_of(client, clock, status="completed", **window),
    ]

    for one in hostile:
        answer = get(client, clock, {**window, "cursor": one})
        assert answer.status_code == 422, one
        assert answer.json()["errors"][0]["field"] == "cursor"


def test_a_cursor_is_of_its_merchant(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    put_many(services, "ExportJobs", (job(clock, number) for number in range(5)))

    answer = client.get(
        URL,
        headers=bearer(token(clock, "merchant-2")),
        params={"cursor": cursor_of(client, clock)},
    )

    assert answer.status_code == 422


def test_a_cursor_leads_wherever_it_was_moved_to_but_never_to_another_merchants(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    put_many(services, "ExportJobs", (job(clock, n) for n in range(5)))
    put_many(services, "ExportJobs", (job(clock, n, merchantID="merchant-2") for n in range(9, 14)))
    cursor = changed(cursor_of(client, clock), createdAt="2026-11-23T11:57:30.000000Z")

    body = get(client, clock, {"limit": 1, "cursor": cursor}).json()

    assert [one["export_id"] for one in body["data"]] == ["export-0003"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("limit=1e1", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=done", "status"),
        ("status=", "status"),
        ("status=pending&status=x", "status"),
        ("status=pending,failed", "status"),
        ("created_after=2026-01-01", "created_after"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("created_before=now", "created_before"),
        ("created_before=1764000000", "created_before"),
        ("created_before=0000-00-00T00:00:00Z", "created_before"),
        ("created_after=0001-01-01T00:00:00%2B14:00", "created_after"),
        ("merchant_id=merchant-2", "merchant_id"),
        ("Status=pending", "Status"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(
    client: TestClient, clock: ManualClock, query: str, field: str
) -> None:
    answer = client.get(f"{URL}?{query}", headers=bearer(token(clock)))

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["allowed"]


def test_a_new_export_is_in_the_list(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    header = bearer(token(clock))
    query = {"start_date": "2026-01-01", "end_date": "2026-01-31"}
    created = client.post("/payments/export", headers=header, params=query).json()

    (listed,) = client.get(URL, headers=header).json()["data"]

    told = client.get(f"/exports/{created['export_id']}", headers=header).json()
    assert listed == {name: told[name] for name in listed}
    assert ExportStore(services.export_queue, services.settings, clock).get(listed["export_id"])


def test_the_part_of_the_index_is_wider_than_the_window_by_any_offset(clock: ManualClock) -> None:
    first, last = Wanted(after=clock(), before=clock()).bounds()

    assert (first, last) == ("2026-11-22", "2026-11-25")
    assert Wanted().bounds()[0] == LEAST

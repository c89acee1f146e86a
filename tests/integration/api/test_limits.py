"""Rates of requests, shared by the processes of the hook; and the limit of active exports."""

from __future__ import annotations

import socket
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from benchmarks.standins.http import Response
from remit.api import limits
from remit.api.app import create_app
from remit.auth import Verifier
from remit.aws.session import FOR_REQUESTS
from remit.errors import TooManyExports
from remit.exports.active import ATTRIBUTE, check_active_exports
from remit.exports.pipeline import ExportPipeline
from remit.metrics import UNLIMITED, NoMetrics
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.permits import MERCHANT
from tests.support.api import TOKENS, NotedRuns, bearer, token
from tests.support.aws import aws_at
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job
from tests.support.standins import StandIns

RATE = 10


@pytest.fixture
def services(services: Services) -> Services:
    """With a rate that is soon used up."""
    return replace(services, settings=replace(services.settings, api_rate=RATE))


def process(services: Services, runs: NotedRuns, clock: ManualClock) -> TestClient:
    """The app of another process."""
    return TestClient(create_app(lambda: services, runs, Verifier(TOKENS, clock)))


def statuses(client: TestClient, clock: ManualClock, count: int, merchant: str = "merchant-1"):
    header = bearer(token(clock, merchant))
    return Counter(client.get("/reports", headers=header).status_code for _ in range(count))


def test_so_many_requests_pass_at_once_and_no_more(client: TestClient, clock: ManualClock) -> None:
    assert statuses(client, clock, 2 * RATE) == {200: RATE, 429: RATE}


def test_after_a_second_all_of_them_pass_again(client: TestClient, clock: ManualClock) -> None:
    statuses(client, clock, RATE + 1)
    clock.advance(1)
    assert statuses(client, clock, RATE + 1) == {200: RATE, 429: 1}


def test_the_rate_comes_back_evenly(client: TestClient, clock: ManualClock) -> None:
    statuses(client, clock, RATE + 1)
    clock.advance(0.31)
    assert statuses(client, clock, RATE) == {200: 3, 429: RATE - 3}


def test_the_rate_is_shared_by_all_processes(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    processes = [process(services, runs, clock) for _ in range(4)]
    passed = sum((statuses(one, clock, RATE) for one in processes), Counter())
    assert passed[200] <= RATE
    assert passed[200] >= RATE - 1
    assert passed[429] == 4 * RATE - passed[200]


def test_each_merchant_has_a_rate_of_its_own(client: TestClient, clock: ManualClock) -> None:
    statuses(client, clock, 2 * RATE)
    assert statuses(client, clock, RATE, "merchant-2") == {200: RATE}


def test_the_header_fields_say_the_rate_and_what_is_left(
    client: TestClient, clock: ManualClock
) -> None:
    header = bearer(token(clock))
    left = []
    for _ in range(RATE):
        answer = client.get("/exports/none", headers=header)
        assert answer.headers["ratelimit-policy"] == f'"requests";q={RATE};w=1'
        assert answer.headers["ratelimit"].startswith('"requests";r=')
        left.append(int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0]))
        assert "retry-after" not in answer.headers
    assert left == list(range(RATE - 1, -1, -1))


def test_a_refusal_says_when_to_come_again(client: TestClient, clock: ManualClock) -> None:
    statuses(client, clock, RATE)
    answer = client.get("/reports", headers=bearer(token(clock)))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["ratelimit"] == '"requests";r=0;t=1'
    assert answer.json()["type"] == "/remit/problems/rate-limited"
    assert f"{RATE} requests per second" in answer.json()["detail"]


def test_who_is_not_known_has_no_rate_and_costs_nothing(
    client: TestClient, standins: StandIns
) -> None:
    for path in ("/reports", "/openapi.json"):
        assert "ratelimit" not in client.get(path).headers
    assert standins.queries.seen == []


def asked(standins: StandIns) -> int:
    """How often the table of rates was asked or written."""
    return sum(b"RateLimits" in body for _, body in standins.queries.seen)


def test_a_process_takes_permits_for_several_requests_at_once(
    services: Services, runs: NotedRuns, clock: ManualClock, standins: StandIns
) -> None:
    fast = replace(services, settings=replace(services.settings, api_rate=100))
    statuses(process(fast, runs, clock), clock, 100)
    assert asked(standins) <= 6  # five batches of 20, and the first look


def test_who_is_over_the_rate_costs_no_write(
    client: TestClient, clock: ManualClock, standins: StandIns
) -> None:
    statuses(client, clock, RATE + 1)
    before = asked(standins)
    statuses(client, clock, 100)
    assert asked(standins) == before


def test_permits_that_lie_unused_are_no_later_burst(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    idle, busy = (process(services, runs, clock) for _ in range(2))
    statuses(idle, clock, 1)  # takes two
    clock.advance(60)
    assert statuses(busy, clock, 2 * RATE)[200] == RATE
    assert statuses(idle, clock, 1) == {429: 1}


def test_while_the_store_is_out_of_reach_requests_pass(
    services: Services, runs: NotedRuns, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = replace(services, aws=aws_at("http://127.0.0.1:9"))
    client = process(nowhere, runs, clock)

    assert statuses(client, clock, 3 * RATE) == {200: 3 * RATE}

    assert sum("pass without a limit" in line for line in caplog.messages) == 1
    answer = client.get("/reports", headers=bearer(token(clock)))
    assert answer.headers["ratelimit-policy"]
    assert "ratelimit" not in answer.headers


def test_the_limit_holds_again_once_the_store_is_back(
    client: TestClient, clock: ManualClock, standins: StandIns
) -> None:
    standins.queries.instead = lambda _: Response(500, {}, [b"{}"])
    assert statuses(client, clock, 3 * RATE) == {200: 3 * RATE}
    standins.queries.instead = lambda _: None
    clock.advance(6)
    assert statuses(client, clock, 2 * RATE) == {200: RATE, 429: RATE}


def test_a_store_that_fails_late_lets_them_pass_from_then_on(
    client: TestClient, clock: ManualClock, standins: StandIns
) -> None:
    def late(_: object) -> Response:
        clock.advance(6)
        return Response(500, {}, [b"{}"])

    standins.queries.instead = late
    assert statuses(client, clock, 3 * RATE) == {200: 3 * RATE}


def test_a_store_that_hangs_lets_them_pass_soon(
    services: Services, runs: NotedRuns, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ASK_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        aws = aws_at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        client = process(replace(services, aws=aws), runs, clock)
        started = time.monotonic()
        assert statuses(client, clock, 3 * RATE) == {200: 3 * RATE}
        assert time.monotonic() - started < FOR_REQUESTS.dynamodb


def test_that_there_is_no_limit_is_counted_and_told_once_a_minute(
    services: Services, runs: NotedRuns, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    counted: list[str] = []

    class Counting(NoMetrics):
        def count(self, name: str, **_: str) -> None:
            counted.append(name)

    services.tables.client.delete_table(TableName="RateLimits")
    client = TestClient(create_app(lambda: services, runs, Verifier(TOKENS, clock), Counting()))
    for _ in range(20):
        assert statuses(client, clock, 1) == {200: 1}
        clock.advance(6)

    assert counted == 20 * [UNLIMITED]
    assert sum("pass without a limit" in line for line in caplog.messages) == 2


def test_without_the_table_requests_pass(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    services.tables.client.delete_table(TableName="RateLimits")
    assert statuses(client, clock, 2 * RATE) == {200: 2 * RATE}


def test_the_number_of_a_merchant_is_all_that_is_stored(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    statuses(client, clock, RATE)
    record: Any = services.tables.rate_limits.get(("merchant-1", MERCHANT))
    assert record.keys() == {"merchantID", "id", "rateNext"}


def few_exports(services: Services, limit: int) -> Services:
    return replace(services, settings=replace(services.settings, max_active_exports=limit))


def test_no_more_exports_are_taken_than_may_be_active(services: Services) -> None:
    services = few_exports(services, 2)
    store = ExportPipeline(services, Stop()).store
    for number in range(2):
        check_active_exports(services, "merchant-1")
        store.create(replace(export_job(), id=f"export-{number}"))

    with pytest.raises(TooManyExports) as refused:
        check_active_exports(services, "merchant-1")

    assert refused.value.retry_after > timedelta()
    assert refused.value.limit == 2
    check_active_exports(services, "merchant-2")


def test_what_is_finished_counts_no_more(services: Services) -> None:
    services = few_exports(services, 1)
    pipeline = ExportPipeline(services, Stop())
    ends = {
        "completed": lambda: pipeline.prepare(claimed(pipeline)),
        "failed": lambda: pipeline.store.fail(claimed(pipeline), "code", "why", []),
        "canceled": lambda: pipeline.store.cancel("export-1", "merchant-1", "somebody"),
    }
    for status, end in ends.items():
        pipeline.store.create(export_job())
        with pytest.raises(TooManyExports):
            check_active_exports(services, "merchant-1")
        end()
        check_active_exports(services, "merchant-1")
        record = services.tables.export_jobs.get("export-1")
        assert record is not None
        assert (record["status"], ATTRIBUTE in record) == (status, False)
        services.tables.client.delete_item(TableName="ExportJobs", Key={"id": {"S": "export-1"}})


def test_an_export_under_way_counts(services: Services) -> None:
    services = few_exports(services, 1)
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    claimed(pipeline)
    with pytest.raises(TooManyExports):
        check_active_exports(services, "merchant-1")

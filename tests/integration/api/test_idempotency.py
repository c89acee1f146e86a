"""`Idempotency-Key`: one operation, one answer, whoever asks at once, breaks off or comes back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response
from fastapi.testclient import TestClient

from remit.api.answers import Answer
from remit.api.app import create_app
from remit.api.backend import Backend
from remit.api.call import CurrentCall
from remit.api.idempotency import Idempotency, Operation
from remit.api.idempotency_records import LEASE, Asked, Busy, Held, IdempotencyRecords
from remit.api.parameters import parameters
from remit.audit import Via
from remit.auth import Verifier
from remit.clock import format_instant
from remit.errors import Conflict, QueueFull, StoreUnavailable, TooManyExports
from remit.services import Services
from tests.support.api import TOKENS, NotedRuns, bearer, token
from tests.support.audit import entries_of
from tests.support.aws import aws_at
from tests.support.clock import ManualClock

Values = Annotated[dict[str, Any], Depends(parameters)]
KEY = {"Idempotency-Key": "order 4711/a"}
SECRET = "whsec_the-secret-that-is-shown-once"


@dataclass
class Things:
    """What a POST creates; goes wrong as told."""

    operations: list[Operation] = field(default_factory=list)
    before: Callable[[Operation], object] = lambda _: None
    more: str = ""

    def create(self, operation: Operation) -> Answer:
        self.operations.append(operation)
        self.before(operation)
        at = format_instant(operation.at)
        document = {"id": operation.id, "at": at, "secret": SECRET, "more": self.more}
        return Answer(201, document, {"Location": f"/things/{operation.id}"})

    @property
    def ids(self) -> set[str]:
        return {operation.id for operation in self.operations}


@pytest.fixture
def things() -> Things:
    return Things()


def app_of(
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
    things: Things,
    patience: timedelta = timedelta(),
) -> FastAPI:
    """The app, with routes that create things."""
    app = create_app(lambda: services, runs, Verifier(TOKENS, clock))
    once = Idempotency(Backend(lambda: services, runs), patience).once
    routes = APIRouter()

    @routes.post("/things")
    async def create(request: Request, call: CurrentCall, values: Values) -> Response:
        return await once(request, call, values, things.create)

    @routes.post("/sealed")
    async def create_sealed(request: Request, call: CurrentCall, values: Values) -> Response:
        return await once(request, call, values, things.create, secret="things.secret_shown")

    app.include_router(routes)
    return app


@pytest.fixture
def client(
    services: Services, runs: NotedRuns, clock: ManualClock, things: Things
) -> Iterator[TestClient]:
    with TestClient(app_of(services, runs, clock, things)) as client:
        yield client


def post(
    client: TestClient,
    clock: ManualClock,
    path: str = "/things",
    merchant: str = "merchant-1",
    permissions: tuple[str, ...] = (),
    headers: Mapping[str, str] = KEY,
    values: Mapping[str, Any] | None = None,
) -> httpx.Response:
    header = {**bearer(token(clock, merchant, *permissions)), **headers}
    answer: httpx.Response = client.post(path, headers=header, json=values or {"a": 1})
    return answer


def records(services: Services) -> list[dict[str, Any]]:
    table = services.tables.idempotency_keys
    keys = list(table.scan("attribute_exists(#id)", {}, attributes=["id"]))
    return [table.get(one["id"]) or {} for one in keys]


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/remit/problems/")


def test_the_same_request_twice_is_done_once_and_answered_twice(
    client: TestClient, clock: ManualClock, things: Things
) -> None:
    first = post(client, clock)
    clock.advance(3600)
    second = post(client, clock)

    assert len(things.operations) == 1
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert first.headers["location"] == second.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


def test_without_a_key_each_request_is_done_and_nothing_is_recorded(
    client: TestClient, clock: ManualClock, things: Things, services: Services
) -> None:
    assert post(client, clock, headers={}).content != post(client, clock, headers={}).content
    assert len(things.ids) == 2
    assert records(services) == []


def test_the_order_of_the_fields_is_no_difference(
    client: TestClient, clock: ManualClock, things: Things
) -> None:
    post(client, clock, values={"a": 1, "b": {"c": 1, "d": 2}})
    again = post(client, clock, values={"b": {"d": 2, "c": 1}, "a": 1})
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    "other",
    [
        {"values": {"a": 2}},
        {"values": {"a": "1"}},
        {"values": {"a": 1, "b": 1}},
        {"path": "/sealed"},
    ],
)
def test_another_request_with_the_key_is_refused(
    client: TestClient, clock: ManualClock, things: Things, other: dict[str, Any]
) -> None:
    post(client, clock)
    answer = post(client, clock, **other)
    assert kind(answer) == (422, "idempotency-key-reused")
    assert len(things.operations) == 1


def test_the_key_of_another_merchant_is_another_key(
    client: TestClient, clock: ManualClock, things: Things
) -> None:
    mine, theirs = post(client, clock), post(client, clock, merchant="merchant-2")
    assert mine.content != theirs.content
    assert len(things.ids) == 2


@pytest.mark.parametrize("key", ["", "a" * 256, "é", "a\tb", "\x7f"])
def test_what_is_no_key_is_refused(
    client: TestClient, clock: ManualClock, things: Things, key: str
) -> None:
    header = [*bearer(token(clock)).items(), ("Idempotency-Key", key.encode())]
    answer = client.post("/things", headers=header, json={})  # type: ignore[arg-type]
    assert kind(answer) == (422, "invalid-request")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert things.operations == []


def test_two_keys_are_none(client: TestClient, clock: ManualClock, things: Things) -> None:
    header = [*bearer(token(clock)).items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert client.post("/things", headers=header, json={}).status_code == 422
    assert things.operations == []


@pytest.mark.parametrize("key", ["a", "a" * 255, " ~!", '"8e03978e-40d5-43e8-bc93-6894a57f9324"'])
def test_printable_ascii_is_a_key(
    client: TestClient, clock: ManualClock, things: Things, key: str
) -> None:
    headers = {"Idempotency-Key": key}
    post(client, clock, headers=headers)
    assert post(client, clock, headers=headers).headers["idempotent-replayed"] == "true"


def test_a_refused_request_frees_its_key_for_a_corrected_one(
    client: TestClient, clock: ManualClock, things: Things, services: Services
) -> None:
    def refuse(_: Operation) -> None:
        raise Conflict("not now")

    things.before = refuse
    assert kind(post(client, clock)) == (409, "conflict")
    assert records(services) == []
    things.before = lambda _: None
    assert post(client, clock, values={"a": 2}).status_code == 201


def test_what_was_not_taken_for_a_limit_frees_its_key_too(
    client: TestClient, clock: ManualClock, things: Things, services: Services
) -> None:
    def full(_: Operation) -> None:
        raise TooManyExports("m", limit=1, retry_after=timedelta(seconds=30))

    things.before = full
    assert kind(post(client, clock)) == (429, "too-many-exports")
    assert records(services) == []


@pytest.mark.parametrize(
    ("error", "status"), [(StoreUnavailable("lost"), 503), (RuntimeError("a bug"), 500)]
)
def test_what_may_be_half_done_is_gone_on_with_at_once_as_the_same_operation(
    client: TestClient, clock: ManualClock, things: Things, error: Exception, status: int
) -> None:
    def fail(_: Operation) -> None:
        raise error

    things.before = fail
    assert post(client, clock).status_code == status
    clock.advance(5)
    things.before = lambda _: None
    answer = post(client, clock)

    assert answer.status_code == 201
    assert len(things.operations) == 2
    assert len(set(things.operations)) == 1, "the same id, and the same time"
    assert kind(post(client, clock, values={"a": 2})) == (422, "idempotency-key-reused")


def fail(_: Operation) -> None:
    raise StoreUnavailable("it was written, but the answer was lost")


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (Conflict("there is another"), (409, "conflict")),
        (
            QueueFull("m", limit=1, count=1, more=1, retry_after=timedelta(seconds=1)),
            (429, "queue-full"),
        ),
    ],
)
def test_a_refusal_of_what_may_be_half_done_leaves_it_the_same_operation(
    client: TestClient,
    clock: ManualClock,
    things: Things,
    error: Exception,
    refused: tuple[int, str],
) -> None:
    def refuse(_: Operation) -> None:
        raise error

    things.before = fail
    assert post(client, clock).status_code == 503
    things.before = refuse
    assert kind(post(client, clock)) == refused
    assert kind(post(client, clock)) == refused
    things.before = lambda _: None
    assert post(client, clock).status_code == 201

    assert len(things.operations) == 4
    assert len(set(things.operations)) == 1


def killed(_: Operation) -> None:
    raise RuntimeError("killed")


def test_an_operation_whose_process_died_is_taken_over_when_its_lease_ends(
    services: Services, runs: NotedRuns, clock: ManualClock, things: Things, client: TestClient
) -> None:
    left_begun(services, runs, clock, things)

    early = post(client, clock)
    clock.advance(LEASE.total_seconds() + 1)
    late = post(client, clock)

    assert kind(early) == (409, "idempotency-key-in-use")
    assert 1 <= int(early.headers["retry-after"]) <= LEASE.total_seconds()
    assert late.status_code == 201
    assert len(things.operations) == 2
    assert len(set(things.operations)) == 1


def left_begun(services: Services, runs: NotedRuns, clock: ManualClock, things: Things) -> None:
    """A process began the operation and died."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("remit.api.idempotency._end", lambda *_: None)
        things.before = killed
        first = TestClient(app_of(services, runs, clock, things))
        assert post(first, clock).status_code == 500
    things.before = lambda _: None


def test_who_was_taken_over_gives_the_answer_of_the_other(
    services: Services, runs: NotedRuns, clock: ManualClock, things: Things, client: TestClient
) -> None:
    answers: list[httpx.Response] = []

    def slow(_: Operation) -> None:
        things.before = lambda _: None
        clock.advance(LEASE.total_seconds() + 1)
        other = TestClient(app_of(services, runs, clock, things))
        answers.append(post(other, clock))

    things.before = slow
    patient = TestClient(app_of(services, runs, clock, things, timedelta(seconds=5)))
    answer = post(patient, clock)

    assert answers[0].status_code == answer.status_code == 201
    assert answers[0].content == answer.content
    assert len(set(things.operations)) == 1


def test_after_its_time_a_key_is_new(
    client: TestClient, clock: ManualClock, things: Things, services: Services
) -> None:
    first = post(client, clock)
    clock.advance(services.settings.idempotency_retention.total_seconds() + 1)
    second = post(client, clock, values={"a": 2})
    third = post(client, clock, values={"a": 2})

    assert first.content != second.content
    assert "idempotent-replayed" not in second.headers
    assert third.content == second.content
    assert len(things.ids) == 2


def test_a_secret_is_stored_sealed_and_told_again(
    client: TestClient, clock: ManualClock, services: Services
) -> None:
    first, again = post(client, clock, "/sealed"), post(client, clock, "/sealed")
    (record,) = records(services)
    assert SECRET not in str(record)
    assert first.content == again.content
    assert again.json()["secret"] == SECRET


def test_a_secret_that_is_told_again_is_in_the_audit_log(
    client: TestClient, clock: ManualClock, services: Services
) -> None:
    first = post(client, clock, "/sealed")
    assert entries_of(services, "merchant-1") == []
    again = post(client, clock, "/sealed", headers={**KEY, "X-Request-ID": "request-2"})

    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.target) == ("things.secret_shown", first.json()["id"])
    assert (entry.actor.via, entry.actor.request_id) == (Via.HOOK, "request-2")
    assert again.json()["secret"] == SECRET


def test_so_is_one_of_an_operation_that_is_gone_on_with(
    client: TestClient, clock: ManualClock, services: Services, things: Things
) -> None:
    things.before = fail
    assert post(client, clock, "/sealed").status_code == 503
    things.before = lambda _: None
    assert post(client, clock, "/sealed").json()["secret"] == SECRET
    assert [entry.action for entry in entries_of(services, "merchant-1")] == ["things.secret_shown"]


@pytest.mark.parametrize("path", ["/sealed", "/things"])
def test_an_answer_of_any_size_is_kept(
    client: TestClient, clock: ManualClock, things: Things, services: Services, path: str
) -> None:
    things.more = Random(1).randbytes(500_000).hex()  # a megabyte, of which half is left
    first, again = post(client, clock, path), post(client, clock, path)
    assert len(things.operations) == 1
    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == first.content
    assert sum("document" in record for record in records(services)) >= 2


def test_what_is_repeated_in_an_answer_takes_no_room(
    client: TestClient, clock: ManualClock, things: Things, services: Services
) -> None:
    things.more = "evt-1" * 100_000
    post(client, clock)
    (record,) = records(services)
    assert len(record["document"]) < 5_000


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    services: Services, runs: NotedRuns, clock: ManualClock, things: Things
) -> None:
    without_keys = replace(services, settings=replace(services.settings, secret_keys=""))
    client = TestClient(app_of(without_keys, runs, clock, things))
    first, again = post(client, clock, "/sealed"), post(client, clock, "/sealed")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert len(set(things.operations)) == 1


def test_an_answer_is_not_for_a_token_with_fewer_permissions(
    client: TestClient, clock: ManualClock, things: Things
) -> None:
    post(client, clock, permissions=("webhooks", "payments"))
    fewer = post(client, clock, permissions=("payments",))
    more = post(client, clock, permissions=("webhooks", "payments", "audit"))
    assert kind(fewer) == (403, "not-permitted")
    assert "webhooks" in fewer.json()["detail"]
    assert more.status_code == 201
    assert len(things.operations) == 1


def test_while_the_store_is_down_nothing_is_done(
    services: Services, runs: NotedRuns, clock: ManualClock, things: Things
) -> None:
    nowhere = replace(services, aws=aws_at("http://127.0.0.1:9"))
    answer = post(TestClient(app_of(nowhere, runs, clock, things)), clock)
    assert kind(answer) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert things.operations == []


async def test_duplicates_at_once_are_one_operation_and_one_answer(
    services: Services, runs: NotedRuns, clock: ManualClock, things: Things
) -> None:
    running = threading.Event()
    things.before = lambda _: running.wait(0.2)
    app = app_of(services, runs, clock, things, timedelta(seconds=30))
    header = {**bearer(token(clock)), **KEY}

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hook") as client:
        answers = await asyncio.gather(
            *(client.post("/things", headers=header, json={"a": 1}) for _ in range(100))
        )

    assert len(things.operations) == 1
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (201, answers[0].content)
    }
    replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
    assert replayed.count("true") == 99


async def test_duplicates_in_several_processes_are_one_operation(
    services: Services, runs: NotedRuns, clock: ManualClock, things: Things
) -> None:
    apps = [app_of(services, runs, clock, things, timedelta(seconds=30)) for _ in range(4)]
    header = {**bearer(token(clock)), **KEY}

    async def send(app: FastAPI) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hook") as client:
            return await client.post("/things", headers=header, json={"a": 1})

    answers = await asyncio.gather(*(send(app) for app in apps * 10))

    assert len(things.operations) == 1
    assert {answer.content for answer in answers} == {answers[0].content}


def test_a_beginning_whose_answer_was_lost_is_ones_own(services: Services) -> None:
    asked = Asked("merchant-1", "key", "fingerprint", frozenset())
    records = IdempotencyRecords(services, holder=lambda: "me")
    begun = records.begin(asked)
    again = records.begin(asked)
    assert isinstance(begun, Held)
    assert isinstance(again, Held)
    assert again.operation == begun.operation, "botocore sent it again"
    assert isinstance(IdempotencyRecords(services).begin(asked), Busy)


async def test_an_export_asked_for_a_hundred_times_at_once_is_one_job_and_one_run(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    app = create_app(lambda: services, runs, Verifier(TOKENS, clock))
    header = {**bearer(token(clock)), **KEY}
    body = {"start_date": "2026-01-01", "end_date": "2026-01-31"}

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hook") as client:
        answers = await asyncio.gather(
            *(client.post("/payments/export", headers=header, json=body) for _ in range(100))
        )

    assert {(answer.status_code, answer.content) for answer in answers} == {
        (202, answers[0].content)
    }
    jobs = services.tables.export_jobs.scan("attribute_exists(#id)", {}, attributes=["id"])
    assert [job["id"] for job in jobs] == [answers[0].json()["export_id"]]
    assert len(runs.started) == 1

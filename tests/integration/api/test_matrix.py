"""Every route without a token, without its permission, by another merchant, and as it should be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from remit.api.app import create_app
from remit.api.guard import PUBLIC as UNGUARDED
from remit.audit import REFUSED, Actor
from remit.auth import Verifier
from remit.clock import format_instant
from remit.exports.pipeline import ExportPipeline
from remit.schedules.schedule_request import Rules
from remit.schedules.store import ScheduleStore
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from remit.webhooks.endpoints import EndpointStore
from remit.webhooks.outbox import Outbox
from tests.support import replays
from tests.support.api import TOKENS, NotedRuns, bearer, forged
from tests.support.aws import REGION, UNLIMITED
from tests.support.clock import ManualClock
from tests.support.deliverer import deliver_due
from tests.support.endpoints import KEY
from tests.support.exports import REPORTS, claimed, export_job, payment, store_payments
from tests.support.operations import (
    AUDIT,
    EVENTS,
    LISTS_OWN,
    OF_THE_REPORT,
    OPERATIONS,
    PUBLIC,
    SCHEDULED,
    SCHEDULES,
    WEBHOOKS,
)
from tests.support.standins import StandIns, stand_ins
from tests.support.webhooks import NOW, Answer, Receiver, event

OWNER, STRANGER = "merchant-1", "merchant-2"
ACTOR = Actor("ada@books.example")

NEEDED: Mapping[str, tuple[str, ...]] = {
    OF_THE_REPORT: ("payments",),
    LISTS_OWN: (),
    PUBLIC: (),
    WEBHOOKS: ("webhooks",),
    EVENTS: ("events",),
    SCHEDULES: ("schedules",),
    SCHEDULED: ("schedules", "payments"),
    AUDIT: ("audit",),
}
"""What the table of operations says, as permissions; the things here are of the report payments."""

ALL = frozenset(
    {"payments", "refunds", "settlements", "webhooks", "events", "schedules", "audit", "history"}
)


@dataclass(frozen=True)
class Case:
    """How to call an operation: `ids` are names of things of the world, for its path."""

    good: int = 200
    ids: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    lists: str | None = None
    """The member of the answer that is the list of the merchant's own things."""


DAYS = {"start_date": "2026-01-01", "end_date": "2026-01-31"}
EVENT = {"type": "payment.succeeded", "data": {"payment_id": "pay-7"}}
SINCE = {"since": format_instant(NOW - timedelta(days=1))}
ENDPOINT, SCHEDULE = {"endpoint": "endpoint"}, {"schedule": "schedule"}

CASES: Mapping[str, Case] = {
    "POST /payments/export": Case(202, body=DAYS),
    "GET /exports": Case(lists="data"),
    "GET /exports/{export}": Case(ids={"export": "completed"}),
    "GET /exports/{export}/download": Case(307, {"export": "completed"}),
    "POST /exports/{export}/cancel": Case(200, {"export": "pending"}),
    "POST /exports/{export}/retry": Case(202, {"export": "canceled"}),
    "GET /reports": Case(),
    "GET /reports/{name}": Case(ids={"name": "report"}),
    "POST /schedules": Case(201, body={"cadence": "daily"}),
    "GET /schedules": Case(lists="data"),
    "GET /schedules/{schedule}": Case(ids=SCHEDULE),
    "PATCH /schedules/{schedule}": Case(ids=SCHEDULE, body={"name": "nightly"}),
    "POST /schedules/{schedule}/pause": Case(ids=SCHEDULE),
    "POST /schedules/{schedule}/resume": Case(ids=SCHEDULE),
    "DELETE /schedules/{schedule}": Case(204, SCHEDULE),
    "POST /webhooks/endpoints": Case(201, body={"url": "http://127.0.0.1:9/hook"}),
    "GET /webhooks/endpoints": Case(lists="data"),
    "GET /webhooks/endpoints/{endpoint}": Case(ids=ENDPOINT),
    "PATCH /webhooks/endpoints/{endpoint}": Case(ids=ENDPOINT, body={"rate": 5}),
    "DELETE /webhooks/endpoints/{endpoint}": Case(204, ENDPOINT),
    "POST /webhooks/endpoints/{endpoint}/disable": Case(ids=ENDPOINT, body={"reason": "moves"}),
    "POST /webhooks/endpoints/{endpoint}/enable": Case(ids=ENDPOINT),
    "POST /webhooks/endpoints/{endpoint}/rotate-secret": Case(ids=ENDPOINT),
    "POST /webhooks/endpoints/{endpoint}/test": Case(202, ENDPOINT),
    "GET /webhooks": Case(lists="data"),
    "GET /webhooks/{webhook}": Case(ids={"webhook": "webhook"}),
    "POST /webhooks/{webhook}/replay": Case(202, {"webhook": "webhook"}),
    "POST /webhooks/replay": Case(202, body=SINCE),
    "GET /webhooks/replays/{replay}": Case(ids={"replay": "replay"}),
    "POST /events": Case(202, body=EVENT),
    "POST /events/batch": Case(202, body={"events": [EVENT]}),
    "GET /audit": Case(lists="data"),
    "GET /health": Case(),
    "GET /health/ready": Case(),
    "GET /openapi.json": Case(),
    "GET /docs": Case(),
}

of_each_operation = pytest.mark.parametrize("operation", OPERATIONS)
of_each_guarded_one = pytest.mark.parametrize(
    "operation", [one for one, permission in OPERATIONS.items() if permission != PUBLIC]
)


@dataclass
class World:
    """One of each thing, all of them merchant-1's."""

    app: FastAPI
    client: TestClient
    clock: ManualClock
    standins: StandIns
    ids: dict[str, str]

    def call(
        self, operation: str, merchant: str = OWNER, permissions: frozenset[str] | None = ALL
    ) -> httpx.Response:
        """Do it with a token of such permissions; None: without a token."""
        case = CASES[operation]
        method, _, path = operation.partition(" ")
        for name, thing in case.ids.items():
            path = path.replace(f"{{{name}}}", self.ids[thing])
        header = {}
        if permissions is not None:
            claims = {"merchant_id": merchant, "permissions": sorted(permissions)}
            header = bearer(forged(self.clock, **claims))
        return self.client.request(
            method, path, headers=header, json=case.body, follow_redirects=False
        )

    def records(self, merchant: str | None = None) -> list[tuple[str, Any]]:
        """What is stored, of one merchant or of all. How many requests there were is no thing, and
        that one was refused is none."""
        with self.standins.dynamodb.tables.lock:
            found = [
                (name, record.item)
                for name, table in self.standins.dynamodb.tables._tables.items()
                if name != "RateLimits"
                for record in table.primary.records.values()
                if record.item.get("result") != {"S": REFUSED}
            ]
        if merchant is None:
            return found
        return [(name, item) for name, item in found if item.get("merchantID") == {"S": merchant}]


@contextmanager
def a_world() -> Iterator[World]:
    """A new one."""
    clock = ManualClock()
    settings = Settings(
        region=REGION,
        webhook_networks="127.0.0.0/8",
        secret_keys=KEY,
        api_rate=UNLIMITED,
    )
    with stand_ins() as standins:
        services = Services(settings, standins.aws, clock)
        ids = things_on(services, clock)
        app = create_app(lambda: services, NotedRuns(), Verifier(TOKENS, clock))
        with TestClient(app, root_path="/remit") as client:
            yield World(app, client, clock, standins, ids)


def things_on(services: Services, clock: ManualClock) -> dict[str, str]:
    """One of each thing; their ids by name."""
    return {
        "report": "payments",
        **exports_on(services),
        **webhooks_on(services, clock),
        "schedule": ScheduleStore(services)
        .create(OWNER, {"cadence": "daily"}, Rules.of(services.settings, REPORTS), actor=ACTOR)
        .id,
    }


def exports_on(services: Services) -> dict[str, str]:
    """A pending one, a completed one and a canceled one."""
    store_payments(services, payment(1))
    pipeline = ExportPipeline(services, Stop())
    ids = {name: f"export-{name}" for name in ("pending", "completed", "canceled")}
    for export in ids.values():
        pipeline.store.create(export_job(export))
    pipeline.prepare(claimed(pipeline, ids["completed"]))
    pipeline.store.cancel(ids["canceled"], OWNER, "ada")
    return ids


def webhooks_on(services: Services, clock: ManualClock) -> dict[str, str]:
    """An endpoint, a webhook that it did not want, with its attempt, and a replay."""
    with Receiver(lambda _, __: Answer(410)).running() as receiver:
        store = EndpointStore.of(services)
        endpoint = store.create(OWNER, {"url": receiver.url()}, actor=ACTOR).endpoint.id
        (webhook,) = Outbox(services).publish(event(1)).webhook_ids
        assert deliver_due(services, Stop()).counts
    store.enable(OWNER, endpoint, actor=ACTOR)
    clock.advance(1)
    replay = replays.request(services, replays.window(until=NOW - timedelta(minutes=1)))
    return {"endpoint": endpoint, "webhook": webhook, "replay": replay}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """For what changes nothing of merchant-1's."""
    with a_world() as shared:
        yield shared


def test_the_table_has_every_route_of_the_app(world: World) -> None:
    routes = world.app.routes
    assert all(isinstance(route, APIRoute) for route in routes)
    there = {
        f"{method} {route.path}"
        for route in routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    heads = {f"HEAD {path}" for path in UNGUARDED}
    assert there - heads == set(OPERATIONS) == set(CASES)


def test_what_is_public_is_what_the_guard_lets_pass(world: World) -> None:
    public = {one for one, permission in OPERATIONS.items() if permission == PUBLIC}
    assert public == {f"GET {path}" for path in UNGUARDED}
    for operation in public:
        assert world.call(operation, permissions=None).status_code == 200, operation


@of_each_guarded_one
def test_without_a_token_it_is_401(world: World, operation: str) -> None:
    before = world.records()
    answer = world.call(operation, permissions=None)
    assert answer.status_code == 401
    assert answer.json()["type"] == "/remit/problems/not-authenticated"
    assert world.records() == before


def test_no_method_of_any_path_is_served_without_a_token(world: World) -> None:
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    paths = sorted({operation.partition(" ")[2] for operation in OPERATIONS})
    served = {
        f"{method} {path}"
        for method, path in itertools.product(methods, paths)
        if world.client.request(method, path).status_code != 401
    }
    assert served == {f"{method} {path}" for method in ("GET", "HEAD") for path in UNGUARDED}


@of_each_guarded_one
def test_without_a_permission_it_is_403(world: World, operation: str) -> None:
    before, needed = world.records(), NEEDED[OPERATIONS[operation]]
    for permissions in (frozenset(), *(ALL - {one} for one in needed)):
        answer = world.call(operation, permissions=permissions)
        if needed:
            assert answer.status_code == 403, permissions
            assert answer.json()["type"] == "/remit/problems/not-permitted"
        else:
            assert answer.status_code == 200
            (listed,) = (value for value in answer.json().values() if isinstance(value, list))
            assert listed == []
    assert world.records() == before


def test_schedules_of_a_report_that_the_token_lacks_are_not_listed(world: World) -> None:
    answer = world.call("GET /schedules", permissions=frozenset({"schedules"}))
    assert (answer.status_code, answer.json()["data"]) == (200, [])


@of_each_guarded_one
def test_another_merchant_finds_nothing_and_changes_nothing(world: World, operation: str) -> None:
    case, before = CASES[operation], world.records(OWNER)

    answer = world.call(operation, STRANGER)

    if case.ids and operation != "GET /reports/{name}":
        assert answer.status_code == 404
        assert answer.json()["type"] == "/remit/problems/not-found"
    else:
        assert answer.status_code == case.good, answer.text
    asked = {world.ids[thing] for thing in case.ids.values()}
    told = {one for one in world.ids.values() if one != "payments" and one in answer.text}
    if operation == "GET /audit":  # its own refusals, which name what it has asked for before
        told &= {one for one in told if f"/{one}" not in answer.text}
    assert told <= asked, "only what was asked for is named"
    assert OWNER not in answer.text
    assert world.records(OWNER) == before


def test_another_merchants_lists_are_empty() -> None:
    with a_world() as world:
        for operation, case in CASES.items():
            if case.lists:
                answer = world.call(operation, STRANGER)
                assert (answer.status_code, answer.json()[case.lists]) == (200, []), operation
                assert world.call(operation).json()[case.lists], operation


@of_each_operation
def test_with_the_permission_alone_it_is_done(world: World, operation: str) -> None:
    reads = operation.startswith("GET ")
    with nullcontext(world) if reads else a_world() as mine:
        answer = mine.call(operation, permissions=frozenset(NEEDED[OPERATIONS[operation]]))
    assert answer.status_code == CASES[operation].good, answer.text

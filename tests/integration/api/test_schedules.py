from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from remit.api.app import create_app
from remit.auth import Verifier
from remit.clock import format_instant
from remit.schedules.schedule import MAX_SCHEDULES
from remit.services import Services
from tests.support.api import TOKENS, NotedRuns, bearer, token
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.openapi import resolved

UNKNOWN = "schedule-" + "0" * 26

Call = Callable[..., Response]


@pytest.fixture
def call(client: TestClient, clock: ManualClock) -> Call:
    """Calls a route as a merchant with the permissions that it needs."""

    def call(method: str, path: str, **how: Any) -> Response:
        merchant = how.pop("merchant", "merchant-1")
        permissions = how.pop("permissions", ("schedules", "payments", "refunds"))
        headers = {**bearer(token(clock, merchant, *permissions)), **how.pop("headers", {})}
        return client.request(method, path, headers=headers, **how)

    return call


def created(call: Call, **values: Any) -> dict[str, Any]:
    how = {name: values.pop(name) for name in ("merchant", "permissions") if name in values}
    answer = call("POST", "/schedules", json={"cadence": "daily", **values}, **how)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def errors_of(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 422, answer.text
    return {error["field"]: error["allowed"] for error in answer.json()["errors"]}


def test_a_new_schedule_is_told_with_what_it_does_next(call: Call, clock: ManualClock) -> None:
    values = {
        "name": "Nightly",
        "cadence": "daily",
        "timezone": "Asia/Kathmandu",
        "format": "parquet",
        "columns": ["payment_id", "amount_minor"],
        "settle_seconds": 900,
    }
    answer = call("POST", "/schedules", json=values)

    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == f"/remit/schedules/{body['id']}"
    assert values.items() <= body.items()
    period = body.pop("next_period")
    assert len(period.pop("export_id")) > 20
    assert period == {
        "name": "2026-11-23",
        "start": "2026-11-22T18:15:00.000000Z",
        "end": "2026-11-23T18:15:00.000000Z",
        "due_at": "2026-11-23T18:30:00.000000Z",
    }
    now = format_instant(clock())
    assert (body["version"], body["created_at"], body["updated_at"]) == (1, now, now)
    assert (body["paused"], body["paused_at"], body["notify"]) == (False, None, True)
    assert (body["report"], body["weekday"], body["active_from"]) == ("payments", None, None)
    again = call("GET", f"/schedules/{body['id']}").json()
    assert again.pop("next_period")["name"] == "2026-11-23"
    assert again == body


def test_the_document_describes_each_answer(call: Call) -> None:
    told = created(call)
    paths = resolved(call("GET", "/openapi.json").json())["paths"]

    described = [
        paths["/schedules"]["post"]["responses"]["201"],
        paths["/schedules/{schedule}"]["get"]["responses"]["200"],
        paths["/schedules/{schedule}"]["patch"]["responses"]["200"],
        paths["/schedules/{schedule}/pause"]["post"]["responses"]["200"],
        paths["/schedules/{schedule}/resume"]["post"]["responses"]["200"],
    ]
    for answer in described:
        content = answer["content"]["application/json"]
        fields = content["schema"]["properties"]
        assert fields.keys() == told.keys()
        assert content["example"].keys() == told.keys()
        assert fields["next_period"]["properties"].keys() == told["next_period"].keys()
    body = paths["/schedules"]["post"]["requestBody"]["content"]["application/json"]
    settable = body["schema"]["properties"].keys()
    assert settable < told.keys()
    assert body["example"].keys() <= settable


def test_the_example_of_the_document_works(call: Call) -> None:
    paths = resolved(call("GET", "/openapi.json").json())["paths"]
    body = paths["/schedules"]["post"]["requestBody"]["content"]["application/json"]
    assert created(call, **body["example"])["format"] == "parquet"


def test_what_was_answered_can_be_sent_back(call: Call) -> None:
    told = created(call, cadence="weekly", weekday="friday", refresh_periods=2, min_amount=5)
    paths = resolved(call("GET", "/openapi.json").json())["paths"]
    body = paths["/schedules"]["post"]["requestBody"]["content"]["application/json"]
    fields = {name: told[name] for name in body["schema"]["properties"]}
    copy = created(call, **fields)
    assert copy["id"] != told["id"]
    assert {name: copy[name] for name in fields} == fields


def test_schedules_are_listed_in_pages(call: Call, clock: ManualClock) -> None:
    ids = []
    for _ in range(5):
        ids.append(created(call)["id"])
        clock.advance(1)
    created(call, merchant="merchant-2")

    found, cursor = [], None
    for _ in range(3):
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        answer = call("GET", "/schedules", params=query).json()
        found += [one["id"] for one in answer["data"]]
        cursor = answer["next_cursor"]
    assert (found, cursor) == (ids, None)
    whole = call("GET", "/schedules").json()
    assert ([one["id"] for one in whole["data"]], whole["next_cursor"]) == (ids, None)
    assert call("GET", "/schedules", merchant="merchant-3").json() == {
        "data": [],
        "next_cursor": None,
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"page": "2"}, "page"),
    ],
)
def test_a_page_that_is_none_is_refused(call: Call, query: dict[str, str], field: str) -> None:
    assert errors_of(call("GET", "/schedules", params=query)).keys() == {field}


def test_a_cursor_is_of_one_merchant(call: Call) -> None:
    for _ in range(2):
        created(call)
    cursor = call("GET", "/schedules", params={"limit": "1"}).json()["next_cursor"]
    answer = call("GET", "/schedules", params={"cursor": cursor}, merchant="merchant-2")
    assert errors_of(answer).keys() == {"cursor"}


def test_a_change_is_answered_with_the_schedule_as_it_is_then(call: Call) -> None:
    told = created(call, name="a", format="json")
    path = f"/schedules/{told['id']}"
    changes = {"name": None, "cadence": "hourly", "version": 1}
    answer = call("PATCH", path, json=changes)

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["name"], body["cadence"], body["format"]) == (None, "hourly", "json")
    assert body["version"] == 2
    assert body["next_period"]["name"] == "2026-11-23T12+00:00"
    assert call("GET", path).json() == body


def test_a_change_from_a_version_that_is_gone_is_a_conflict(call: Call) -> None:
    path = f"/schedules/{created(call)['id']}"
    assert call("PATCH", path, json={"name": "a", "version": 1}).status_code == 200
    lost = call("PATCH", path, json={"name": "b", "version": 1})
    assert lost.status_code == 409
    assert "version 2" in lost.json()["detail"]
    assert call("PATCH", path, json={"name": "c"}).json()["version"] == 3


@pytest.mark.parametrize("version", ["1", 1.0, True, [1]])
def test_a_version_that_is_none_is_refused(call: Call, version: Any) -> None:
    path = f"/schedules/{created(call)['id']}"
    answer = call("PATCH", path, json={"name": "a", "version": version})
    assert errors_of(answer).keys() == {"version"}


def test_a_schedule_is_paused_and_resumed(call: Call, clock: ManualClock) -> None:
    path = f"/schedules/{created(call)['id']}"
    paused = call("POST", f"{path}/pause").json()
    assert (paused["paused"], paused["paused_at"]) == (True, format_instant(clock()))
    assert paused["next_period"] is None
    assert call("POST", f"{path}/pause").json() == paused
    clock.advance(3 * 86_400)
    resumed = call("POST", f"{path}/resume").json()
    assert (resumed["paused"], resumed["paused_at"]) == (False, None)
    assert resumed["next_period"]["name"] == "2026-11-26"
    assert call("POST", f"{path}/resume").json() == resumed


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_to_pause_or_resume_takes_no_fields(call: Call, verb: str) -> None:
    path = f"/schedules/{created(call)['id']}/{verb}"
    assert errors_of(call("POST", path, json={"until": "2027"})) == {"until": []}


def test_a_deleted_schedule_is_gone(call: Call) -> None:
    path = f"/schedules/{created(call)['id']}"
    answer = call("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [call(method, path).status_code for method in ("GET", "DELETE")] == [404, 404]


def test_every_change_is_audited_with_who_made_it(call: Call, services: Services) -> None:
    schedule = created(call)["id"]
    path = f"/schedules/{schedule}"
    call("PATCH", path, json={"name": "a"})
    call("POST", f"{path}/pause")
    call("POST", f"{path}/resume")
    call("DELETE", path)

    entries = entries_of(services, "merchant-1")
    verbs = {"created", "changed", "paused", "resumed", "deleted"}
    assert {entry.action for entry in entries} == {f"schedules.{verb}" for verb in verbs}
    assert {(entry.target, entry.actor.name, entry.actor.via) for entry in entries} == {
        (schedule, "merchant-1", "hook")
    }
    assert all(entry.actor.request_id for entry in entries)


ROUTES = [
    ("GET", "/schedules/{id}", None),
    ("PATCH", "/schedules/{id}", {"name": "x"}),
    ("POST", "/schedules/{id}/pause", None),
    ("POST", "/schedules/{id}/resume", None),
    ("DELETE", "/schedules/{id}", None),
]
LISTS = [("GET", "/schedules", None), ("POST", "/schedules", {"cadence": "daily"})]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_another_merchants_schedule_is_not_there(
    call: Call, method: str, path: str, body: Any
) -> None:
    told = created(call)
    path = path.format(id=told["id"])
    answer = call(method, path, json=body, merchant="merchant-2")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/remit/problems/not-found"
    assert call("GET", f"/schedules/{told['id']}").json() == told


@pytest.mark.parametrize("schedule", [UNKNOWN, "x", "%23roster", "%00", "x" * 3000, "..%2Fx"])
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_what_is_no_schedule_is_not_there(
    call: Call, method: str, path: str, body: Any, schedule: str
) -> None:
    assert call(method, path.format(id=schedule), json=body).status_code == 404


@pytest.mark.parametrize(("method", "path", "body"), ROUTES + LISTS)
def test_without_the_permission_nothing_is_done(
    call: Call, services: Services, method: str, path: str, body: Any
) -> None:
    told = created(call)
    path = path.format(id=told["id"])
    answer = call(method, path, json=body, permissions=("payments", "history"))
    assert answer.status_code == 403
    assert "'schedules'" in answer.json()["detail"]
    assert len(entries_of(services, "merchant-1")) == 1


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_without_the_reports_permission_nothing_is_done(
    call: Call, services: Services, method: str, path: str, body: Any
) -> None:
    told = created(call, report="refunds")
    path = path.format(id=told["id"])
    answer = call(method, path, json=body, permissions=("schedules", "payments"))
    assert answer.status_code == 403
    assert "'refunds'" in answer.json()["detail"]
    assert len(entries_of(services, "merchant-1")) == 1


def test_the_report_of_a_new_schedule_needs_its_permission(call: Call, services: Services) -> None:
    schedules = ("schedules",)
    answer = call("POST", "/schedules", json={"cadence": "daily"}, permissions=schedules)
    assert answer.status_code == 403
    path = f"/schedules/{created(call)['id']}"
    change = {"report": "refunds"}
    refused = call("PATCH", path, json=change, permissions=("schedules", "payments"))
    assert refused.status_code == 403
    assert call("GET", path).json()["version"] == 1


def test_a_list_has_the_reports_that_the_token_allows(call: Call) -> None:
    created(call, report="refunds")
    payments = created(call)
    answer = call("GET", "/schedules", permissions=("schedules", "payments")).json()
    assert [one["id"] for one in answer["data"]] == [payments["id"]]


@pytest.mark.parametrize("path", ["/schedules", f"/schedules/{UNKNOWN}"])
def test_nobody_comes_without_a_token(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize(
    ("values", "field", "allowed"),
    [
        ({"cadence": "yearly"}, "cadence", ["hourly", "daily", "weekly", "monthly"]),
        ({"timezone": "Mars/Olympus"}, "timezone", "Europe/Berlin"),
        ({"cadence": "weekly", "weekday": "moonday"}, "weekday", "sunday"),
        ({"start_date": "2026-01-01"}, "start_date", "active_from"),
        ({"color": "red"}, "color", "cadence"),
        ({"report": "secrets"}, "report", "payments"),
        ({"destination": "s3://elsewhere/"}, "destination", "none"),
        ({"paused": True}, "paused", "/pause"),
        ({"active_from": "2027-01-02", "active_until": "2027-01-01"}, "active_until", "later"),
        ({"active_until": "2026-11-22"}, "active_until", "2026-11-24T00:00:00.000000Z or later"),
        ({"settle_seconds": "60"}, "settle_seconds", "604800"),
    ],
)
def test_what_is_wrong_is_refused_with_what_is_allowed(
    call: Call, services: Services, values: dict[str, Any], field: str, allowed: Any
) -> None:
    errors = errors_of(call("POST", "/schedules", json={"cadence": "daily", **values}))
    assert errors.keys() == {field}
    found = errors[field]
    assert found == allowed if isinstance(allowed, list) else allowed in found
    assert call("GET", "/schedules").json()["data"] == []
    assert entries_of(services, "merchant-1") == []


def test_a_wrong_change_changes_nothing(call: Call) -> None:
    told = created(call)
    path = f"/schedules/{told['id']}"
    answer = call("PATCH", path, json={"cadence": "x", "id": "y", "name": "z"})
    assert errors_of(answer).keys() == {"cadence", "id"}
    assert call("GET", path).json() == told


@pytest.mark.parametrize("body", ["[]", "{", '"x"', '{"cadence": "daily", "cadence": "hourly"}'])
def test_a_body_that_is_no_object_is_refused(call: Call, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = call("POST", "/schedules", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


def test_beyond_the_limit_there_is_a_conflict(call: Call, services: Services) -> None:
    ids = frozenset(f"schedule-{number:026d}" for number in range(MAX_SCHEDULES))
    roster = {"merchantID": "merchant-1", "id": "#roster", "schedules": ids}
    services.tables.schedules.put(roster)
    answer = call("POST", "/schedules", json={"cadence": "daily"})
    assert answer.status_code == 409
    assert "100 schedules" in answer.json()["detail"]


def test_the_same_request_twice_makes_one_schedule(call: Call) -> None:
    how = {"json": {"cadence": "daily"}, "headers": {"Idempotency-Key": "nightly-1"}}
    first, again = (call("POST", "/schedules", **how) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert len(call("GET", "/schedules").json()["data"]) == 1


def test_a_change_from_a_version_is_no_conflict_with_itself(call: Call) -> None:
    path = f"/schedules/{created(call)['id']}"
    how = {"json": {"name": "a", "version": 1}, "headers": {"Idempotency-Key": "rename"}}
    first, again = (call("PATCH", path, **how) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert call("PATCH", path, json=how["json"]).status_code == 409


def test_a_schedule_is_deleted_once(call: Call) -> None:
    path = f"/schedules/{created(call)['id']}"
    how = {"headers": {"Idempotency-Key": "the end"}}
    assert [call("DELETE", path, **how).status_code for _ in range(2)] == [204, 204]
    assert call("DELETE", path).status_code == 404


@pytest.fixture
def lake_client(services: Services, runs: NotedRuns, clock: ManualClock) -> Iterator[TestClient]:
    """Calls a hook whose deployment has a place for more files."""
    allowed = replace(services.settings, export_destinations="s3://lake/{merchant}/")
    lake = replace(services, settings=allowed)
    app = create_app(lambda: lake, runs, Verifier(TOKENS, clock))
    with TestClient(app, root_path="/remit", raise_server_exceptions=False) as client:
        yield client


def test_a_destination_is_what_the_deployment_allows_this_merchant(
    lake_client: TestClient, clock: ManualClock
) -> None:
    headers = bearer(token(clock, "merchant-1", "schedules", "payments"))
    answers = [
        lake_client.post(
            "/schedules", json={"cadence": "daily", "destination": place}, headers=headers
        )
        for place in ("s3://lake/merchant-1/daily/", "s3://lake/merchant-2/")
    ]
    assert answers[0].json()["destination"] == "s3://lake/merchant-1/daily/"
    assert errors_of(answers[1]) == {"destination": ["s3://lake/merchant-1/…"]}

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.services import Services
from tests.support.api import bearer, token
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.replays import dead_letters, record, run
from tests.support.webhooks import add_merchant

PATH = "/webhooks/replay"
URL = "http://127.0.0.1:9/hook"
SINCE = "2026-11-23T11:00:00Z"


@pytest.fixture
def header(clock: ManualClock) -> dict[str, str]:
    """Of a token that may do all that is done here."""
    return bearer(token(clock, "merchant-1", "webhooks"))


@pytest.fixture
def letters(services: Services, clock: ManualClock) -> list[str]:
    """Three dead letters."""
    add_merchant(services, URL)
    keys = dead_letters(services, range(3))
    clock.advance(seconds=60)
    return keys


def replays(services: Services) -> list[Any]:
    """All that were asked for."""
    return list(services.tables.replays.scan("attribute_exists(#id)", {}, attributes=["id"]))


def test_a_replay_is_asked_for_and_followed(
    client: TestClient, services: Services, header: dict[str, str], letters: list[str]
) -> None:
    body = {"since": SINCE, "type": ["payment.*"], "rate": 100}
    answer = client.post(PATH, json=body, headers=header)

    assert answer.status_code == 202
    asked = answer.json()
    assert asked["status"] == "queued"
    assert asked["filter"] == {
        "since": "2026-11-23T11:00:00.000000Z",
        "until": "2026-11-23T12:01:00.000000Z",
        "endpoint": None,
        "type": ["payment.*"],
        "status": ["failed", "expired"],
        "reason": [],
    }
    assert (asked["rate"], asked["matched"], asked["replayed"]) == (100, 0, 0)
    one = f"/webhooks/replays/{asked['id']}"
    assert client.get(one, headers=header).json() == asked

    assert run(services) == 3
    done = client.get(one, headers=header).json()
    assert (done["status"], done["matched"], done["replayed"]) == ("completed", 3, 3)
    assert done["finished_at"] == "2026-11-23T12:01:00.000000Z"
    assert {record(services, key)["status"] for key in letters} == {"pending"}
    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.target) == ("webhooks.replay.requested", asked["id"])


def test_a_dry_run_counts_and_changes_nothing(
    client: TestClient, services: Services, header: dict[str, str], letters: list[str]
) -> None:
    answer = client.post(PATH, json={"since": SINCE, "dry_run": True}, headers=header)
    assert answer.status_code == 200
    assert answer.json() == {"matched": 3, "replayable": 3, "skipped": {}, "complete": True}
    assert replays(services) == []
    assert entries_of(services, "merchant-1") == []
    assert {record(services, key)["status"] for key in letters} == {"failed"}


def test_one_request_asks_for_one_replay(
    client: TestClient, services: Services, header: dict[str, str], letters: list[str]
) -> None:
    once = header | {"Idempotency-Key": "key-1"}
    first, again = (client.post(PATH, json={"since": SINCE}, headers=once) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert len(replays(services)) == 1


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, ["since"]),
        ({"since": None}, ["since"]),
        ({"since": "yesterday"}, ["since", "since"]),
        ({"since": 5}, ["since"]),
        ({"since": "2026-11-24T12:00:00Z"}, ["since"]),
        ({"since": "2020-01-01T00:00:00Z"}, ["since"]),
        ({"since": "0001-01-01T00:00:00Z"}, ["since"]),
        ({"since": SINCE, "until": "x"}, ["until"]),
        ({"since": SINCE, "until": SINCE}, ["until"]),
        ({"since": SINCE, "endpoint": 5}, ["endpoint"]),
        ({"since": SINCE, "endpoint": "a/b"}, ["endpoint"]),
        ({"since": SINCE, "type": "payment.*"}, ["type"]),
        ({"since": SINCE, "type": [5]}, ["type"]),
        ({"since": SINCE, "type": ["payment*"]}, ["type"]),
        ({"since": SINCE, "type": [f"a.b{n}" for n in range(101)]}, ["type"]),
        ({"since": SINCE, "status": []}, ["status"]),
        ({"since": SINCE, "status": ["pending"]}, ["status"]),
        ({"since": SINCE, "reason": ["because"]}, ["reason"]),
        ({"since": SINCE, "rate": 0}, ["rate"]),
        ({"since": SINCE, "rate": 1.5}, ["rate"]),
        ({"since": SINCE, "rate": True}, ["rate"]),
        ({"since": SINCE, "dry_run": "yes"}, ["dry_run"]),
        ({"since": SINCE, "colour": "red"}, ["colour"]),
    ],
)
def test_every_wrong_field_is_named_and_nothing_is_stored(
    client: TestClient,
    services: Services,
    header: dict[str, str],
    values: dict[str, Any],
    fields: list[str],
) -> None:
    for more in ({}, {"dry_run": True}):
        answer = client.post(PATH, json={**more, **values}, headers=header)
        assert answer.status_code == 422
        named = [error["field"] for error in answer.json()["errors"]]
        assert named in (fields, fields[:1])
    assert replays(services) == []


def test_values_that_are_given_often_count_once(
    client: TestClient, header: dict[str, str], letters: list[str]
) -> None:
    body = {
        "since": SINCE,
        "status": ["failed"] * 200,
        "reason": ["gone"] * 200,
        "dry_run": True,
    }
    assert client.post(PATH, json=body, headers=header).json()["matched"] == 3


def test_an_endpoint_that_is_not_there_is_not_found(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    body = {"since": SINCE, "endpoint": "ep-none"}
    assert client.post(PATH, json=body, headers=header).status_code == 404
    assert replays(services) == []


def test_another_merchants_replay_does_not_exist(
    client: TestClient, clock: ManualClock, header: dict[str, str], letters: list[str]
) -> None:
    asked = client.post(PATH, json={"since": SINCE}, headers=header).json()["id"]
    theirs = bearer(token(clock, "merchant-2", "webhooks"))
    for replay in (asked, "replay-none", "none", "x" * 500):
        assert client.get(f"/webhooks/replays/{replay}", headers=theirs).status_code == 404
    counted = client.post(PATH, json={"since": SINCE, "dry_run": True}, headers=theirs)
    assert counted.json()["matched"] == 0


def test_the_permission_is_needed(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    others = bearer(token(clock, "merchant-1", "payments", "events"))
    assert client.post(PATH, json={"since": SINCE}, headers=others).status_code == 403
    assert client.get("/webhooks/replays/replay-1", headers=others).status_code == 403
    assert client.post(PATH, json={"since": SINCE}).status_code == 401
    assert replays(services) == []

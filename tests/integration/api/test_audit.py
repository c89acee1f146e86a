"""The audit log as merchants read it."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.audit import Actor, AuditLog, Via
from remit.aws.transactions import transact
from remit.services import Services
from tests.support.api import bearer, forged, token
from tests.support.clock import ManualClock

URL = "/audit"


def get(
    client: TestClient, clock: ManualClock, query: Any = (), merchant: str = "merchant-1"
) -> Any:
    return client.get(URL, headers=bearer(token(clock, merchant, "audit")), params=query)


def write(services: Services, clock: ManualClock, *actions: str, **what: Any) -> None:
    """Entries, a second apart."""
    log = AuditLog(services)
    for action in actions:
        given = {"actor": Actor("ada"), "target": "t", **what}
        transact(services.tables.client, [log.entry("merchant-1", action, **given)])
        clock.advance(1)


def actions(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [entry["action"] for entry in answer.json()["data"]]


def test_a_merchant_reads_who_did_what_from_where_with_which_token(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    email = {"email": "ann@books.example", "jti": "token-1"}
    header = bearer(forged(clock, **email))
    query = {"start_date": "2026-01-01", "end_date": "2026-01-31", "format": "json"}
    created = client.post("/payments/export", headers=header, params=query)

    (entry,) = get(client, clock).json()["data"]

    assert entry.pop("id").startswith("2026-11-23T12:00:00.000000Z#")
    assert entry.pop("request_id")
    assert entry == {
        "at": "2026-11-23T12:00:00.000000Z",
        "action": "exports.export.requested",
        "target": created.json()["export_id"],
        "result": "done",
        "actor": "ann@books.example",
        "via": "hook",
        "address": "testclient",
        "token_id": "token-1",
        "details": {"report": "payments", **query},
    }


def test_what_was_refused_is_in_it_and_changes_nothing(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    header = bearer(token(clock))
    client.post("/payments/export", headers=header, params={"start_date": "monday"})
    client.post("/exports/export-1/cancel", headers=header)

    entries = get(client, clock).json()["data"]
    assert {(entry["action"], entry["result"]) for entry in entries} == {
        ("requests.refused", "refused")
    }
    assert {entry["target"] for entry in entries} == {
        "/payments/export",
        "/exports/export-1/cancel",
    }


def test_the_newest_comes_first_and_pages_join(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    write(services, clock, *(f"a.n{number}" for number in "abcdefghij"))
    found: list[str] = []
    cursor: dict[str, str] = {}

    for _ in range(20):
        answer = get(client, clock, {"limit": 3, **cursor})
        found += actions(answer)
        if (following := answer.json()["next_cursor"]) is None:
            break
        cursor = {"cursor": following}

    assert found == [f"a.n{number}" for number in "jihgfedcba"]


def test_entries_are_filtered_by_action_and_instant(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    write(
        services, clock, "exports.export.requested", "exports.link.minted", "exportsx", "webhooks.a"
    )

    assert actions(get(client, clock, {"action": "exports.*"})) == [
        "exports.link.minted",
        "exports.export.requested",
    ]
    assert len(actions(get(client, clock, {"action": "*"}))) == 4
    assert actions(get(client, clock, {"action": "webhooks.a"})) == ["webhooks.a"]
    assert actions(get(client, clock, {"action": "webhooks"})) == []
    # Kathmandu's clock is 5:45 ahead.
    window = {"after": "2026-11-23T17:45:01+05:45", "before": "2026-11-23T12:00:03Z"}
    assert actions(get(client, clock, window)) == ["exportsx", "exports.link.minted"]


def test_it_needs_the_permission_and_is_the_merchants_own(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    write(services, clock, "a.b")

    assert client.get(URL).status_code == 401
    refused = client.get(URL, headers=bearer(token(clock, "merchant-1", "payments", "history")))
    assert (refused.status_code, refused.json()["type"]) == (403, "/remit/problems/not-permitted")
    assert actions(get(client, clock, merchant="merchant-2")) == []


def test_entries_of_before_and_of_any_details_are_told(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    details = {
        "rate": {"old": None, "new": 5},
        "ratio": Decimal("0.5"),
        "events": frozenset({"b", "a"}),
        "list": [1, True, "x"],
        "bytes": b"\xff",
    }
    write(services, clock, "a.b", details=details, actor=Actor("ada", Via.COMMAND))
    services.tables.audit_log.put(
        {
            "merchantID": "merchant-1",
            "id": "2026-01-01T00:00:00.000000Z#1",
            "at": "2026-01-01T00:00:00.000000Z",
            "action": "a.b",
            "actor": "ada",
            "target": "x",
            "details": {},
        }
    )

    new, old = get(client, clock).json()["data"]

    assert new["details"] == {
        "rate": {"old": None, "new": 5},
        "ratio": 0.5,
        "events": ["a", "b"],
        "list": [1, True, "x"],
        "bytes": None,
    }
    assert (old["result"], old["via"], old["token_id"]) == (None, None, None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("action=", "action"),
        ("action=Exports.*", "action"),
        ("action=exports.*.minted", "action"),
        ("action=" + "a" * 500, "action"),
        ("after=yesterday", "after"),
        ("before=2026-01-01", "before"),
        ("limit=0", "limit"),
        ("limit=1000", "limit"),
        ("cursor=x", "cursor"),
        ("merchant_id=merchant-2", "merchant_id"),
        ("action=a&action=b", "action"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(
    client: TestClient, clock: ManualClock, query: str, field: str
) -> None:
    answer = client.get(f"{URL}?{query}", headers=bearer(token(clock, "merchant-1", "audit")))

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["allowed"]


def test_a_cursor_that_was_changed_is_refused(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    write(services, clock, "a.b", "a.c")
    window = {"after": "2026-11-23T12:00:00Z", "before": "2026-11-23T12:01:00Z", "limit": "1"}
    cursor = get(client, clock, window).json()["next_cursor"]
    digest, start = json.loads(base64.urlsafe_b64decode(cursor))

    def changed(**key: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps([digest, {**start, **key}]).encode()).decode()

    for hostile in (
        changed(id="2020-01-01T00:00:00.000000Z#1"),
        changed(id="~"),
        changed(id=""),
        changed(id=5),
        changed(id="2026-11-23T12:00:00.000000Z#\ud800"),
        changed(merchantID="merchant-2"),
    ):
        assert get(client, clock, {**window, "cursor": hostile}).status_code == 422
    others = get(client, clock, {**window, "cursor": cursor}, merchant="merchant-2")
    assert others.status_code == 422
    assert actions(get(client, clock, {**window, "cursor": cursor})) == ["a.b"]

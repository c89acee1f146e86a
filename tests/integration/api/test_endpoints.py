from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.services import Services
from remit.webhooks.endpoint import MAX_ENDPOINTS
from remit.webhooks.outbox import Outbox
from tests.support.api import NotedRuns, bearer, forged, token
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.endpoints import SECRET, WRONG, everything
from tests.support.endpoints import URL as PUBLIC
from tests.support.webhooks import add_merchant, event

PATH = "/webhooks/endpoints"
URL = "http://127.0.0.1:9/hooks"


@pytest.fixture
def header(clock: ManualClock) -> dict[str, str]:
    """Of a token that may do all that is done here."""
    claims = {"permissions": ["webhooks"], "email": "ann@books.example", "jti": "token-1"}
    return bearer(forged(clock, **claims))


def made(client: TestClient, header: dict[str, str], **fields: Any) -> dict[str, Any]:
    """A new endpoint, as it is answered."""
    answer = client.post(PATH, json={"url": URL, **fields}, headers=header)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_endpoint_is_created_with_its_secret_which_is_shown_this_once(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    fields = {"url": URL, "events": ["payment.*"], "rate": 5, "schedule": [1, 60]}
    answer = client.post(PATH, json=fields, headers=header)

    assert answer.status_code == 201
    endpoint = answer.json()
    assert answer.headers["location"] == f"/remit{PATH}/{endpoint['id']}"
    secret = endpoint.pop("secret")
    assert secret.startswith("whsec_")
    (stored,) = endpoint["secrets"]
    assert stored.keys() == {"id", "created_at", "expires_at", "last_used_at"}
    assert endpoint["events"] == ["payment.*"]
    assert (endpoint["rate"], endpoint["schedule"], endpoint["enabled"]) == (5, [1, 60], True)
    assert client.get(f"{PATH}/{endpoint['id']}", headers=header).json() == endpoint
    assert client.get(PATH, headers=header).json() == {"data": [endpoint]}
    record = services.tables.endpoints.get(("merchant-1", endpoint["id"])) or {}
    assert services.vault.open(record["secrets"][0]["sealed"]) == secret
    assert secret not in json.dumps(everything(services), default=str)


def test_who_did_it_is_in_the_audit_log(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    endpoint = made(client, header)["id"]
    client.patch(f"{PATH}/{endpoint}", json={"rate": 9}, headers=header)
    client.post(f"{PATH}/{endpoint}/disable", json={"reason": "moving"}, headers=header)
    client.post(f"{PATH}/{endpoint}/enable", headers=header)
    client.post(f"{PATH}/{endpoint}/rotate-secret", headers=header)
    client.post(f"{PATH}/{endpoint}/test", headers=header)
    client.delete(f"{PATH}/{endpoint}", headers=header)

    found = entries_of(services, "merchant-1")
    verbs = ["created", "changed", "disabled", "enabled", "secret_rotated", "tested", "deleted"]
    assert sorted(one.action.rpartition(".")[2] for one in found) == sorted(verbs)
    for one in found:
        actor = one.actor
        assert (actor.name, actor.via, actor.token_id) == ("ann@books.example", "hook", "token-1")
        assert actor.request_id


@pytest.mark.parametrize(("values", "fields"), WRONG, ids=lambda value: str(value)[:60])
def test_every_wrong_field_is_named_and_nothing_is_stored(
    client: TestClient,
    services: Services,
    header: dict[str, str],
    values: dict[str, Any],
    fields: list[str],
) -> None:
    if values.get("url") == PUBLIC:  # the name would be looked up
        values = {**values, "url": URL}
    answer = client.post(PATH, content=json.dumps(values), headers=header | JSON)
    assert answer.status_code == 422
    named = [error["field"] for error in answer.json()["errors"]]
    assert named in (fields, ["body"])  # half a character is no JSON for the hook
    assert everything(services) == []


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "content", [b"[]", b"5", b"{", b'{"url": 1, "url": 2}', b"\xff", b'{"rate": NaN}']
)
def test_what_is_no_object_is_refused(
    client: TestClient, services: Services, header: dict[str, str], content: bytes
) -> None:
    answer = client.post(PATH, content=content, headers=header | JSON)
    assert answer.status_code == 422
    assert everything(services) == []


def test_fields_do_not_come_by_the_query_string(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    answer = client.post(f"{PATH}?secret=x", json={"url": URL}, headers=header)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["secret"]
    assert everything(services) == []


def test_no_more_than_a_merchant_can_have(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    services.tables.endpoints.put(
        {
            "merchantID": "merchant-1",
            "id": "#roster",
            "endpoints": frozenset(f"ep-{number}" for number in range(MAX_ENDPOINTS)),
        }
    )
    answer = client.post(PATH, json={"url": URL}, headers=header)
    assert answer.status_code == 409
    assert f"there are {MAX_ENDPOINTS} endpoints" in answer.json()["detail"]


def test_an_endpoint_is_changed_and_taken_back_to_defaults(
    client: TestClient, header: dict[str, str]
) -> None:
    endpoint = made(client, header, rate=5)["id"]
    changed = client.patch(
        f"{PATH}/{endpoint}", json={"rate": None, "description": "books"}, headers=header
    )
    assert changed.status_code == 200
    assert (changed.json()["rate"], changed.json()["description"]) == (None, "books")
    refused = client.patch(f"{PATH}/{endpoint}", json={"secret": "x", "rate": 0}, headers=header)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["secret", "rate"]


def test_an_endpoint_is_disabled_and_enabled(client: TestClient, header: dict[str, str]) -> None:
    endpoint = made(client, header)["id"]
    one = f"{PATH}/{endpoint}"

    disabled = client.post(f"{one}/disable", json={"reason": "moving"}, headers=header).json()
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "moving")
    assert disabled["disabled_at"] == "2026-11-23T12:00:00.000000Z"
    refused = client.post(f"{one}/test", headers=header)
    assert refused.status_code == 409
    enabled = client.post(f"{one}/enable", headers=header).json()
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": 5}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"reason": "x", "why": "y"}, "why"),
    ],
)
def test_a_reason_is_needed(
    client: TestClient, header: dict[str, str], values: dict[str, Any], field: str
) -> None:
    endpoint = made(client, header)["id"]
    answer = client.post(f"{PATH}/{endpoint}/disable", json=values, headers=header)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert client.get(f"{PATH}/{endpoint}", headers=header).json()["enabled"]


def test_a_secret_is_rotated_and_the_old_one_signs_for_a_while(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    first = made(client, header)
    one = f"{PATH}/{first['id']}/rotate-secret"

    second = client.post(one, json={"overlap_seconds": 60}, headers=header)
    assert second.status_code == 200
    assert second.json()["secret"] not in ("", first["secret"])
    old, new = second.json()["secrets"]
    assert old["expires_at"] == "2026-11-23T12:01:00.000000Z"
    assert new["expires_at"] is None

    third = client.post(one, json={"overlap_seconds": 0, "secret": SECRET}, headers=header)
    assert third.json()["secret"] == SECRET
    assert len(third.json()["secrets"]) == 1


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"overlap_seconds": -1}, ["overlap_seconds"]),
        ({"overlap_seconds": 604_801}, ["overlap_seconds"]),
        ({"overlap_seconds": 10**30}, ["overlap_seconds"]),
        ({"overlap_seconds": 1.5}, ["overlap_seconds"]),
        ({"overlap_seconds": True}, ["overlap_seconds"]),
        ({"overlap_seconds": "60"}, ["overlap_seconds"]),
        ({"secret": "short"}, ["secret"]),
        ({"secret": 5}, ["secret"]),
        ({"overlap": 5}, ["overlap"]),
    ],
)
def test_a_wrong_rotation_changes_nothing(
    client: TestClient, header: dict[str, str], values: dict[str, Any], fields: list[str]
) -> None:
    endpoint = made(client, header)
    one = f"{PATH}/{endpoint['id']}"
    answer = client.post(f"{one}/rotate-secret", json=values, headers=header)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert client.get(one, headers=header).json()["secrets"] == endpoint["secrets"]


def test_the_default_endpoint_is_the_merchants_own(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    (default,) = client.get(PATH, headers=header).json()["data"]
    assert (default["id"], default["url"], default["created_at"]) == ("default", URL, None)
    assert "webhookSecret" not in json.dumps(default)
    assert client.patch(f"{PATH}/default", json={"rate": 7}, headers=header).json()["rate"] == 7
    assert client.delete(f"{PATH}/default", headers=header).status_code == 409
    assert client.post(f"{PATH}/default/rotate-secret", headers=header).status_code == 409
    assert client.post(f"{PATH}/default/test", headers=header).status_code == 202


def test_a_deleted_endpoint_is_gone(client: TestClient, header: dict[str, str]) -> None:
    one = f"{PATH}/{made(client, header)['id']}"
    gone = client.delete(one, headers=header)
    assert (gone.status_code, gone.content) == (204, b"")
    assert client.get(one, headers=header).status_code == 404
    assert client.delete(one, headers=header).status_code == 404
    assert client.get(PATH, headers=header).json() == {"data": []}


def test_a_test_event_goes_to_one_endpoint_alone_whatever_its_filter(
    client: TestClient, services: Services, header: dict[str, str], runs: NotedRuns
) -> None:
    made(client, header)
    endpoint = made(client, header, events=["refund.*"])["id"]

    answer = client.post(f"{PATH}/{endpoint}/test", headers=header)

    assert answer.status_code == 202
    key = answer.json()["webhook_id"]
    record = services.tables.webhooks.get(key) or {}
    assert (record["endpointID"], record["eventType"]) == (endpoint, "endpoint.test")
    assert services.webhook_queue.due(10) == [key]
    stored = services.tables.events.get(answer.json()["event_id"]) or {}
    assert json.loads(stored["payload"])["data"]["endpoint_id"] == endpoint
    assert runs.wakes >= 1
    found = client.get(f"/webhooks/{key}", headers=header).json()
    assert (found["type"], found["status"], found["attempts"]) == ("endpoint.test", "pending", [])


def test_one_request_makes_one_endpoint_and_one_secret(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    once = header | {"Idempotency-Key": "key-1"}
    first, again = (client.post(PATH, json={"url": URL}, headers=once) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert len(client.get(PATH, headers=header).json()["data"]) == 1

    rotate = f"{PATH}/{first.json()['id']}/rotate-secret"
    one, two = (
        client.post(rotate, headers=header | {"Idempotency-Key": "key-2"}) for _ in range(2)
    )
    assert one.json() == two.json()
    assert len(one.json()["secrets"]) == 2

    shown_again = "webhooks.endpoint.secret_shown"
    told = [entry for entry in entries_of(services, "merchant-1") if entry.action == shown_again]
    assert [entry.target for entry in told] == [first.json()["id"]] * 2


def test_a_change_and_a_deletion_are_done_once(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    one = f"{PATH}/{made(client, header)['id']}"
    keys = [header | {"Idempotency-Key": key} for key in ("key-1", "key-2")]
    changed, again = (client.patch(one, json={"rate": 5}, headers=keys[0]) for _ in range(2))
    assert changed.status_code == again.status_code == 200
    assert changed.content == again.content
    gone, still = (client.delete(one, headers=keys[1]) for _ in range(2))
    for answer in (gone, still):
        assert (answer.status_code, answer.content) == (204, b"")
        assert "content-type" not in answer.headers
    assert still.headers["idempotent-replayed"] == "true"
    assert client.delete(one, headers=header).status_code == 404


ROUTES = [
    ("POST", ""),
    ("GET", ""),
    ("GET", "/{id}"),
    ("PATCH", "/{id}"),
    ("DELETE", "/{id}"),
    ("POST", "/{id}/disable"),
    ("POST", "/{id}/enable"),
    ("POST", "/{id}/rotate-secret"),
    ("POST", "/{id}/test"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_permission_is_needed(
    client: TestClient, header: dict[str, str], clock: ManualClock, method: str, path: str
) -> None:
    one = PATH + path.format(id=made(client, header)["id"])
    others = bearer(token(clock, "merchant-1", "payments", "events"))
    answer = client.request(method, one, headers=others)
    assert answer.status_code == 403
    assert "'webhooks'" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ROUTES[2:])
def test_another_merchants_endpoint_does_not_exist(
    client: TestClient,
    services: Services,
    header: dict[str, str],
    clock: ManualClock,
    method: str,
    path: str,
) -> None:
    endpoint = made(client, header)["id"]
    before = everything(services)
    body = {"reason": "x"} if path.endswith("disable") else {}
    theirs = bearer(token(clock, "merchant-2", "webhooks"))
    for other in (endpoint, "ep-none", "%20", "a%2Fb", "x" * 200):
        url = PATH + path.format(id=other)
        answer = client.request(method, url, json=body, headers=theirs)
        assert answer.status_code == 404, (url, answer.text)
    assert everything(services) == before


def test_events_go_on_to_a_new_endpoint_at_once(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    outbox = Outbox(services)
    assert outbox.publish(event(1)).webhook_ids == ()
    made(client, header)
    assert len(outbox.publish(event(2)).webhook_ids) == 1
    assert [entry.action for entry in entries_of(services, "merchant-1")] == [
        "webhooks.endpoint.created"
    ]

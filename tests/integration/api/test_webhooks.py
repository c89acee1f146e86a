from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from remit.clock import format_instant
from remit.services import Services
from remit.webhooks.outbox import Outbox
from tests.support.api import NotedRuns, bearer, token
from tests.support.audit import entries_of
from tests.support.aws import put_many
from tests.support.clock import ManualClock
from tests.support.replays import change, dead_letters, record
from tests.support.webhooks import (
    NOW,
    add_endpoint,
    add_merchant,
    event,
    foreign_webhook,
    publish,
)

PATH = "/webhooks"
URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def header(clock: ManualClock) -> dict[str, str]:
    """Of a token that may do all that is done here."""
    return bearer(token(clock, "merchant-1", "webhooks"))


def pages(client: TestClient, header: dict[str, str], **query: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list."""
    found, cursor = [], None
    while True:
        given = {**query, **({"cursor": cursor} if cursor else {})}
        answer = client.get(PATH, params=given, headers=header)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found.append(body["data"])
        if (cursor := body["next_cursor"]) is None:
            return found


def ids(client: TestClient, header: dict[str, str], **query: Any) -> list[str]:
    """The ids of a list."""
    return [one["id"] for page in pages(client, header, **query) for one in page]


def test_a_webhook_is_listed_as_it_is(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    key = publish(services)
    ((one,),) = pages(client, header)
    assert one == {
        "id": key,
        "event_id": "evt-1",
        "type": "payment.succeeded",
        "endpoint_id": "default",
        "status": "pending",
        "reason_code": None,
        "reason": None,
        "attempt_count": 0,
        "replay_count": 0,
        "response_status": None,
        "error": None,
        "created_at": "2026-11-23T12:00:00.000000Z",
        "updated_at": "2026-11-23T12:00:00.000000Z",
        "last_attempt_at": None,
        "next_attempt_at": "2026-11-23T12:00:00.000000Z",
    }


def test_pages_of_many_have_each_once_and_the_newest_first(
    client: TestClient, services: Services, clock: ManualClock, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    outbox, keys = Outbox(services), []
    for number in range(250):
        # Of some instants there are several.
        if number % 3 == 0:
            clock.advance(seconds=1)
        keys += outbox.publish(event(number)).webhook_ids
    put_many(services, "Webhooks", [foreign_webhook(f"theirs-{n}", URL) for n in range(10)])

    found = pages(client, header, limit=100)

    assert [len(page) for page in found] == [100, 100, 60]
    listed = [one["id"] for page in found for one in page]
    assert len(set(listed)) == 260
    assert set(listed) == {*keys, *(f"theirs-{n}" for n in range(10))}
    times = [one["created_at"] for page in found for one in page if one["event_id"]]
    assert times == sorted(times, reverse=True)
    assert [len(page) for page in pages(client, header)] == [50] * 5 + [10]


def test_the_platforms_own_are_listed_with_what_they_have(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    odd = {"attempts": "many", "lastError": 5, "updatedAt": "yesterday", "status": 7}
    services.tables.webhooks.put(foreign_webhook("theirs", URL))
    services.tables.webhooks.put(foreign_webhook("odd", URL, **odd))
    by_id = {one["id"]: one for page in pages(client, header) for one in page}
    theirs = by_id["theirs"]
    assert (theirs["event_id"], theirs["endpoint_id"], theirs["status"]) == (
        None,
        "default",
        "failed",
    )
    assert theirs["created_at"] == "2026-11-23T11:30:00.123456Z"
    assert (by_id["odd"]["attempt_count"], by_id["odd"]["updated_at"]) == (0, None)
    assert (by_id["odd"]["error"], by_id["odd"]["status"]) == ("5", "7")
    details = client.get(f"{PATH}/theirs", headers=header).json()
    assert (details["attempts"], details["payload"]) == ([], '{"payment_id": "pay-9"}')
    assert client.get(f"{PATH}/odd", headers=header).status_code == 200


def test_filters(
    client: TestClient, services: Services, clock: ManualClock, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    add_endpoint(services, "ep-other", events=["refund.*"])
    first = publish(services, 1)
    clock.advance(seconds=60)
    refund = Outbox(services).publish(
        event(2).__class__(
            id="evt-2",
            type="refund.created",
            merchant_id="merchant-1",
            created_at=NOW,
            data={},
        )
    )
    default, other = sorted(refund.webhook_ids, key=lambda key: record(services, key)["endpointID"])
    change(services, first, status="delivered")
    services.tables.webhooks.put(foreign_webhook("theirs", URL))

    assert set(ids(client, header)) == {first, default, other, "theirs"}
    assert set(ids(client, header, endpoint="default")) == {first, default, "theirs"}
    assert ids(client, header, endpoint="ep-other") == [other]
    assert ids(client, header, endpoint="ep-none") == []
    assert ids(client, header, status="delivered") == [first]
    assert set(ids(client, header, type="refund.*")) == {default, other}
    assert set(ids(client, header, type="payment.succeeded")) == {first, "theirs"}
    assert set(ids(client, header, type="refund.*", endpoint="default")) == {default}
    moment = "2026-11-23T12:00:30Z"
    assert set(ids(client, header, created_after=moment)) == {default, other}
    assert set(ids(client, header, created_before=moment)) == {first, "theirs"}
    # Theirs was stored as 13:30 with an offset of two hours.
    window = {"created_after": "2026-11-23T11:00:00Z", "created_before": "2026-11-23T12:00:00Z"}
    assert ids(client, header, **window) == ["theirs"]
    assert ids(client, header, created_after=format_instant(NOW), status="delivered") == [first]


def test_a_filter_that_matches_little_is_answered_in_short_pages(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    put_many(
        services,
        "Webhooks",
        [
            foreign_webhook(
                f"theirs-{n:04}",
                URL,
                createdAt=format_instant(NOW + timedelta(seconds=n)),
                status="expired" if n == 0 else "failed",
            )
            for n in range(1_100)
        ],
    )
    found = pages(client, header, status="expired")
    assert [[one["id"] for one in page] for page in found] == [[], ["theirs-0000"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("status=done", "status"),
        ("endpoint=a/b", "endpoint"),
        ("endpoint=", "endpoint"),
        ("type=payment*", "type"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-11-23", "created_before"),
        (
            "created_after=2026-11-23T12:00:00Z&created_before=2026-11-23T12:00:00Z",
            "created_before",
        ),
        ("cursor=x", "cursor"),
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_wrong_queries_are_refused(
    client: TestClient, header: dict[str, str], query: str, field: str
) -> None:
    answer = client.get(f"{PATH}?{query}", headers=header)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("edge", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_time_are_instants(
    client: TestClient, services: Services, header: dict[str, str], edge: str
) -> None:
    add_merchant(services, URL)
    publish(services)
    for name in ("created_after", "created_before"):
        answer = client.get(PATH, params={name: edge}, headers=header)
        assert answer.status_code == 200


def test_a_cursor_is_of_one_list_and_one_merchant(
    client: TestClient, services: Services, clock: ManualClock, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    for number in range(3):
        publish(services, number)
    cursor = client.get(f"{PATH}?limit=1", headers=header).json()["next_cursor"]
    theirs = bearer(token(clock, "merchant-2", "webhooks"))
    one = {"cursor": cursor, "limit": 1}
    assert client.get(PATH, params=one, headers=header).status_code == 200
    assert client.get(PATH, params=one, headers=theirs).status_code == 422
    assert client.get(PATH, params={**one, "status": "failed"}, headers=header).status_code == 422

    digest, start = json.loads(base64.urlsafe_b64decode(cursor))
    for forged in (
        {**start, "merchantID": "merchant-2"},
        {"id": start["id"]},
        {**start, "createdAt": 5},
        {**start, "createdAt": ""},
        {**start, "createdAt": "\ud800"},
        {**start, "createdAt": "x" * 1025},
    ):
        text = base64.urlsafe_b64encode(json.dumps([digest, forged]).encode()).decode()
        answer = client.get(PATH, params={"cursor": text}, headers=header)
        assert answer.status_code == 422, forged


def test_details_have_the_attempts_and_the_text_that_is_sent(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    key = publish(services)
    for number, (status, error) in enumerate([(503, ""), (0, "timeout")], 1):
        at = format_instant(NOW + timedelta(seconds=number))
        services.tables.attempts.put(
            {
                "webhookID": key,
                "at": f"{at}#{number}",
                "merchantID": "merchant-1",
                "endpointID": "default",
                "attempt": number,
                "durationMs": 15,
                "status": status,
                "errorClass": error,
                "excerpt": "busy" if status else "",
                "nextAttempt": format_instant(NOW + timedelta(seconds=10 * number)),
            }
        )
    found = client.get(f"{PATH}/{key}", headers=header).json()
    assert found["payload"] == event().payload()
    assert found["attempts"] == [
        {
            "at": "2026-11-23T12:00:01.000000Z",
            "number": 1,
            "duration_ms": 15,
            "response_status": 503,
            "error": None,
            "response_excerpt": "busy",
            "next_attempt_at": "2026-11-23T12:00:10.000000Z",
        },
        {
            "at": "2026-11-23T12:00:02.000000Z",
            "number": 2,
            "duration_ms": 15,
            "response_status": None,
            "error": "timeout",
            "response_excerpt": "",
            "next_attempt_at": "2026-11-23T12:00:20.000000Z",
        },
    ]
    assert found["more_attempts"] is False


def test_of_very_many_attempts_the_newest_are_shown(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    key = publish(services)
    put_many(
        services,
        "WebhookAttempts",
        [
            {
                "webhookID": key,
                "at": f"{format_instant(NOW + timedelta(seconds=number))}#{number}",
                "attempt": number,
            }
            for number in range(1, 131)
        ],
    )
    found = client.get(f"{PATH}/{key}", headers=header).json()
    assert [one["number"] for one in found["attempts"]] == list(range(31, 131))
    assert found["more_attempts"] is True


def test_a_payload_that_is_gone_is_none(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    key = publish(services)
    change(services, key, eventID="evt-gone")
    assert client.get(f"{PATH}/{key}", headers=header).json()["payload"] is None
    # An event of another merchant's is none of this one's.
    add_merchant(services, URL, "merchant-2")
    publish(services, 7, "merchant-2")
    change(services, key, eventID="evt-7")
    assert client.get(f"{PATH}/{key}", headers=header).json()["payload"] is None


def test_a_dead_letter_is_replayed(
    client: TestClient, services: Services, header: dict[str, str], runs: NotedRuns
) -> None:
    add_merchant(services, URL)
    (key,) = dead_letters(services, [1])
    answer = client.post(f"{PATH}/{key}/replay", headers=header)
    assert answer.status_code == 202
    assert answer.json() == {"webhook_id": key, "status": "pending"}
    assert services.webhook_queue.due(10) == [key]
    assert record(services, key)["replays"] == 1
    assert runs.wakes >= 1
    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.actor.via) == ("webhooks.webhook.replayed", "hook")
    again = client.post(f"{PATH}/{key}/replay", headers=header)
    assert again.status_code == 409
    assert "still in the queue" in again.json()["detail"]


def test_one_request_replays_a_webhook_once(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    add_merchant(services, URL)
    (key,) = dead_letters(services, [1])
    once = header | {"Idempotency-Key": "key-1"}
    first, again = (client.post(f"{PATH}/{key}/replay", headers=once) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert record(services, key)["replays"] == 1


ROUTES = [("GET", ""), ("GET", "/{id}"), ("POST", "/{id}/replay")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_permission_is_needed(
    client: TestClient, services: Services, clock: ManualClock, method: str, path: str
) -> None:
    add_merchant(services, URL)
    (key,) = dead_letters(services, [1])
    others = bearer(token(clock, "merchant-1", "payments", "events"))
    url = PATH + path.format(id=key)
    assert client.request(method, url, headers=others).status_code == 403
    assert client.request(method, url).status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES[1:])
def test_another_merchants_webhook_does_not_exist(
    client: TestClient, services: Services, clock: ManualClock, method: str, path: str
) -> None:
    add_merchant(services, URL)
    (key,) = dead_letters(services, [1])
    before = record(services, key)
    theirs = bearer(token(clock, "merchant-2", "webhooks"))
    for other in (key, "wh-none", "endpoint", "x" * 900, "\N{SNOWMAN}"):
        url = PATH + path.format(id=quote(other))
        assert client.request(method, url, headers=theirs).status_code == 404, other
    assert record(services, key) == before
    assert client.get(PATH, headers=theirs).json() == {"data": [], "next_cursor": None}

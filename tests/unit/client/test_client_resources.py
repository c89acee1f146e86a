from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from remit.api.event_bodies import MOST_EVENTS, MOST_PARTS
from remit.api.intake import BODY_BYTES
from remit.api.pages import MAX_LIMIT
from remit.client import RemitClient, SignatureInvalid
from remit.client.events import BATCH_BYTES, BATCH_EVENTS, BATCH_PARTS, batches
from remit.client.transport import PAGE
from tests.support.signatures import signed_headers
from tests.unit.client.scripts import HOOK, Script, Time, client_of, problem, reply

AT = datetime(2026, 11, 1, tzinfo=UTC)
AT_TEXT = "2026-11-01T00:00:00+00:00"

Call = Callable[[RemitClient], Any]

POSTS: Mapping[str, tuple[Call, str, Any]] = {
    "create an endpoint": (
        lambda c: c.endpoints.create("https://a.example", events=["export.*"], rate=None),
        "webhooks/endpoints",
        {"url": "https://a.example", "events": ["export.*"]},
    ),
    "disable an endpoint": (
        lambda c: c.endpoints.disable("ep-1", "maintenance"),
        "webhooks/endpoints/ep-1/disable",
        {"reason": "maintenance"},
    ),
    "enable an endpoint": (
        lambda c: c.endpoints.enable("ep-1"),
        "webhooks/endpoints/ep-1/enable",
        None,
    ),
    "rotate a secret": (
        lambda c: c.endpoints.rotate_secret("ep-1", overlap=timedelta(hours=1)),
        "webhooks/endpoints/ep-1/rotate-secret",
        {"overlap_seconds": 3600},
    ),
    "rotate to a secret of one's own": (
        lambda c: c.endpoints.rotate_secret("ep-1", overlap=timedelta(0), secret="s" * 32),
        "webhooks/endpoints/ep-1/rotate-secret",
        {"overlap_seconds": 0, "secret": "s" * 32},
    ),
    "test an endpoint": (
        lambda c: c.endpoints.test("ep-1"),
        "webhooks/endpoints/ep-1/test",
        None,
    ),
    "replay one": (
        lambda c: c.webhooks.replay("wh-1"),
        "webhooks/wh-1/replay",
        None,
    ),
    "replay many": (
        lambda c: c.webhooks.replay_many(AT, type=["payment.*"], status=["failed"], rate=5),
        "webhooks/replay",
        {"since": AT_TEXT, "type": ["payment.*"], "status": ["failed"], "rate": 5},
    ),
    "count a replay": (
        lambda c: c.webhooks.replay_many("2026-11-01T00:00:00Z", until=AT, dry_run=True),
        "webhooks/replay",
        {"since": "2026-11-01T00:00:00Z", "until": AT_TEXT, "dry_run": True},
    ),
    "publish": (
        lambda c: c.events.publish(
            "payment.succeeded", {"amount": 1999}, id="evt-1", created_at=AT
        ),
        "events",
        {
            "type": "payment.succeeded",
            "data": {"amount": 1999},
            "id": "evt-1",
            "created_at": AT_TEXT,
        },
    ),
    "create a schedule": (
        lambda c: c.schedules.create("daily", timezone="Asia/Kathmandu", columns=None),
        "schedules",
        {"cadence": "daily", "timezone": "Asia/Kathmandu"},
    ),
    "pause a schedule": (lambda c: c.schedules.pause("s-1"), "schedules/s-1/pause", None),
    "resume a schedule": (lambda c: c.schedules.resume("s-1"), "schedules/s-1/resume", None),
}

GETS: Mapping[str, tuple[Call, str]] = {
    "an endpoint": (lambda c: c.endpoints.get("ep-1"), "webhooks/endpoints/ep-1"),
    "a webhook": (lambda c: c.webhooks.get("wh-1"), "webhooks/wh-1"),
    "a replay": (lambda c: c.webhooks.replay_status("replay-1"), "webhooks/replays/replay-1"),
    "a schedule": (lambda c: c.schedules.get("s-1"), "schedules/s-1"),
}

LISTS: Mapping[str, tuple[Call, str]] = {
    "webhooks": (
        lambda c: c.webhooks.list(status="failed", created_before=AT),
        "webhooks?limit=100&status=failed&created_before=2026-11-01T00%3A00%3A00%2B00%3A00",
    ),
    "schedules": (lambda c: c.schedules.list(), "schedules?limit=100"),
    "the audit log": (
        lambda c: c.audit(action="exports.*", after="2026-11-01T00:00:00Z"),
        "audit?limit=100&action=exports.%2A&after=2026-11-01T00%3A00%3A00Z",
    ),
}


@pytest.mark.parametrize("what", POSTS)
def test_a_post_goes_to_its_route_with_a_key_and_answers_its_document(what: str) -> None:
    call, path, body = POSTS[what]
    script = Script(reply({"answer": 1}, 202))
    assert call(client_of(script)) == {"answer": 1}
    (asked,) = script.asked
    assert (asked.method, asked.url) == ("POST", f"{HOOK}/{path}")
    assert script.bodies() == [body]
    assert asked.headers["Idempotency-Key"]


@pytest.mark.parametrize("what", GETS)
def test_a_get_answers_the_document(what: str) -> None:
    call, path = GETS[what]
    script = Script(reply({"answer": 1}))
    assert call(client_of(script)) == {"answer": 1}
    assert (script.asked[0].method, script.asked[0].url) == ("GET", f"{HOOK}/{path}")


@pytest.mark.parametrize("what", LISTS)
def test_a_list_is_taken_page_by_page(what: str) -> None:
    call, path = LISTS[what]
    script = Script(
        reply({"data": [{"n": 1}], "next_cursor": "next"}),
        reply({"data": [{"n": 2}], "next_cursor": None}),
    )
    found = call(client_of(script))
    assert isinstance(found, Iterator)
    assert list(found) == [{"n": 1}, {"n": 2}]
    assert [one.url for one in script.asked] == [
        f"{HOOK}/{path}",
        f"{HOOK}/{path}&cursor=next",
    ]


def test_the_client_s_bounds_are_the_hook_s() -> None:
    assert PAGE == MAX_LIMIT
    assert BATCH_EVENTS == MOST_EVENTS
    assert BODY_BYTES["/events/batch"] == BATCH_BYTES
    assert BATCH_PARTS == MOST_PARTS


def test_endpoints_are_listed_at_once() -> None:
    script = Script(reply({"data": [{"id": "default"}]}))
    assert client_of(script).endpoints.list() == [{"id": "default"}]
    assert script.asked[0].url == f"{HOOK}/webhooks/endpoints"


@pytest.mark.parametrize("what", ["endpoints", "schedules"])
def test_a_change_sends_what_is_given_and_null_for_a_default(what: str) -> None:
    script = Script(problem(503), reply({"id": "x"}))
    assert getattr(client_of(script), what).change("x", rate=None, columns=("a", "b")) == {
        "id": "x"
    }
    assert script.bodies() == [{"rate": None, "columns": ["a", "b"]}] * 2
    assert {one.method for one in script.asked} == {"PATCH"}
    assert len({*script.header("Idempotency-Key")}) == 1


@pytest.mark.parametrize("what", ["endpoints", "schedules"])
def test_a_deletion_answers_nothing(what: str) -> None:
    script = Script(reply(None, 204))
    script.steps[0] = type(script.steps[0])(204)
    assert getattr(client_of(script), what).delete("x") is None
    assert script.asked[0].method == "DELETE"
    assert script.header("Idempotency-Key")[0]


def test_decimals_are_sent_as_they_are_and_floats_are_not_sent() -> None:
    script = Script(reply({}, 202))
    client = client_of(script)
    client.events.publish("a.b", {"rate": Decimal("1.10"), "at": AT})
    sent = script.asked[0].body
    assert isinstance(sent, bytes)
    assert b'"rate":1.10' in sent
    assert f'"at":"{AT_TEXT}"'.encode() in sent
    with pytest.raises(TypeError, match=r"data\.rate: 1\.1 is a float"):
        client.events.publish("a.b", {"rate": 1.1})


def test_many_events_are_published_in_few_requests() -> None:
    answers = [
        reply({"events": [{"event_id": f"e-{n}"} for n in range(start, start + count)]}, 202)
        for start, count in ((0, 500), (500, 500), (1000, 1))
    ]
    script = Script(*answers)
    events = ({"id": f"e-{number}", "type": "a.b", "data": {}} for number in range(1001))
    results = client_of(script).events.publish_many(events)
    assert [result["event_id"] for result in results] == [f"e-{n}" for n in range(1001)]
    assert [len(body["events"]) for body in script.bodies()] == [500, 500, 1]
    assert len({*script.header("Idempotency-Key")}) == 3


def test_a_batch_has_as_many_bytes_as_fit_and_no_more() -> None:
    events = [{"type": "a.b", "data": {"text": "x" * size}} for size in (0, 10, 100, 1, 300, 5)]
    for size in range(60, 500, 7):
        bodies = list(batches(events, size=size))
        found = [event for body in bodies for event in json.loads(body)["events"]]
        assert found == events
        assert all(len(body) <= size or len(json.loads(body)["events"]) == 1 for body in bodies)
    (all_of_them,) = batches(
        events, size=len(json.dumps({"events": events}, separators=(",", ":")))
    )
    assert json.loads(all_of_them) == {"events": events}


def test_a_batch_has_as_many_parts_as_may_be_and_no_more() -> None:
    events = [{"type": "a.b", "data": {"n": [0] * count}} for count in (1, 10, 100, 2, 300, 5)]
    for parts in range(10, 500, 7):
        bodies = list(batches(events, parts=parts))
        found = [event for body in bodies for event in json.loads(body)["events"]]
        assert found == events
        sizes = [sum(map(body.count, (b",", b"[", b"{"))) for body in bodies]
        alone = [len(json.loads(body)["events"]) == 1 for body in bodies]
        assert all(n <= parts or one for n, one in zip(sizes, alone, strict=True))
    (body,) = batches(events)
    exactly = sum(map(body.count, (b",", b"[", b"{")))
    assert [len(list(batches(events, parts=exactly - less))) for less in (0, 1)] == [1, 2]


def test_no_events_are_no_request() -> None:
    assert client_of(Script()).events.publish_many([]) == []


def test_a_webhook_is_verified_by_the_client_s_clock() -> None:
    time = Time()
    client, now = client_of(Script(), time), int(time.clock.now.timestamp())
    headers = signed_headers("wh-1", now, b"{}", "a secret")
    assert client.verify(headers, b"{}", ["another", "a secret"]) == "wh-1"
    with pytest.raises(SignatureInvalid):
        client.verify(headers, b"{ }", "a secret")
    time.clock.advance(301)
    with pytest.raises(SignatureInvalid, match="timestamp"):
        client.verify(headers, b"{}", "a secret")

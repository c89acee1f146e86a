from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.api.app import create_app
from remit.audit import AuditLog, Via
from remit.auth import Verifier
from remit.errors import StoreUnavailable
from remit.services import Services
from remit.webhooks.event import PAYLOAD_LIMIT
from remit.webhooks.outbox import Outbox
from tests.support.api import TOKENS, NotedRuns, bearer, token
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.standins import StandIns
from tests.support.webhooks import add_endpoint, add_merchant, with_settings

PATH = "/events"
BATCH = "/events/batch"
JSON = {"Content-Type": "application/json"}
URL = "http://127.0.0.1:9/hook"
EVENT = {"id": "evt-1", "type": "payment.succeeded", "data": {"amount": 1999}}


@pytest.fixture
def header(services: Services, clock: ManualClock) -> dict[str, str]:
    """Of a token that may publish, and the merchant has an endpoint."""
    add_merchant(services, URL)
    return bearer(token(clock, "merchant-1", "events"))


def stored(services: Services, event_id: str) -> dict[str, Any] | None:
    """An event's record."""
    return services.tables.events.get(event_id)


def everything(services: Services) -> list[Any]:
    """All events and webhooks."""
    client = services.tables.client
    return [
        item
        for name in ("Events", "Webhooks")
        for item in client.scan(TableName=services.tables.name_of(name))["Items"]
    ]


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    return {**EVENT, "id": f"evt-{number}", **changes}


def test_an_event_is_stored_and_on_its_way(
    client: TestClient, services: Services, header: dict[str, str], runs: NotedRuns
) -> None:
    answer = client.post(PATH, json=EVENT, headers=header)
    assert answer.status_code == 202
    (key,) = answer.json().pop("webhook_ids")
    assert answer.json() == {"event_id": "evt-1", "webhook_ids": [key], "duplicate": False}
    assert services.webhook_queue.due(10) == [key]
    record = stored(services, "evt-1") or {}
    assert record["merchantID"] == "merchant-1"
    assert record["payload"] == (
        '{"id":"evt-1","type":"payment.succeeded",'
        '"timestamp":"2026-11-23T12:00:00.000000Z","data":{"amount":1999}}'
    )
    assert runs.wakes == 1


def test_the_same_event_again_is_a_duplicate_and_another_a_conflict(
    client: TestClient, services: Services, header: dict[str, str], clock: ManualClock
) -> None:
    first = client.post(PATH, json=EVENT, headers=header).json()
    clock.advance(seconds=5)
    before = everything(services)
    again = client.post(PATH, json=EVENT, headers=header)
    assert again.status_code == 202
    assert again.json() == {**first, "duplicate": True}
    other = client.post(PATH, json={**EVENT, "data": {"amount": 5}}, headers=header)
    assert other.status_code == 409
    assert "'evt-1'" in other.json()["detail"]
    assert everything(services) == before


def test_an_id_and_a_time_of_its_own_are_kept(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    body = {**EVENT, "created_at": "2026-11-23T10:00:00.5+02:00"}
    client.post(PATH, json=body, headers=header)
    assert (stored(services, "evt-1") or {})["createdAt"] == "2026-11-23T08:00:00.500000Z"


def test_without_an_id_the_request_makes_it(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    body = {"type": "payment.succeeded", "data": {}}
    one, two = (client.post(PATH, json=body, headers=header).json() for _ in range(2))
    assert one["event_id"].startswith("evt-")
    assert one["event_id"] != two["event_id"]
    once = header | {"Idempotency-Key": "key-1"}
    first, again = (client.post(PATH, json=body, headers=once) for _ in range(2))
    assert first.json() == again.json()
    other = client.post(PATH, json={**body, "data": {"a": 1}}, headers=once)
    assert other.status_code == 422
    assert len([item for item in everything(services) if "payload" in item]) == 3


def test_numbers_stay_as_they_are_written(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    content = (
        b'{"id":"evt-1","type":"payment.succeeded","data":'
        b'{"rate":1.10,"sum":0.1,"big":123456789012345678901234567890,"e":1.5e3,"m":-0.0}}'
    )
    answer = client.post(PATH, content=content, headers=header | JSON)
    assert answer.status_code == 202, answer.text
    payload = (stored(services, "evt-1") or {})["payload"]
    assert payload.endswith(
        '"data":{"big":123456789012345678901234567890,"e":1500,"m":-0.0,"rate":1.10,"sum":0.1}}'
    )


def test_an_event_that_nobody_wants_is_not_stored(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    header = bearer(token(clock, "merchant-2", "events"))
    answer = client.post(PATH, json=EVENT, headers=header)
    assert answer.json() == {"event_id": "evt-1", "webhook_ids": [], "duplicate": False}
    assert everything(services) == []


WRONG: list[tuple[Any, list[str]]] = [
    ({}, ["type", "data"]),
    ({"type": "payment.succeeded"}, ["data"]),
    ({**EVENT, "id": ""}, ["id"]),
    ({**EVENT, "id": None}, ["id"]),
    ({**EVENT, "id": "a b"}, ["id"]),
    ({**EVENT, "id": "x" * 129}, ["id"]),
    ({**EVENT, "id": 5}, ["id"]),
    ({**EVENT, "type": "Payment"}, ["type"]),
    ({**EVENT, "type": None}, ["type"]),
    ({**EVENT, "type": "a." + "b" * 127}, ["type"]),
    ({**EVENT, "data": None}, ["data"]),
    ({**EVENT, "data": []}, ["data"]),
    ({**EVENT, "data": {"a": "\ud800"}}, ["data.a"]),
    ({**EVENT, "created_at": "yesterday"}, ["created_at"]),
    ({**EVENT, "created_at": "2026-11-23T12:00:00"}, ["created_at"]),
    ({**EVENT, "created_at": 5}, ["created_at"]),
    ({**EVENT, "merchant_id": "merchant-2"}, ["merchant_id"]),
    ({**EVENT, "type": "export.completed"}, ["type"]),
    ({**EVENT, "id": "evt-export-1-completed"}, ["id"]),
    ({**EVENT, "colour": 1, "id": "", "type": 5}, ["colour", "id", "type"]),
]


@pytest.mark.parametrize(("values", "fields"), WRONG, ids=lambda value: ascii(value)[:60])
def test_every_wrong_field_is_named_and_nothing_is_stored(
    client: TestClient,
    services: Services,
    header: dict[str, str],
    values: dict[str, Any],
    fields: list[str],
) -> None:
    answer = client.post(PATH, content=json.dumps(values), headers=header | JSON)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == fields

    good, batch = numbered(2), [numbered(3), values]
    batch = client.post(
        BATCH, content=json.dumps({"events": [good, *batch]}), headers=header | JSON
    )
    assert batch.status_code == 422
    named = [error["field"] for error in batch.json()["errors"]]
    assert named == [f"events[2].{field}" for field in fields]
    assert everything(services) == []


DATA = '{"id":"evt-1","type":"payment.succeeded","data":%s}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "5",
        "{",
        "nonsense",
        '{"type":"a.b","type":"a.b","data":{}}',
        DATA % '{"a":1,"a":1}',
        DATA % '{"a":NaN}',
        DATA % '{"a":-Infinity}',
        DATA % '{"a":1e999999999}',
        DATA % '{"a":1e99999999999999999999}',
        DATA % f'{{"a":{"9" * 500}}}',
        DATA % f'{{"a":{"9" * 5000}}}',
        DATA % f'{{"a":{"[" * 70}{"]" * 70}}}',
        DATA % f'{{"a":{"[" * 90_000}{"]" * 90_000}}}',
    ],
    ids=lambda content: content[:60],
)
def test_what_is_no_event_is_refused(
    client: TestClient, services: Services, header: dict[str, str], content: str
) -> None:
    answer = client.post(PATH, content=content, headers=header | JSON)
    assert answer.status_code == 422
    in_batch = f'{{"events":[{content}]}}'
    assert client.post(BATCH, content=in_batch, headers=header | JSON).status_code == 422
    assert everything(services) == []


def test_what_is_not_utf_8_is_refused(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    content = DATA.encode() % b'{"a":"\xff"}'
    assert client.post(PATH, content=content, headers=header | JSON).status_code == 422
    assert everything(services) == []


def of_size(size: int) -> dict[str, Any]:
    """An event whose payload has so many bytes."""
    head = (
        '{"id":"evt-1","type":"payment.succeeded",'
        '"timestamp":"2026-11-23T12:00:00.000000Z","data":{"note":""}}'
    )
    return {**EVENT, "data": {"note": "x" * (size - len(head))}}


def test_the_largest_payload_is_taken_and_a_byte_more_is_not(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    refused = client.post(PATH, json=of_size(PAYLOAD_LIMIT + 1), headers=header)
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["data"]
    assert everything(services) == []
    assert client.post(PATH, json=of_size(PAYLOAD_LIMIT), headers=header).status_code == 202
    assert len((stored(services, "evt-1") or {})["payload"]) == PAYLOAD_LIMIT


def test_a_batch_is_published_with_a_result_for_each(
    client: TestClient, services: Services, header: dict[str, str], runs: NotedRuns
) -> None:
    events = [numbered(number) for number in range(500)]
    answer = client.post(BATCH, json={"events": events}, headers=header)
    assert answer.status_code == 202
    told = answer.json()["events"]
    assert [one["event_id"] for one in told] == [one["id"] for one in events]
    assert {one["status"] for one in told} == {"accepted"}
    keys = [key for one in told for key in one["webhook_ids"]]
    assert len(set(keys)) == 500
    assert set(services.webhook_queue.due(1000)) == set(keys)
    assert runs.wakes == 1


def test_of_a_batch_conflicts_keep_nothing_else_from_being_published(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    client.post(PATH, json=numbered(1), headers=header)
    client.post(PATH, json=numbered(2), headers=header)
    events = [
        numbered(0),
        numbered(1),
        numbered(2, data={"amount": 5}),
        numbered(3),
        numbered(3),
        numbered(3, data={"amount": 7}),
        numbered(4),
    ]
    answer = client.post(BATCH, json={"events": events}, headers=header)
    assert answer.status_code == 202
    told = answer.json()["events"]
    assert [one["status"] for one in told] == [
        "accepted",
        "duplicate",
        "conflict",
        "accepted",
        "duplicate",
        "conflict",
        "accepted",
    ]
    assert told[3]["webhook_ids"] == told[4]["webhook_ids"]
    assert told[2]["webhook_ids"] == []
    assert "'evt-2' was published before, and is not this one" in told[2]["detail"]
    assert [bool(one["detail"]) for one in told] == [one["status"] == "conflict" for one in told]
    assert '"amount":1999' in (stored(services, "evt-3") or {})["payload"]


def test_a_batch_without_ids_has_its_own_and_one_request_publishes_it_once(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    events = [{"type": "payment.succeeded", "data": {"n": n}} for n in range(3)]
    once = header | {"Idempotency-Key": "key-1"}
    first, again = (client.post(BATCH, json={"events": events}, headers=once) for _ in range(2))
    assert first.json() == again.json()
    ids = [one["event_id"] for one in first.json()["events"]]
    assert len(set(ids)) == 3
    assert len(everything(services)) == 6


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, ["events"]),
        ({"events": None}, ["events"]),
        ({"events": {}}, ["events"]),
        ({"events": []}, ["events"]),
        ({"events": [EVENT] * 501}, ["events"]),
        ({"events": [5]}, ["events[0]"]),
        ({"events": [EVENT, None, "x"]}, ["events[1]", "events[2]"]),
        ({"events": [EVENT], "colour": 1}, ["colour"]),
        ({"events": [{"type": "x"}] * 500}, ["events[0].data"]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_batch_is_refused(
    client: TestClient,
    services: Services,
    header: dict[str, str],
    values: dict[str, Any],
    fields: list[str],
) -> None:
    answer = client.post(BATCH, json=values, headers=header)
    assert answer.status_code == 422
    named = [error["field"] for error in answer.json()["errors"]]
    assert named[: len(fields)] == fields
    assert len(named) <= 100
    assert everything(services) == []


def test_a_batch_of_four_megabytes_is_taken_and_no_more(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    note = "x" * 200_000
    events = [numbered(number, data={"note": note}) for number in range(20)]
    answer = client.post(BATCH, json={"events": events}, headers=header)
    assert answer.status_code == 202, answer.text[:200]
    more = [numbered(100 + number, data={"note": note}) for number in range(22)]
    assert client.post(BATCH, json={"events": more}, headers=header).status_code == 413
    assert stored(services, "evt-100") is None


@pytest.fixture
def full(services: Services, clock: ManualClock, runs: NotedRuns) -> Iterator[TestClient]:
    """Calls a hook whose merchants' queues have room for three webhooks."""
    small = with_settings(services, webhook_queue_limit=3)
    with TestClient(
        create_app(lambda: small, runs, Verifier(TOKENS, clock)), root_path="/remit"
    ) as client:
        yield client


def test_a_full_queue_is_told_with_when_to_come_again(
    full: TestClient, services: Services, header: dict[str, str]
) -> None:
    batch = [numbered(number) for number in range(4)]
    refused = full.post(BATCH, json={"events": batch}, headers=header)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert everything(services) == []
    for number in range(3):
        assert full.post(PATH, json=numbered(number), headers=header).status_code == 202
    assert full.post(PATH, json=numbered(3), headers=header).status_code == 429
    assert stored(services, "evt-3") is None


def test_what_is_refused_starts_no_delivery(
    full: TestClient, services: Services, header: dict[str, str], runs: NotedRuns
) -> None:
    wrong: list[Any] = [
        {},
        {"events": [{**EVENT, "id": ""}]},
        {"events": [numbered(number) for number in range(4)]},
    ]
    for body in wrong:
        assert full.post(BATCH, json=body, headers=header).status_code in {422, 429}
        assert full.post(PATH, json=body, headers=header).status_code == 422
    with_key = header | {"Idempotency-Key": "x" * 256}
    assert full.post(BATCH, json={"events": [EVENT]}, headers=with_key).status_code == 422
    assert runs.wakes == 0


def test_what_failed_may_be_stored_and_is_delivered(
    client: TestClient,
    services: Services,
    header: dict[str, str],
    runs: NotedRuns,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(self: Outbox, *_: Any, **__: Any) -> None:
        raise StoreUnavailable("could not write a transaction: no answer")

    monkeypatch.setattr(Outbox, "publish_each", lost)
    assert client.post(BATCH, json={"events": [EVENT]}, headers=header).status_code == 503
    assert runs.wakes == 1


def test_the_audit_log_has_who_published_an_event(
    client: TestClient, services: Services, header: dict[str, str]
) -> None:
    answer = client.post(PATH, json=EVENT, headers=header)
    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.target) == ("events.event.published", "evt-1")
    assert entry.details == {"type": "payment.succeeded"}
    assert (entry.actor.name, entry.actor.via) == ("merchant-1", Via.HOOK)
    assert entry.actor.request_id == answer.headers["x-request-id"]
    client.post(PATH, json=EVENT, headers=header)  # a duplicate
    client.post(PATH, json={**EVENT, "data": {}}, headers=header)  # in conflict
    client.post(PATH, json=numbered(2, type="Wrong"), headers=header)
    entries = entries_of(services, "merchant-1")
    assert [one for one in entries if one.action.startswith("events.")] == [entry]


def test_the_audit_log_has_one_entry_of_a_batch(
    full: TestClient, client: TestClient, services: Services, header: dict[str, str]
) -> None:
    events = [numbered(number) for number in range(30)]
    assert full.post(BATCH, json={"events": events}, headers=header).status_code == 429
    assert not any(one.action.startswith("events.") for one in entries_of(services, "merchant-1"))
    client.post(BATCH, json={"events": events}, headers=header)
    entries = entries_of(services, "merchant-1")
    (entry,) = [one for one in entries if one.action.startswith("events.")]
    assert entry.action == "events.batch.published"
    assert entry.target.startswith("batch-")
    assert entry.details == {"count": 30, "first": [f"evt-{number}" for number in range(10)]}
    assert entry.actor.via == Via.HOOK


def test_a_batch_that_cannot_be_told_of_is_not_published(
    client: TestClient,
    services: Services,
    header: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(self: AuditLog, *_: Any, **__: Any) -> None:
        raise StoreUnavailable("could not write an entry")

    monkeypatch.setattr(AuditLog, "write", lost)
    assert client.post(BATCH, json={"events": [EVENT]}, headers=header).status_code == 503
    assert everything(services) == []


def test_a_trigger_that_fails_fails_no_request(
    client: TestClient, services: Services, header: dict[str, str], runs: NotedRuns
) -> None:
    runs.down = True
    assert client.post(PATH, json=EVENT, headers=header).status_code == 202
    assert stored(services, "evt-1") is not None


def test_of_many_events_few_are_triggers(
    client: TestClient, services: Services, header: dict[str, str], runs: NotedRuns
) -> None:
    services.tables.merchants.put({"id": "merchant-1", "webhookURL": URL, "webhookSecret": "s"})
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: client.post(PATH, json=numbered(n), headers=header), range(40))
        )
    assert {answer.status_code for answer in answers} == {202}
    assert 1 <= runs.wakes <= 2 + int(time.monotonic() - started)


def test_the_permission_is_needed_and_nothing_else(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    add_merchant(services, URL)
    others = bearer(token(clock, "merchant-1", "payments", "webhooks"))
    for path, body in ((PATH, EVENT), (BATCH, {"events": [EVENT]}), (PATH, {})):
        assert client.post(path, json=body, headers=others).status_code == 403
        assert client.post(path, json=body).status_code == 401
    assert everything(services) == []


def test_events_are_of_the_tokens_merchant_alone(
    client: TestClient, services: Services, clock: ManualClock, header: dict[str, str]
) -> None:
    add_merchant(services, URL, "merchant-2")
    client.post(PATH, json=EVENT, headers=header)
    theirs = bearer(token(clock, "merchant-2", "events"))
    answer = client.post(PATH, json=EVENT, headers=theirs)
    assert answer.status_code == 409
    own = client.post(PATH, json={**EVENT, "data": {}}, headers=header)
    assert answer.json()["detail"] == own.json()["detail"]  # nothing of whose the id is
    batch = client.post(BATCH, json={"events": [EVENT]}, headers=theirs)
    assert batch.json()["events"][0]["detail"] == own.json()["detail"]
    assert (stored(services, "evt-1") or {})["merchantID"] == "merchant-1"


def test_a_single_event_asks_the_store_for_little(
    client: TestClient, services: Services, standins: StandIns, header: dict[str, str]
) -> None:
    add_endpoint(services, "ep-other")
    client.post(PATH, json=numbered(1), headers=header)
    standins.queries.seen.clear()
    client.post(PATH, json=numbered(2), headers=header)
    seen = [operation for operation, _ in standins.queries.seen if operation != "UpdateItem"]
    assert seen == ["GetItem", "Query", "TransactWriteItems"]

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remit.audit import Actor, AuditLog
from remit.clock import format_instant
from remit.errors import (
    Conflict,
    FieldError,
    InvalidRequest,
    NotFound,
    RemitError,
    StoreUnavailable,
)
from remit.services import Services
from remit.webhooks.endpoint import MAX_ENDPOINTS, Endpoint
from remit.webhooks.endpoints import EndpointStore, endpoints_of
from tests.support.clock import ManualClock
from tests.support.endpoints import (
    ACTOR,
    MERCHANT,
    SECRET,
    URL,
    WRONG,
    add_endpoint,
    entries,
    everything,
    store_on,
    stored,
)
from tests.support.webhooks import add_merchant

DAY = timedelta(days=1)
FULL = f"there are {MAX_ENDPOINTS} endpoints, the most that a merchant can have"
HEALTH = {
    "failingSince": "2026-11-20T00:00:00.000000Z",
    "breakerOpenUntil": "2026-11-23T12:05:00.000000Z",
    "breakerOpens": 3,
    "breakerProbeUntil": "2026-11-23T12:06:00.000000Z",
    "lastSuccessAt": "2026-11-19T00:00:00.000000Z",
    "secretsUsed": {"s1": "2026-11-19T00:00:00.000000Z"},
    "rateNext": 7,
}


def add_health(services: Services, endpoint_id: str) -> None:
    """What deliverers write into an endpoint's record."""
    services.tables.endpoints.update(
        (MERCHANT, endpoint_id), set=HEALTH, condition="attribute_not_exists(#rateNext)"
    )


class Meanwhile:
    """A store's vault or check that does something else first, as another process would."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._acts = [act]

    def __call__(self, *_: Any) -> None:
        while self._acts:
            self._acts.pop()()


def test_an_endpoint_is_created_with_all_its_fields_and_read_again(
    services: Services, store: EndpointStore
) -> None:
    created = store.create(
        MERCHANT,
        {
            "url": URL,
            "description": "Die Bücher",
            "events": ["payment.*", "export.completed", "payment.*"],
            "rate": 10,
            "concurrency": 2,
            "schedule": [5, 300],
        },
        actor=ACTOR,
    )
    endpoint = created.endpoint
    assert (endpoint.url, endpoint.description) == (URL, "Die Bücher")
    assert endpoint.events == ("payment.*", "export.completed")
    assert (endpoint.rate, endpoint.concurrency) == (10, 2)
    assert endpoint.schedule == (timedelta(seconds=5), timedelta(minutes=5))
    assert endpoint.created_at == endpoint.updated_at == services.clock()
    assert endpoint.enabled
    assert store.get(MERCHANT, endpoint.id) == endpoint
    assert list(store.list(MERCHANT)) == [endpoint] == endpoints_of(services.tables, MERCHANT)


def test_what_is_not_given_is_left_to_defaults(services: Services, store: EndpointStore) -> None:
    endpoint = add_endpoint(store, description="", rate=None, events=None)
    assert (endpoint.events, endpoint.description, endpoint.rate) == (("*",), "", None)
    assert not {"events", "description", "rate"} & stored(services, endpoint.id).keys()


def test_ids_and_secrets_are_made_by_what_is_given(services: Services) -> None:
    ids = iter(["one", "two"])
    store = store_on(services, new_id=lambda _: next(ids), new_secret=lambda: SECRET)
    created = store.create(MERCHANT, {"url": URL}, actor=ACTOR)
    assert (created.endpoint.id, created.endpoint.secrets[0].id) == ("ep-one", "two")
    assert created.secret == SECRET


def test_endpoints_are_listed_by_their_age_after_the_merchants_own(
    services: Services, store: EndpointStore, clock: ManualClock
) -> None:
    add_merchant(services, "https://own.example.com")
    ids = []
    for _ in range(3):
        ids.append(add_endpoint(store).id)
        clock.advance(1)
    assert [endpoint.id for endpoint in store.list(MERCHANT)] == ["default", *ids]
    assert list(store.list("merchant-2")) == []


def test_another_merchants_endpoint_is_not_there(store: EndpointStore) -> None:
    endpoint = add_endpoint(store)
    add_endpoint(store, "merchant-2")
    calls: list[Callable[[], object]] = [
        lambda: store.get("merchant-2", endpoint.id),
        lambda: store.change("merchant-2", endpoint.id, {"rate": 1}, actor=ACTOR),
        lambda: store.delete("merchant-2", endpoint.id, actor=ACTOR),
        lambda: store.rotate_secret("merchant-2", endpoint.id, actor=ACTOR),
        lambda: store.disable("merchant-2", endpoint.id, "why", actor=ACTOR),
        lambda: store.enable("merchant-2", endpoint.id, actor=ACTOR),
    ]
    for call in calls:
        with pytest.raises(NotFound, match="no endpoint"):
            call()
    assert store.get(MERCHANT, endpoint.id) == endpoint


@pytest.mark.parametrize("id_", ["", "#roster", "a b", "x" * 2000, "\ud800", "../etc"])
def test_what_is_no_endpoints_id_is_not_there(store: EndpointStore, id_: str) -> None:
    add_endpoint(store)
    with pytest.raises(NotFound):
        store.get(MERCHANT, id_)
    with pytest.raises(NotFound):
        store.delete(MERCHANT, id_, actor=ACTOR)


@pytest.mark.parametrize("merchant", ["", "x" * 3000, "a\nb"])
def test_what_is_no_merchants_id_is_refused(
    services: Services, store: EndpointStore, merchant: str
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: add_endpoint(store, merchant),
        lambda: store.list(merchant),
        lambda: store.get(merchant, "ep-1"),
        lambda: store.enable(merchant, "ep-1", actor=ACTOR),
    ]
    for call in calls:
        with pytest.raises(InvalidRequest, match="merchant: "):
            call()
    assert everything(services) == []


def test_a_change_sets_what_is_given_and_null_takes_it_back(
    services: Services, store: EndpointStore, clock: ManualClock
) -> None:
    before = add_endpoint(store, rate=5, events=["payment.*"], schedule=[60])
    clock.advance(60)
    values = {"rate": None, "concurrency": 3, "url": f"{URL}/2", "schedule": [7, 80]}
    after = store.change(MERCHANT, before.id, values, actor=ACTOR)
    assert after == store.get(MERCHANT, before.id)
    assert after == replace(
        before,
        rate=None,
        concurrency=3,
        url=f"{URL}/2",
        schedule=(timedelta(seconds=7), timedelta(seconds=80)),
        updated_at=clock(),
    )
    assert "rate" not in stored(services, before.id)


def test_a_change_that_changes_nothing_writes_nothing(
    services: Services, store: EndpointStore, clock: ManualClock
) -> None:
    endpoint = add_endpoint(store, rate=5)
    before = everything(services)
    clock.advance(60)
    same = {"rate": 5, "concurrency": None, "description": "", "url": URL}
    assert store.change(MERCHANT, endpoint.id, same, actor=ACTOR) == endpoint
    assert store.change(MERCHANT, endpoint.id, {}, actor=ACTOR) == endpoint
    assert everything(services) == before


def test_health_is_left_alone_by_changes_and_rotations(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store, rate=1)
    add_health(services, endpoint.id)
    store.change(MERCHANT, endpoint.id, {"rate": 9, "description": "books"}, actor=ACTOR)
    store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR)
    store.disable(MERCHANT, endpoint.id, "why", actor=ACTOR)
    assert HEALTH.items() <= stored(services, endpoint.id).items()


def test_changes_of_different_fields_at_once_are_all_there(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store)
    changes: list[Callable[[], object]] = [
        lambda: store.change(MERCHANT, endpoint.id, {"rate": 5}, actor=ACTOR),
        lambda: store.change(MERCHANT, endpoint.id, {"concurrency": 6}, actor=ACTOR),
        lambda: store.change(MERCHANT, endpoint.id, {"events": ["a.*"]}, actor=ACTOR),
        lambda: store.change(MERCHANT, endpoint.id, {"schedule": [90]}, actor=ACTOR),
        lambda: store.change(MERCHANT, endpoint.id, {"description": "d"}, actor=ACTOR),
        lambda: store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR),
        lambda: store.disable(MERCHANT, endpoint.id, "why", actor=ACTOR),
        lambda: add_health(services, endpoint.id),
    ]
    with ThreadPoolExecutor(len(changes)) as pool:
        list(pool.map(lambda change: change(), changes))
    after, record = store.get(MERCHANT, endpoint.id), stored(services, endpoint.id)
    assert (after.rate, after.concurrency, after.description) == (5, 6, "d")
    assert (after.events, after.schedule) == (("a.*",), (timedelta(seconds=90),))
    assert (len(after.secrets), after.disabled_reason) == (2, "why")
    assert HEALTH.items() <= record.items()
    assert len(entries(services)) == 8


def test_a_change_that_meets_another_of_the_same_field_tells_what_was_before_it(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store, rate=1)
    late = store_on(services)
    read = late._records.read
    meanwhile = Meanwhile(
        lambda: store.change(MERCHANT, endpoint.id, {"rate": 2}, actor=Actor("the other"))
    )

    def read_late(key: Any) -> Any:
        found = read(key)
        meanwhile()
        return found

    late._records.read = read_late  # type: ignore[method-assign]
    assert late.change(MERCHANT, endpoint.id, {"rate": 3}, actor=ACTOR).rate == 3
    rates = {e.actor.name: e.details["rate"] for e in entries(services, "changed")}
    assert rates == {"the other": {"old": 1, "new": 2}, ACTOR.name: {"old": 2, "new": 3}}


def test_what_others_change_without_end_is_an_outage(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store, rate=1)
    read, rates = store._records.read, iter(range(2, 100))

    def read_late(key: Any) -> Any:
        found = read(key)
        services.tables.endpoints.update(
            key, set={"rate": next(rates)}, condition="attribute_exists(#id)"
        )
        return found

    store._records.read = read_late  # type: ignore[method-assign]
    before = entries(services)
    with pytest.raises(StoreUnavailable, match="all the time"):
        store.change(MERCHANT, endpoint.id, {"rate": 3_000}, actor=ACTOR)
    assert entries(services) == before


def test_an_endpoint_that_is_deleted_meanwhile_does_not_come_back(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store)
    late = store_on(
        services,
        check_url=Meanwhile(lambda: store.delete(MERCHANT, endpoint.id, actor=ACTOR)),
    )
    with pytest.raises(NotFound):
        late.change(MERCHANT, endpoint.id, {"url": f"{URL}/2"}, actor=ACTOR)
    assert list(store.list(MERCHANT)) == []
    assert len(entries(services, "deleted")) == 1
    assert entries(services, "changed") == []


def test_a_deleted_endpoint_is_gone_with_its_secrets(
    services: Services, store: EndpointStore
) -> None:
    endpoint, other = add_endpoint(store), add_endpoint(store)
    store.delete(MERCHANT, endpoint.id, actor=ACTOR)
    assert services.tables.endpoints.get((MERCHANT, endpoint.id)) is None
    assert list(store.list(MERCHANT)) == [other]
    with pytest.raises(NotFound):
        store.delete(MERCHANT, endpoint.id, actor=ACTOR)


def test_an_endpoint_that_was_put_there_without_being_counted_can_be_deleted(
    services: Services, store: EndpointStore
) -> None:
    services.tables.endpoints.create({"merchantID": MERCHANT, "id": "ep-old", "url": URL})
    store.delete(MERCHANT, "ep-old", actor=ACTOR)
    assert list(store.list(MERCHANT)) == []
    assert add_endpoint(store).enabled


def test_however_many_are_created_at_once_none_is_too_many(
    services: Services, store: EndpointStore
) -> None:
    """60 by eight threads, with a deletion in between: 50 are there, and ten were refused."""
    first = add_endpoint(store)

    def create(_: int) -> str:
        try:
            return add_endpoint(store).id
        except Conflict as error:
            return str(error).partition(":")[0]

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(create, range(MAX_ENDPOINTS + 9)))
    assert ids.count(FULL) == 10
    assert len(store.list(MERCHANT)) == MAX_ENDPOINTS
    assert len(entries(services)) == MAX_ENDPOINTS

    store.delete(MERCHANT, first.id, actor=ACTOR)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(create, range(8)))
    assert ids.count(FULL) == 7
    assert add_endpoint(store, "merchant-2").enabled


def test_a_disabled_endpoint_says_why_and_stays_as_it_is(
    services: Services, store: EndpointStore, clock: ManualClock
) -> None:
    endpoint = add_endpoint(store)
    disabled = store.disable(MERCHANT, endpoint.id, "maintenance", actor=ACTOR)
    assert (disabled.enabled, disabled.disabled_reason) == (False, "maintenance")
    assert disabled.disabled_at == clock()
    clock.advance(60)
    assert store.disable(MERCHANT, endpoint.id, "again", actor=ACTOR) == disabled
    assert len(entries(services)) == 2


@pytest.mark.parametrize("reason", ["", "x" * 201, "two\nlines", None])
def test_a_reason_that_cannot_be_shown_is_refused(
    services: Services, store: EndpointStore, reason: Any
) -> None:
    endpoint = add_endpoint(store)
    with pytest.raises(InvalidRequest, match="reason: "):
        store.disable(MERCHANT, endpoint.id, reason, actor=ACTOR)
    assert store.get(MERCHANT, endpoint.id).enabled


def test_an_endpoint_with_another_url_begins_anew(services: Services, store: EndpointStore) -> None:
    endpoint = add_endpoint(store)
    add_health(services, endpoint.id)
    store.change(MERCHANT, endpoint.id, {"url": URL}, actor=ACTOR)
    assert stored(services, endpoint.id).items() >= HEALTH.items(), "it is the same URL"
    changed = store.change(MERCHANT, endpoint.id, {"url": f"{URL}/2"}, actor=ACTOR)
    assert changed.health.breaker_open_until is None
    assert changed.health.failing_since is None
    assert stored(services, endpoint.id).keys() & HEALTH.keys() == {
        "lastSuccessAt",
        "secretsUsed",
        "rateNext",
    }


def test_another_url_enables_nothing(services: Services, store: EndpointStore) -> None:
    endpoint = add_endpoint(store)
    add_health(services, endpoint.id)
    store.disable(MERCHANT, endpoint.id, "by hand", actor=ACTOR)
    changed = store.change(MERCHANT, endpoint.id, {"url": f"{URL}/2"}, actor=ACTOR)
    assert changed.disabled_reason == "by hand"
    assert stored(services, endpoint.id)["disabledReason"] == "by hand"


def test_an_enabled_endpoint_begins_anew(services: Services, store: EndpointStore) -> None:
    endpoint = add_endpoint(store)
    add_health(services, endpoint.id)
    store.disable(MERCHANT, endpoint.id, "why", actor=ACTOR)
    enabled = store.enable(MERCHANT, endpoint.id, actor=ACTOR)
    assert enabled.enabled
    assert enabled == store.get(MERCHANT, endpoint.id)
    assert HEALTH.keys() & stored(services, endpoint.id).keys() == {
        "lastSuccessAt",
        "secretsUsed",
        "rateNext",
    }
    before = everything(services)
    assert store.enable(MERCHANT, endpoint.id, actor=ACTOR) == enabled
    assert everything(services) == before


def test_to_enable_what_is_enabled_closes_its_breaker(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store)
    add_health(services, endpoint.id)
    assert store.enable(MERCHANT, endpoint.id, actor=ACTOR).health.breaker_open_until is None
    assert "breakerOpenUntil" not in stored(services, endpoint.id)


def test_health_is_read_with_the_endpoint(services: Services, store: EndpointStore) -> None:
    endpoint = add_endpoint(store)
    used = {"secretsUsed": {endpoint.secrets[0].id: "2026-11-19T00:00:00.000000Z"}}
    services.tables.endpoints.update(
        (MERCHANT, endpoint.id), set=HEALTH | used, condition="attribute_exists(#url)"
    )
    read = store.get(MERCHANT, endpoint.id)
    assert format_instant(read.health.failing_since or services.clock()) == HEALTH["failingSince"]
    assert read.secrets[0].last_used_at == read.health.last_success_at is not None


def default_of(services: Services, store: EndpointStore) -> Endpoint:
    """The default endpoint of a merchant with a URL of its own."""
    add_merchant(services, "https://own.example.com/hook")
    return store.get(MERCHANT, "default")


def test_the_default_endpoint_has_settings_and_can_be_disabled_and_enabled(
    services: Services, store: EndpointStore
) -> None:
    before = default_of(services, store)
    after = store.change(
        MERCHANT, "default", {"events": ["payment.*"], "rate": 3, "schedule": [60]}, actor=ACTOR
    )
    assert after == store.get(MERCHANT, "default")
    assert (after.url, after.secrets) == (before.url, before.secrets)
    assert (after.events, after.rate) == (("payment.*",), 3)
    assert not store.disable(MERCHANT, "default", "why", actor=ACTOR).enabled
    assert store.enable(MERCHANT, "default", actor=ACTOR).enabled
    assert store.get(MERCHANT, "default").rate == 3


def test_the_default_endpoint_can_be_disabled_before_it_has_a_record(
    services: Services, store: EndpointStore
) -> None:
    default_of(services, store)
    assert store.disable(MERCHANT, "default", "why", actor=ACTOR).disabled_reason == "why"
    assert endpoints_of(services.tables, MERCHANT)[0].disabled_reason == "why"


def test_the_default_endpoint_is_not_counted(services: Services, store: EndpointStore) -> None:
    default_of(services, store)
    store.change(MERCHANT, "default", {"rate": 3}, actor=ACTOR)
    for _ in range(MAX_ENDPOINTS):
        add_endpoint(store)
    assert len(store.list(MERCHANT)) == MAX_ENDPOINTS + 1


def test_what_is_the_platforms_own_of_the_default_endpoint_is_refused(
    services: Services, store: EndpointStore
) -> None:
    default_of(services, store)
    before = everything(services)
    with pytest.raises(Conflict, match="webhookURL"):
        store.delete(MERCHANT, "default", actor=ACTOR)
    with pytest.raises(Conflict, match="webhookSecret"):
        store.rotate_secret(MERCHANT, "default", actor=ACTOR)
    with pytest.raises(InvalidRequest, match=r"url: .*webhookURL"):
        store.change(MERCHANT, "default", {"url": URL}, actor=ACTOR)
    assert everything(services) == before


def test_a_merchant_without_a_url_has_no_default_endpoint(
    services: Services, store: EndpointStore
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.change(MERCHANT, "default", {"rate": 3}, actor=ACTOR),
        lambda: store.disable(MERCHANT, "default", "why", actor=ACTOR),
        lambda: store.rotate_secret(MERCHANT, "default", actor=ACTOR),
        lambda: store.delete(MERCHANT, "default", actor=ACTOR),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert everything(services) == []


def test_every_change_is_in_the_audit_log_with_who_and_what(
    services: Services, store: EndpointStore, clock: ManualClock
) -> None:
    id_ = add_endpoint(store, url="https://one.example.com/token/t0p?key=t0p", rate=5).id
    clock.advance(1)
    changed = {"url": "https://two.example.com:8443/t0p", "rate": None, "events": ["a.b"]}
    store.change(MERCHANT, id_, changed, actor=Actor("bob"))
    rotated = store.rotate_secret(MERCHANT, id_, actor=Actor("bob"), overlap=timedelta(hours=1))
    store.disable(MERCHANT, id_, "why", actor=Actor("eve"))
    store.enable(MERCHANT, id_, actor=Actor("eve"))
    store.delete(MERCHANT, id_, actor=Actor("eve"))

    found = {entry.action: entry for entry in entries(services)}
    assert {entry.target for entry in found.values()} == {id_}
    assert {name: entry.details for name, entry in found.items()} == {
        "webhooks.endpoint.created": {"url": "https://one.example.com/…", "rate": 5},
        "webhooks.endpoint.changed": {
            "url": {"old": "https://one.example.com/…", "new": "https://two.example.com:8443/…"},
            "rate": {"old": 5, "new": None},
            "events": {"old": None, "new": ["a.b"]},
        },
        "webhooks.endpoint.secret_rotated": {
            "overlapSeconds": 3600,
            "live": [secret.id for secret in rotated.endpoint.secrets],
        },
        "webhooks.endpoint.disabled": {"reason": "why"},
        "webhooks.endpoint.enabled": {"disabledReason": "why"},
        "webhooks.endpoint.deleted": {"url": "https://two.example.com:8443/…"},
    }
    assert found["webhooks.endpoint.created"].actor == ACTOR
    assert found["webhooks.endpoint.changed"].actor.name == "bob"
    assert found["webhooks.endpoint.deleted"].at == clock()


def test_a_change_that_cannot_be_audited_is_not_made(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store)
    taken = entries(services)[0].id.rpartition("#")[2]
    store._records._audit = AuditLog(services, suffix=lambda: taken)
    before = everything(services)
    calls: list[Callable[[], object]] = [
        lambda: add_endpoint(store),
        lambda: store.change(MERCHANT, endpoint.id, {"rate": 1}, actor=ACTOR),
        lambda: store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR),
        lambda: store.enable(MERCHANT, endpoint.id, actor=ACTOR),
        lambda: store.delete(MERCHANT, endpoint.id, actor=ACTOR),
    ]
    add_health(services, endpoint.id)
    before = everything(services)
    for call in calls:
        with pytest.raises(RemitError):
            call()
    assert everything(services) == before


class Refusing:
    """A check of addresses that lets nothing pass, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, url: str) -> None:
        self.asked.append(url)
        raise InvalidRequest(FieldError("url", "it leads to 10.0.0.1", "a public address"))


def test_an_address_that_is_refused_is_stored_nowhere(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store)
    before = everything(services)
    refusing = Refusing()
    strict = store_on(services, check_url=refusing)
    with pytest.raises(InvalidRequest) as refused:
        strict.create(MERCHANT, {"url": URL, "rate": 0}, actor=ACTOR)
    assert [error.field for error in refused.value.errors] == ["rate", "url"]
    with pytest.raises(InvalidRequest, match=r"10\.0\.0\.1"):
        strict.change(MERCHANT, endpoint.id, {"url": f"{URL}/2"}, actor=ACTOR)
    assert refusing.asked == [URL, f"{URL}/2"]
    assert strict.change(MERCHANT, endpoint.id, {"rate": 7}, actor=ACTOR).rate == 7
    store.change(MERCHANT, endpoint.id, {"rate": None}, actor=ACTOR)
    assert stored(services, endpoint.id)["url"] == URL
    assert len(before) == 3


def test_of_what_is_wrong_nothing_is_stored(services: Services, store: EndpointStore) -> None:
    endpoint = add_endpoint(store)
    before = everything(services)
    for values, fields in WRONG:
        with pytest.raises(InvalidRequest) as refused:
            store.create(MERCHANT, values, actor=ACTOR)
        assert [error.field for error in refused.value.errors] == fields
        if values:
            with pytest.raises(InvalidRequest):
                store.change(MERCHANT, endpoint.id, {"rate": 7, **values}, actor=ACTOR)
    assert everything(services) == before


def test_the_largest_endpoint_that_is_allowed_is_stored(store: EndpointStore) -> None:
    endpoint = add_endpoint(
        store,
        url="https://receiver.example.com/" + "x" * 2019,
        description="ü" * 500,
        events=[f"a{n}." + "x" * (126 - len(str(n))) for n in range(100)],
        schedule=[86_400] * 50,
        rate=10_000,
        concurrency=64,
    )
    for _ in range(4):
        store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR)
    assert len(store.get(MERCHANT, endpoint.id).events) == 100

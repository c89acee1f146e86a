from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from remit.errors import ConfigurationError, Conflict, InvalidRequest
from remit.services import Services
from remit.vault import Vault
from remit.webhooks.endpoints import EndpointStore
from tests.support.clock import ManualClock
from tests.support.endpoints import (
    ACTOR,
    MERCHANT,
    SECRET,
    URL,
    add_endpoint,
    entries,
    everything,
    store_on,
    stored,
    with_keys,
)
from tests.support.webhooks import add_merchant

DAY = timedelta(days=1)


def test_a_secret_is_made_shown_once_and_stored_sealed(
    services: Services, store: EndpointStore
) -> None:
    created = store.create(MERCHANT, {"url": URL}, actor=ACTOR)
    (secret,) = store.get(MERCHANT, created.endpoint.id).secrets
    assert created.secret.startswith("whsec_")
    assert secret.sealed.startswith("fernet:")
    assert services.vault.open(secret.sealed) == created.secret
    assert secret.created_at == services.clock()
    assert add_endpoint(store).secrets[0].id != secret.id


def test_a_merchant_may_bring_a_secret(services: Services, store: EndpointStore) -> None:
    created = store.create(MERCHANT, {"url": URL, "secret": SECRET}, actor=ACTOR)
    assert created.secret == SECRET
    assert services.vault.open(created.endpoint.secrets[0].sealed) == SECRET


def test_without_a_key_nothing_is_stored(services: Services) -> None:
    keyless = with_keys(services, "")
    with pytest.raises(ConfigurationError, match="REMIT_SECRET_KEYS"):
        add_endpoint(store_on(keyless))
    assert everything(services) == []


def test_rotations_at_once_lose_no_secret(services: Services, store: EndpointStore) -> None:
    endpoint = add_endpoint(store)

    def rotate(_: int) -> str:
        return store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR).secret

    with ThreadPoolExecutor(4) as pool:
        shown = set(pool.map(rotate, range(4)))
    after = store.get(MERCHANT, endpoint.id)
    assert shown < {services.vault.open(secret.sealed) for secret in after.secrets}
    assert [secret.expires_at is None for secret in after.secrets] == [False] * 4 + [True]


def test_a_rotation_keeps_the_old_secret_until_the_overlap_ends(
    services: Services, store: EndpointStore, clock: ManualClock
) -> None:
    endpoint = add_endpoint(store)
    clock.advance(60)
    rotated = store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR)
    old, new = rotated.endpoint.secrets
    assert rotated.endpoint == store.get(MERCHANT, endpoint.id)
    assert services.vault.open(new.sealed) == rotated.secret
    assert (old.id, old.expires_at) == (endpoint.secrets[0].id, clock() + DAY)
    assert (new.expires_at, new.created_at) == (None, clock())
    assert rotated.endpoint.live_secrets(clock() + timedelta(hours=23)) == (old, new)
    assert rotated.endpoint.live_secrets(clock() + DAY) == (new,)


def test_the_overlap_is_as_the_settings_say_unless_the_rotation_does(services: Services) -> None:
    hourly = with_keys(services, webhook_secret_overlap=timedelta(hours=1))
    store = store_on(hourly)
    endpoint = add_endpoint(store)
    by_setting = store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR).endpoint
    assert by_setting.secrets[0].expires_at == services.clock() + timedelta(hours=1)
    other = add_endpoint(store)
    longest = store.rotate_secret(MERCHANT, other.id, actor=ACTOR, overlap=7 * DAY).endpoint
    assert longest.secrets[0].expires_at == services.clock() + 7 * DAY


def test_without_an_overlap_only_the_new_secret_signs(
    services: Services, store: EndpointStore
) -> None:
    endpoint = add_endpoint(store)
    store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR)
    rotated = store.rotate_secret(
        MERCHANT, endpoint.id, actor=ACTOR, overlap=timedelta(), secret=SECRET
    )
    assert rotated.secret == SECRET
    (secret,) = store.get(MERCHANT, endpoint.id).secrets
    assert services.vault.open(secret.sealed) == SECRET


def test_a_sixth_live_secret_is_refused_until_one_has_ended(
    services: Services, store: EndpointStore, clock: ManualClock
) -> None:
    endpoint = add_endpoint(store)
    for _ in range(4):
        clock.advance(60)
        store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR)
    before = everything(services)
    with pytest.raises(Conflict, match=r"5 secrets .* 2026-11-24T12:01:00"):
        store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR)
    assert everything(services) == before

    clock.advance(DAY.total_seconds() - 180)  # the end of the first one
    rotated = store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR)
    assert len(rotated.endpoint.secrets) == 5
    assert len(stored(services, endpoint.id)["secrets"]) == 5


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"overlap": timedelta(days=7, seconds=1)}, ["overlap"]),
        ({"overlap": timedelta(seconds=-1)}, ["overlap"]),
        ({"secret": "whsec_c2hvcnQ="}, ["secret"]),
        ({"secret": ""}, ["secret"]),
        ({"secret": 5}, ["secret"]),
        ({"secret": "hunter2hunter2", "overlap": timedelta(days=8)}, ["overlap", "secret"]),
    ],
)
def test_a_wrong_rotation_is_refused_and_changes_nothing(
    services: Services, store: EndpointStore, given: dict[str, Any], fields: list[str]
) -> None:
    endpoint = add_endpoint(store)
    before = everything(services)
    with pytest.raises(InvalidRequest) as refused:
        store.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR, **given)
    assert [error.field for error in refused.value.errors] == fields
    assert "hunter2" not in repr(refused.value.errors)
    assert everything(services) == before


def test_no_secret_is_in_a_log_a_representation_or_a_record(
    services: Services, store: EndpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    add_merchant(services, URL)
    shown: list[object] = []
    created = store.create(MERCHANT, {"url": URL, "secret": SECRET}, actor=ACTOR)
    id_ = created.endpoint.id
    rotated = store.rotate_secret(MERCHANT, id_, actor=ACTOR)
    with pytest.raises(InvalidRequest) as refused:
        store.create(MERCHANT, {"url": URL, "secret": "hunter2-hunter2"}, actor=ACTOR)
    shown += [created, rotated, refused.value, refused.value.errors]
    shown += [store.change(MERCHANT, id_, {"rate": 3}, actor=ACTOR), store.list(MERCHANT)]
    shown += [store.disable(MERCHANT, id_, "why", actor=ACTOR)]
    shown += [store.enable(MERCHANT, id_, actor=ACTOR), store.get(MERCHANT, id_)]
    shown += [store._records.read((MERCHANT, id_)), services.settings]
    store.delete(MERCHANT, id_, actor=ACTOR)
    shown += [entries(services), everything(services)]

    told = caplog.text + repr(shown)
    assert "webhooks.endpoint.secret_rotated" in told
    for secret in (SECRET, rotated.secret, "hunter2", services.settings.secret_keys):
        assert secret not in told
        assert secret.removeprefix("whsec_") not in told
    sealed = [secret.sealed for secret in rotated.endpoint.secrets]
    assert not any(text in repr([*shown[:-1]]) for text in sealed)


def test_a_store_of_a_deployment_has_its_keys_and_its_rules(services: Services) -> None:
    store = EndpointStore.of(services)
    local = "http://127.0.0.1:9/hook"
    endpoint = store.create(MERCHANT, {"url": local}, actor=ACTOR).endpoint
    sealed = endpoint.secrets[0].sealed
    assert Vault.of(services.settings, services.aws).open(sealed).startswith("whsec_")
    public_only = EndpointStore.of(with_keys(services, webhook_networks=""))
    for url in (local, "https://127.0.0.1/hook", "https://[64:ff9b::7f00:1]/hook"):
        with pytest.raises(InvalidRequest, match="url: "):
            public_only.create(MERCHANT, {"url": url}, actor=ACTOR)
    assert public_only.list(MERCHANT) == [endpoint]

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from remit.errors import ConfigurationError, SecretUnreadable, StoreUnavailable
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.endpoints import EndpointStore
from remit.webhooks.resealing import reseal_secrets
from tests.support.endpoints import (
    ACTOR,
    KEY,
    MERCHANT,
    OTHER_KEY,
    SECRET,
    add_endpoint,
    entries,
    everything,
    store_on,
    stored,
    with_keys,
)


@pytest.fixture
def old(services: Services) -> EndpointStore:
    """A store that seals with the old key."""
    return store_on(with_keys(services, KEY))


@pytest.fixture
def services(services: Services) -> Services:
    """With a new key before the old one."""
    return with_keys(services, f"{OTHER_KEY},{KEY}")


def only_new(services: Services) -> Services:
    """Once the old key is taken away."""
    return with_keys(services, OTHER_KEY)


class Interfering:
    """A vault that does something after the first secret that it reseals."""

    def __init__(self, services: Services, act: Callable[[], object]) -> None:
        self._vault = services.vault
        self._acts = [act]

    def reseal(self, sealed: str) -> str | None:
        resealed = self._vault.reseal(sealed)
        while self._acts:
            self._acts.pop()()
        return resealed


def test_every_secret_is_sealed_with_the_first_key_and_opens_without_the_old_one(
    services: Services, old: EndpointStore
) -> None:
    one, two = add_endpoint(old, secret=SECRET), add_endpoint(old, "merchant-2")
    old.rotate_secret(MERCHANT, one.id, actor=ACTOR)
    before = stored(services, one.id)
    with pytest.raises(SecretUnreadable):
        only_new(services).vault.open(two.secrets[0].sealed)

    done = reseal_secrets(services, services.vault, Stop())
    assert (done.resealed, done.unchanged, done.unreadable, done.complete) == (2, 0, [], True)
    after = stored(services, one.id)
    opened = [only_new(services).vault.open(secret["sealed"]) for secret in after["secrets"]]
    assert opened[0] == SECRET
    assert opened == [services.vault.open(secret["sealed"]) for secret in before["secrets"]]
    for record in (before, after):
        for secret in record["secrets"]:
            del secret["sealed"]
    assert after == before
    assert len(entries(services)) == 2


def test_what_is_sealed_with_the_first_key_is_not_written_again(
    services: Services, old: EndpointStore
) -> None:
    add_endpoint(old)
    add_endpoint(store_on(services))
    assert reseal_secrets(services, services.vault, Stop()).resealed == 1
    before = everything(services)
    done = reseal_secrets(services, services.vault, Stop())
    assert (done.resealed, done.unchanged, done.complete) == (0, 2, True)
    assert everything(services) == before


def test_it_stops_when_asked_and_goes_on_where_it_was(
    services: Services, old: EndpointStore
) -> None:
    for _ in range(3):
        add_endpoint(old)
    stop = Stop()
    done = reseal_secrets(services, Interfering(services, stop.request), stop)
    assert (done.resealed, done.complete) == (1, False)
    done = reseal_secrets(services, services.vault, Stop())
    assert (done.resealed, done.unchanged, done.complete) == (2, 1, True)


def test_a_rotation_meanwhile_wins_and_its_secrets_are_resealed(
    services: Services, old: EndpointStore
) -> None:
    endpoint = add_endpoint(old)
    rotate = lambda: old.rotate_secret(MERCHANT, endpoint.id, actor=ACTOR, secret=SECRET)  # noqa: E731
    done = reseal_secrets(services, Interfering(services, rotate), Stop())
    assert (done.resealed, done.complete) == (1, True)
    first, second = stored(services, endpoint.id)["secrets"]
    assert (first["id"], "expiresAt" in first) == (endpoint.secrets[0].id, True)
    assert only_new(services).vault.open(second["sealed"]) == SECRET


def test_an_endpoint_that_is_deleted_meanwhile_does_not_come_back(
    services: Services, old: EndpointStore
) -> None:
    endpoint = add_endpoint(old)
    delete = lambda: old.delete(MERCHANT, endpoint.id, actor=ACTOR)  # noqa: E731
    done = reseal_secrets(services, Interfering(services, delete), Stop())
    assert (done.resealed, done.complete) == (0, True)
    assert services.tables.endpoints.get((MERCHANT, endpoint.id)) is None


def test_a_secret_whose_key_is_gone_keeps_no_other_from_being_resealed(
    services: Services, old: EndpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lost, fine = add_endpoint(old), add_endpoint(old)
    old.rotate_secret(MERCHANT, lost.id, actor=ACTOR)
    secrets = stored(services, lost.id)["secrets"]
    secrets[0]["sealed"] = "fernet:sealed with a key that nobody has"
    services.tables.endpoints.update(
        (MERCHANT, lost.id), set={"secrets": secrets}, condition="attribute_exists(#url)"
    )
    done = reseal_secrets(services, services.vault, Stop())
    assert (done.resealed, done.unreadable, done.complete) == (2, [(MERCHANT, lost.id)], True)
    unreadable, readable = stored(services, lost.id)["secrets"]
    assert unreadable == secrets[0]
    assert only_new(services).vault.open(readable["sealed"]).startswith("whsec_")
    assert only_new(services).vault.open(stored(services, fine.id)["secrets"][0]["sealed"])
    assert f"endpoint {lost.id} of {MERCHANT}, secret {secrets[0]['id']}: " in caplog.text


def test_what_others_change_without_end_is_an_outage(
    services: Services, old: EndpointStore
) -> None:
    endpoint = add_endpoint(old)

    class Racing:
        def reseal(self, sealed: str) -> str | None:
            resealed = services.vault.reseal(sealed)
            secrets = [{"id": "other", "sealed": old._vault.seal(SECRET)}]
            services.tables.endpoints.update(
                (MERCHANT, endpoint.id), set={"secrets": secrets}, condition="attribute_exists(#id)"
            )
            return resealed

    with pytest.raises(StoreUnavailable, match="all the time"):
        reseal_secrets(services, Racing(), Stop())


def test_without_a_key_nothing_is_changed(services: Services, old: EndpointStore) -> None:
    endpoint = add_endpoint(old)
    before = stored(services, endpoint.id)
    keyless = with_keys(services, "")
    done = reseal_secrets(keyless, keyless.vault, Stop())
    assert done.unreadable == [(MERCHANT, endpoint.id)]
    plain = [{"id": "1", "sealed": SECRET}]
    services.tables.endpoints.update(
        (MERCHANT, endpoint.id), set={"secrets": plain}, condition="attribute_exists(#url)"
    )
    with pytest.raises(ConfigurationError):
        reseal_secrets(keyless, keyless.vault, Stop())
    assert stored(services, endpoint.id) == {**before, "secrets": plain}

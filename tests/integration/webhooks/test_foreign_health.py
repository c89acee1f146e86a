"""Records of the platform's own service go to URLs of their own: what those answer says nothing
about the endpoint that the merchant has now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from remit.services import Services
from remit.stop import Stop
from remit.webhooks.delivery import deliver
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.webhooks import (
    Answer,
    Received,
    Receiver,
    add_merchant,
    publish,
    queued_webhook,
)

OPENS_AFTER = 5
"""Failures in a row after which a breaker opens."""


class Statuses(dict[str, int]):
    """What each path is answered with; 200 if nothing is said."""

    def __call__(self, received: Received, _: int) -> Answer:
        return Answer(self.get(received.path, 200))


@pytest.fixture
def statuses() -> Statuses:
    return Statuses()


@pytest.fixture
def receiver(statuses: Statuses) -> Iterator[Receiver]:
    with Receiver(statuses).running() as running:
        yield running


def one_try(services: Services) -> dict[str, int]:
    return deliver(services, Stop(), save=lambda _: None, last_try=True, rand=lambda: 0.0).counts


def endpoint(services: Services) -> dict[str, Any]:
    return services.tables.endpoints.get(("merchant-1", "default")) or {}


def add_foreign(services: Services, url: str, count: int) -> None:
    for number in range(count):
        services.tables.webhooks.put(queued_webhook(f"wh-{number}", url, services.clock()))


def test_a_foreign_url_that_is_gone_does_not_disable_the_endpoint(
    services: Services, receiver: Receiver, statuses: Statuses
) -> None:
    statuses["/old"] = 410
    add_merchant(services, receiver.url("/new"))
    add_foreign(services, receiver.url("/old"), 1)
    one_try(services)
    assert [one.path for one in receiver.received] == ["/old"]
    assert (services.tables.webhooks.get("wh-0") or {})["reasonCode"] == "gone"
    assert "disabledReason" not in endpoint(services)
    assert list(entries_of(services, "merchant-1")) == []
    key = publish(services)
    assert one_try(services) == {"delivered": 1}
    assert receiver.ids()[-1] == key


def test_failures_of_a_foreign_url_do_not_count_for_the_endpoint(
    services: Services, receiver: Receiver, statuses: Statuses
) -> None:
    statuses["/old"] = 500
    add_merchant(services, receiver.url("/new"))
    add_foreign(services, receiver.url("/old"), 2 * OPENS_AFTER)
    one_try(services)
    assert endpoint(services).keys().isdisjoint({"failingSince", "breakerOpenUntil"})
    publish(services)
    assert one_try(services)["delivered"] == 1


def test_a_foreign_url_is_neither_held_up_by_the_endpoints_breaker_nor_its_probe(
    services: Services, receiver: Receiver, statuses: Statuses, clock: ManualClock
) -> None:
    statuses["/new"] = 500
    add_merchant(services, receiver.url("/new"))
    for number in range(2 * OPENS_AFTER):
        publish(services, number)
    one_try(services)
    failed = endpoint(services)
    assert "breakerOpenUntil" in failed
    add_foreign(services, receiver.url("/old"), 1)
    assert one_try(services)["delivered"] == 1
    clock.advance(36)  # it would let a probe pass now
    statuses.clear()
    services.tables.webhooks.put(queued_webhook("wh-9", receiver.url("/old"), clock()))
    one_try(services)
    assert [one.id for one in receiver.received if one.path == "/old"] == ["wh-0", "wh-9"]
    assert "breakerOpenUntil" not in endpoint(services), "the probe was one of its own"


@pytest.mark.parametrize("status", [410, 500])
def test_a_foreign_record_for_the_endpoints_own_url_counts(
    services: Services, receiver: Receiver, statuses: Statuses, status: int
) -> None:
    statuses["/new"] = status
    add_merchant(services, receiver.url("/new"))
    add_foreign(services, receiver.url("/new"), OPENS_AFTER)
    one_try(services)
    wanted = {410: "disabledReason", 500: "breakerOpenUntil"}[status]
    assert wanted in endpoint(services)

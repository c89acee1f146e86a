from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from remit.clock import parse_instant
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.delivery import deliver
from tests.support.clock import ManualClock
from tests.support.webhooks import NOW, Receiver, add_merchant, publish


def one_try(services: Services) -> dict[str, int]:
    return deliver(services, Stop(), save=lambda _: None, last_try=True, rand=lambda: 0.0).counts


def due_in_seconds(services: Services, keys: set[str]) -> list[float]:
    records = [services.tables.webhooks.get(key) or {} for key in keys]
    waits = [parse_instant(record["dueAt"]) - NOW for record in records if "dueAt" in record]
    return sorted(wait / timedelta(seconds=1) for wait in waits)


def test_what_is_beyond_an_endpoints_rate_is_put_off_without_an_attempt(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url())
    services.tables.endpoints.put({"merchantID": "merchant-1", "id": "default", "rate": 2})
    keys = {publish(services, number) for number in range(8)}
    counts = one_try(services)
    # A second's worth at once, and two more within the second that follows.
    assert counts == {"delivered": 4, "deferred": 4}
    assert len(receiver.received) == 4
    assert all(wait > 1 for wait in due_in_seconds(services, keys))
    for _ in range(10):
        clock.advance(1)
        one_try(services)
    assert sorted(receiver.ids()) == sorted(keys)
    assert {(services.tables.webhooks.get(key) or {})["attempts"] for key in keys} == {1}


def test_a_merchants_rate_holds_over_its_endpoints_and_for_nobody_else(
    services: Services, receiver: Receiver
) -> None:
    limited = Services(
        replace(services.settings, webhook_merchant_rate=3), services.aws, services.clock
    )
    add_merchant(services, receiver.url())
    add_merchant(services, receiver.url("/other"), id="merchant-2")
    for number in range(10):
        publish(services, number)
    publish(services, 99, "merchant-2")
    # Three at once, and those a third and two thirds of a second later.
    assert one_try(limited) == {"delivered": 6, "deferred": 5}
    assert [received.path for received in receiver.received].count("/other") == 1

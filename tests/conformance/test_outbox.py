"""The outbox on the stand-in, which writes at once what comes at once, and measures items as
DynamoDB does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from remit.aws.transactions import transact
from remit.queue import DueQueue, queued
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.fanout import fan_out
from remit.webhooks.outbox import Outbox
from tests.support.webhooks import NOW, add_endpoint, add_merchant, event

URL = "https://example.com/hook"


def test_of_eight_publishers_of_one_event_one_creates_it(services_on_standins: Services) -> None:
    services = services_on_standins
    add_merchant(services, URL)
    add_endpoint(services, "second")
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            given = pool.map(lambda _, n=number: Outbox(services).publish(event(n)), range(8))
            results = list(given)
        assert [result.duplicate for result in results].count(False) == 1
        assert len({result.webhook_ids for result in results}) == 1
    assert len(services.webhook_queue.due(100)) == 40


def test_two_workers_make_the_webhooks_of_every_event_once(services_on_standins: Services) -> None:
    services = services_on_standins
    add_merchant(services, URL)
    outbox = Outbox(services)
    for number in range(100):
        transact(services.tables.client, [outbox.alone(event(number))])
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: fan_out(services, Stop(), 100), range(2)))
    assert sum(done) == 100
    assert len(services.webhook_queue.due(200)) == 100


def test_an_event_that_has_no_room_for_a_reason_leaves_the_queue(
    services_on_standins: Services,
) -> None:
    services = services_on_standins
    add_merchant(services, URL)
    stored = {"id": "evt-9", "merchantID": "merchant-1", "payload": "{}", **queued("evt-9", NOW)}
    taken = sum(len(name) + len(str(value)) for name, value in stored.items())
    services.tables.events.put(stored | {"more": "x" * (400 * 1024 - taken - len("more"))})
    transact(services.tables.client, [Outbox(services).alone(event())])
    assert fan_out(services, Stop(), 10) == 2
    left = services.tables.events.get("evt-9")
    assert left is not None
    assert left["reason"] == "it is too large"
    assert DueQueue(services.tables.events, services.clock).due(10) == []

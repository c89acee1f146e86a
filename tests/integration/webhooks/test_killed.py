from __future__ import annotations

import signal
import threading
from collections import Counter

import pytest

from tests.support.aws import empty_tables
from tests.support.deliverer import deliver_due, short_lease_services
from tests.support.process import worker
from tests.support.webhooks import Answer, Receiver, add_merchant, publish

COUNT = 4  # what is claimed at once for an endpoint that has not answered yet


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM], ids=lambda s: s.name)
def test_webhooks_of_a_deliverer_that_is_stopped_between_claim_and_outcome_are_delivered(
    aws_server: str, sent: signal.Signals
) -> None:
    """SIGKILL: by another deliverer, once the lease has ended. SIGTERM: at once."""
    empty_tables(aws_server)
    services = short_lease_services(aws_server)
    arrived, answer_now = threading.Event(), threading.Event()

    def hang(*_: object) -> Answer:
        arrived.set()
        answer_now.wait(10)
        return Answer()

    with Receiver(hang).running() as receiver:
        add_merchant(services, receiver.url())
        keys = {publish(services, number) for number in range(COUNT)}
        with worker("tests.support.deliverer", aws_server) as process:
            assert arrived.wait(20)
            held = [services.tables.webhooks.get(key) for key in keys]
            assert all(record and record["claim"] and record["attempts"] == 1 for record in held)
            assert services.webhook_queue.due(COUNT) == []
            process.send_signal(sent)
            assert process.wait(10) == (-signal.SIGKILL if sent is signal.SIGKILL else 0)
        answer_now.set()
        receiver.behaviour = lambda _, __: Answer()
        if sent is signal.SIGKILL:
            assert services.webhook_queue.due(COUNT) == []
            wait_for_the_lease(services, COUNT)
        assert deliver_due(services).counts == {"delivered": COUNT}
        # None is lost; twice came only what was in flight when the process went.
        times = Counter(receiver.ids())
        assert set(times) == keys
        assert max(times.values()) <= 2
    for key in keys:
        record = services.tables.webhooks.get(key)
        assert record is not None
        assert (record["status"], record["attempts"]) == ("delivered", 2)


def wait_for_the_lease(services, count: int) -> None:
    patience = threading.Event()
    for _ in range(100):
        if len(services.webhook_queue.due(count)) == count:
            return
        patience.wait(0.05)
    pytest.fail("the lease did not end")

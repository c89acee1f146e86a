"""An endpoint that refuses at once, and everything, keeps nobody else from being served."""

from __future__ import annotations

from dataclasses import replace

from remit.services import Services
from remit.stop import Stop
from remit.webhooks.delivery import deliver
from tests.support.clock import ManualClock
from tests.support.webhooks import Answer, Receiver, add_merchant, publish


def test_the_others_are_delivered_in_the_same_try(services: Services, clock: ManualClock) -> None:
    few = Services(replace(services.settings, webhook_chunk=40), services.aws, services.clock)
    with Receiver(
        lambda received, _: Answer(404 if received.path == "/refuses" else 200)
    ).running() as receiver:
        add_merchant(services, receiver.url("/refuses"))
        add_merchant(services, receiver.url("/fine"), id="merchant-2")
        for number in range(120):
            publish(services, number)
        clock.advance(1)  # those of the other are due last
        fine = {publish(services, number, "merchant-2") for number in range(1000, 1010)}
        report = deliver(few, Stop(), save=lambda _: None, last_try=False, rand=lambda: 0.0)
    assert report.counts["delivered"] == len(fine)
    assert {r.id for r in receiver.received if r.path == "/fine"} == fine
    assert report.counts["kept"] <= 16
    assert len(report.chunk.held) == report.counts["kept"]

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import accumulate
from typing import Any, NoReturn

import pytest

from remit.aws.wire import Wire
from remit.clock import format_instant, parse_instant
from remit.errors import StoreUnavailable
from remit.services import Services
from remit.stop import Stop
from remit.webhooks import delivery, verify
from remit.webhooks.chunk import Chunk
from remit.webhooks.delivery import Report, deliver
from remit.webhooks.moves import Move
from remit.webhooks.reader import Reader
from remit.webhooks.results import Result
from remit.webhooks.signing import Signer
from remit.webhooks.writer import Writer
from tests.support.clock import ManualClock
from tests.support.webhooks import (
    NOW,
    SECRET,
    Answer,
    Receiver,
    add_merchant,
    event,
    publish,
    queued_webhook,
)


def due(services: Services) -> list[str]:
    return services.webhook_queue.due(500)


def one_try(
    services: Services,
    chunk: Chunk | None = None,
    *,
    last_try: bool = False,
    stop: Stop | None = None,
    saved: list[Chunk] | None = None,
) -> Report:
    return deliver(
        services,
        stop or Stop(),
        chunk or Chunk(),
        save=(saved if saved is not None else []).append,
        last_try=last_try,
        rand=lambda: 0.0,
    )


def record(services: Services, key: str) -> dict:
    found = services.tables.webhooks.get(key)
    assert found is not None
    return found


def test_delivered_signed_and_recorded(
    services: Services, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "remit")
    add_merchant(services, receiver.url())
    key = publish(services)
    report = one_try(services)
    assert (report.counts, report.chunk) == ({"delivered": 1}, Chunk())
    (received,) = receiver.received
    assert verify(received.headers, received.body, SECRET, now=services.clock()) == key
    assert received.body == event().payload().encode()
    stored = record(services, key)
    assert {"claim", "dueShard", "dueAt", "nextRetry", "lastError"}.isdisjoint(stored)
    assert (stored["status"], stored["attempts"], stored["responseCode"]) == ("delivered", 1, 200)
    assert "waitingFor" not in stored
    assert stored["lastAttempt"] == format_instant(services.clock())
    assert f"webhook={key} event=payment.succeeded attempt=1 answer=200" in caplog.text
    assert "pay-1" not in caplog.text
    assert SECRET not in caplog.text


def test_a_failure_is_kept_and_delivered_by_the_next_try(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.behaviour = lambda _, times: Answer(500 if times == 1 else 200)
    add_merchant(services, receiver.url())
    key = publish(services)
    report = one_try(services)
    assert report.counts == {"kept": 1}
    stored = record(services, key)
    assert (stored["status"], stored["attempts"], stored["responseCode"]) == ("pending", 1, 500)
    assert stored["nextRetry"] == format_instant(NOW + timedelta(seconds=2))
    # Nobody else claims it meanwhile: the lease reaches beyond the next attempt.
    assert stored["dueAt"] == format_instant(NOW + timedelta(seconds=62))
    clock.advance(2)
    assert due(services) == []
    saved = Chunk.from_json(json.loads(json.dumps(report.chunk.to_json())))
    assert one_try(services, saved).counts == {"delivered": 1}
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 2
    stored = record(services, key)
    assert (stored["status"], stored["attempts"]) == ("delivered", 2)
    assert "nextRetry" not in stored


def test_five_failures_release_it_as_failed_to_be_found_by_polling(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.behaviour = lambda _, times: Answer(500 if times < 6 else 200)
    add_merchant(services, receiver.url())
    key = publish(services)
    chunk, waits = Chunk(), []
    for attempt in range(1, 5):
        chunk = one_try(services, chunk).chunk
        waits.append((chunk.held[0].next_attempt - clock()).total_seconds())
        assert (record(services, key)["status"], record(services, key)["attempts"]) == (
            "pending",
            attempt,
        )
        clock.advance(waits[-1])
    assert waits == [2, 4, 8, 16]
    report = one_try(services, chunk, last_try=True)
    assert (report.counts, report.chunk) == ({"released": 1}, Chunk())
    stored = record(services, key)
    assert (stored["status"], stored["attempts"]) == ("failed", 5)
    assert stored["dueAt"] == stored["nextRetry"] == format_instant(clock() + timedelta(minutes=1))
    assert "claim" not in stored
    assert due(services) == []
    clock.advance(60)
    assert one_try(services).counts == {"delivered": 1}
    assert record(services, key)["attempts"] == 6


def test_nothing_is_kept_on_the_last_try(services: Services, receiver: Receiver) -> None:
    receiver.behaviour = lambda _, __: Answer(500)
    add_merchant(services, receiver.url())
    key = publish(services)
    assert one_try(services, last_try=True).counts == {"released": 1}
    assert record(services, key)["dueAt"] == format_instant(NOW + timedelta(seconds=2))


def test_a_long_retry_after_is_released_and_not_waited_for(
    services: Services, receiver: Receiver
) -> None:
    receiver.behaviour = lambda _, __: Answer(429, headers={"Retry-After": "45"})
    add_merchant(services, receiver.url())
    key = publish(services)
    assert one_try(services).counts == {"released": 1}
    stored = record(services, key)
    assert (stored["status"], stored["dueAt"]) == (
        "pending",
        format_instant(NOW + timedelta(seconds=45)),
    )


def test_gone_is_set_aside_with_the_reason(services: Services, receiver: Receiver) -> None:
    receiver.behaviour = lambda _, __: Answer(410)
    add_merchant(services, receiver.url())
    key = publish(services)
    assert one_try(services).counts == {"set_aside": 1}
    stored = record(services, key)
    assert (stored["status"], stored["responseCode"]) == ("failed", 410)
    assert "410" in stored["reason"]
    assert "dueAt" not in stored


def test_expired_without_an_attempt(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    clock.advance(86_400)
    assert one_try(services).counts == {"expired": 1}
    stored = record(services, key)
    assert (stored["status"], stored["attempts"]) == ("expired", 0)
    assert stored["reason"] == "not delivered in 0 attempts"
    assert "dueAt" not in stored
    # The dead letter can be looked at for a week more.
    assert stored["expiresAt"] == int(clock().timestamp()) + 7 * 86_400
    assert receiver.received == []


def test_expired_when_no_further_attempt_fits(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.behaviour = lambda _, __: Answer(500)
    add_merchant(services, receiver.url())
    key = publish(services)
    clock.advance(86_399)
    assert one_try(services).counts == {"expired": 1}
    stored = record(services, key)
    assert (stored["status"], stored["attempts"], stored["responseCode"]) == ("expired", 1, 500)


@pytest.mark.parametrize(
    "poison",
    [
        {"url": None},
        {"payload": None},
        {"payload": None, "eventID": "evt-unknown"},
        {"merchantID": "unknown"},
        {"merchantID": "keyless"},
        {"attempts": "many"},
        {"status": "odd"},
        {"url": "ftp://127.0.0.1/"},
        {"eventType": "a\nb"},
    ],
    ids=str,
)
def test_a_poison_record_is_set_aside_and_blocks_nothing(
    services: Services, receiver: Receiver, poison: dict
) -> None:
    add_merchant(services, receiver.url())
    add_merchant(services, receiver.url(), id="keyless", webhookSecret=None)
    early = NOW - timedelta(hours=1)
    services.tables.webhooks.put(queued_webhook("poison", receiver.url(), early, **poison))
    key = publish(services)
    assert one_try(services).counts == {"delivered": 1, "set_aside": 1}
    assert receiver.ids() == [key]
    stored = record(services, "poison")
    assert stored["status"] == "failed"
    assert stored["reason"]
    assert {"dueShard", "dueAt", "claim"}.isdisjoint(stored)
    assert due(services) == []


def test_plain_http_is_set_aside_where_it_is_not_allowed(
    services: Services, receiver: Receiver
) -> None:
    strict = Services(replace(services.settings, webhook_networks=""), services.aws, services.clock)
    add_merchant(services, receiver.url())
    key = publish(services)
    assert one_try(strict).counts == {"set_aside": 1}
    assert "scheme" in record(services, key)["reason"]


def test_what_another_service_delivered_leaves_the_queue_as_it_is(
    services: Services, receiver: Receiver
) -> None:
    add_merchant(services, receiver.url())
    services.tables.webhooks.put(
        queued_webhook("wh-1", receiver.url(), status="delivered", attempts=1)
    )
    assert one_try(services).counts == {"lost": 1}
    stored = record(services, "wh-1")
    assert (stored["status"], stored["attempts"]) == ("delivered", 1)
    assert "dueAt" not in stored
    assert receiver.received == []


def test_a_record_with_its_payload_inside_is_delivered_as_it_is(
    services: Services, receiver: Receiver
) -> None:
    add_merchant(services, receiver.url())
    services.tables.webhooks.put(queued_webhook("wh-1", receiver.url(), payload='{"b": 1, "a": 2}'))
    assert one_try(services).counts == {"delivered": 1}
    assert receiver.received[0].body == b'{"b": 1, "a": 2}'


def test_two_deliverers_at_once_deliver_each_webhook_once(
    services: Services, receiver: Receiver
) -> None:
    add_merchant(services, receiver.url())
    keys = {publish(services, number) for number in range(60)}
    reports: list[Report] = []
    threads = [threading.Thread(target=lambda: reports.append(one_try(services))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(receiver.ids()) == Counter(keys)
    counts = sum((Counter(report.counts) for report in reports), Counter())
    assert counts["delivered"] == 60
    assert counts.keys() <= {"delivered", "lost"}


def test_an_outcome_after_the_claim_was_lost_changes_nothing(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)

    def steal(*_: object) -> Answer:
        clock.advance(61)
        assert services.webhook_queue.claim(key, timedelta(seconds=60)) is not None
        return Answer(500)

    receiver.behaviour = steal
    assert one_try(services).counts == {"lost": 1}
    stored = record(services, key)
    assert "responseCode" not in stored
    assert stored["claim"]


def test_a_chunk_that_is_older_than_the_last_outcome_attempts_nothing_early(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.behaviour = lambda _, __: Answer(503, headers={"Retry-After": "10"})
    add_merchant(services, receiver.url())
    key = publish(services)
    (held,) = one_try(services).chunk.held
    clock.advance(3)
    older = Chunk((replace(held, next_attempt=NOW),))
    assert one_try(services, older).counts == {"lost": 1}
    assert len(receiver.received) == 1
    assert parse_instant(record(services, key)["dueAt"]) > clock()


def _out_of_reach(*_: object, **__: object) -> NoReturn:
    raise StoreUnavailable("out of reach")


def test_without_the_events_nothing_is_claimed(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    monkeypatch.setattr(Reader, "events", _out_of_reach)
    assert one_try(services).counts == {}
    assert (record(services, key)["attempts"], receiver.received) == (0, [])
    assert due(services) == [key]


def test_what_cannot_be_claimed_or_recorded_comes_due_again(
    services: Services, receiver: Receiver, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    transact = Wire.transact

    async def without_outcomes(
        wire: Wire, actions: Sequence[Mapping[str, Any]], patience: float
    ) -> Any:
        if any("Put" in action for action in actions):
            _out_of_reach()
        return await transact(wire, actions, patience)

    with monkeypatch.context() as outage:
        outage.setattr(Wire, "transact", _out_of_reach)
        assert one_try(services).counts == {"unrecorded": 1}
    assert receiver.received == []
    with monkeypatch.context() as outage:
        outage.setattr(Wire, "transact", without_outcomes)
        assert one_try(services).counts == {"unrecorded": 1}
    clock.advance(60)
    assert one_try(services).counts == {"delivered": 1}
    assert receiver.ids() == [key, key]


def test_what_is_peculiar_about_one_webhook_stays_its_own_failure(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, receiver.url())
    odd, fine = publish(services, 1), publish(services, 2)
    sign = Signer.headers

    def headers(signer: Signer, webhook_id: str, *arguments: Any) -> dict[str, str]:
        if webhook_id == odd:
            raise RuntimeError("peculiar")
        return sign(signer, webhook_id, *arguments)

    monkeypatch.setattr(Signer, "headers", headers)
    assert one_try(services).counts == {"delivered": 1, "kept": 1}
    assert receiver.ids() == [fine]
    assert record(services, odd)["lastError"] == "internal"


def test_nothing_is_claimed_while_the_bodies_of_what_is_open_take_too_much(
    services: Services, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_BYTES", 1)
    monkeypatch.setattr(delivery, "_BATCH", 3)
    add_merchant(services, receiver.url())
    keys = {publish(services, number) for number in range(10)}
    claims: list[int] = []
    write = Writer.write

    async def noted(writer: Writer, moves: Sequence[Move], *patience: float) -> list[Result]:
        claims.append(len({move.key for move in moves if move.result is Result.CLAIMED}))
        claims.append(-len({move.key for move in moves if move.result is Result.DELIVERED}))
        return await write(writer, moves, *patience)

    monkeypatch.setattr(Writer, "write", noted)
    assert one_try(services).counts == {"delivered": 10}
    assert set(receiver.ids()) == keys
    assert max(accumulate(claims)) <= 3


def test_a_stop_finishes_what_is_in_flight_and_releases_the_rest(
    services: Services, receiver: Receiver
) -> None:
    add_merchant(services, receiver.url())
    keys = {publish(services, number) for number in range(30)}
    stop, in_flight = Stop(timedelta(seconds=10)), threading.Event()

    def answer(*_: object) -> Answer:
        if len(receiver.received) > 10:  # by now more is claimed than is sent at once
            stop.request()
            in_flight.wait(0.3)
        return Answer()

    receiver.behaviour = answer
    report = one_try(services, stop=stop)
    delivered = set(receiver.ids())
    assert 11 <= len(delivered) <= 10 + 8  # the places of one endpoint
    assert report.chunk == Chunk()
    assert report.counts["delivered"] == len(delivered)
    assert report.counts.keys() <= {"delivered", "put_back"}
    for key in keys - delivered:
        stored = record(services, key)
        assert (stored["status"], stored["attempts"]) == ("pending", 0)
        assert "claim" not in stored
    receiver.behaviour = lambda _, __: Answer()
    assert one_try(services).counts == {"delivered": 30 - len(delivered)}
    assert Counter(receiver.ids()) == Counter(keys)


def test_a_stop_cancels_what_outlasts_the_grace_period(
    services: Services, receiver: Receiver
) -> None:
    add_merchant(services, receiver.url())
    key = publish(services)
    stop, done = Stop(timedelta(seconds=0.1)), threading.Event()

    def hang(*_: object) -> Answer:
        stop.request()
        done.wait(5)
        return Answer()

    receiver.behaviour = hang
    report = one_try(services, stop=stop)
    done.set()
    assert report.counts == {"put_back": 1}
    stored = record(services, key)
    # The request may have arrived, so it counts.
    assert (stored["status"], stored["attempts"]) == ("pending", 1)
    assert due(services) == [key]
    (attempt,) = services.tables.attempts.query("#webhookID = :key", {"key": key})
    assert (attempt["attempt"], attempt["errorClass"]) == (1, "broken_off")
    assert attempt["nextAttempt"] == stored["dueAt"]


def test_a_stop_releases_what_waits_for_its_next_attempt(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    receiver.behaviour = lambda _, __: Answer(500)
    add_merchant(services, receiver.url())
    key = publish(services)
    chunk = one_try(services).chunk
    stop = Stop(timedelta(seconds=10))
    threading.Timer(0.1, stop.request).start()
    assert one_try(services, chunk, stop=stop).counts == {"put_back": 1}
    stored = record(services, key)
    assert (stored["attempts"], stored["dueAt"]) == (1, stored["nextRetry"])
    assert len(receiver.received) == 1


def test_an_attempt_does_not_start_when_its_lease_could_end_first(
    services: Services, receiver: Receiver, clock: ManualClock
) -> None:
    add_merchant(services, receiver.url(), id="merchant-1")
    services.tables.endpoints.put({"merchantID": "merchant-1", "id": "default", "concurrency": 1})
    keys = {publish(services, number) for number in range(4)}

    def slow(*_: object) -> Answer:
        clock.now = NOW + timedelta(seconds=50)  # with three more claimed behind it
        return Answer()

    receiver.behaviour = slow
    assert one_try(services).counts == {"delivered": 1, "put_back": 3}
    assert one_try(services).counts == {"delivered": 3}
    assert Counter(receiver.ids()) == Counter(keys)
    assert all(record(services, key)["attempts"] == 1 for key in keys)

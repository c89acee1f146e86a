"""The outbox: an event and one record per endpoint that wants it, written in one transaction.

| a producer that ...                                   | calls                                  |
|-------------------------------------------------------|----------------------------------------|
| changes something of its own in the same transaction  | `Outbox.items_for`, or `Outbox.alone`  |
| has nothing else to write                             | `Outbox.publish`, `publish_many`       |
| wants to know of each event what became of it         | `Outbox.publish_each`                  |
| is Remit itself, and must not fail for a full queue   | `actions_for`                          |

The payload is stored once, in `Events`. It is never copied into the records, however small it is:
every later write of a record (a claim, an outcome) would bill it again. 1 KB of payload would make
each of those writes cost twice as much.

What an endpoint that is disabled would have received is kept as a record out of the queue, to be
replayed later. An event that no endpoint wants is not stored at all.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from remit.aws.transactions import TransactionCanceled, transact
from remit.clock import format_instant
from remit.errors import Conflict
from remit.services import Services
from remit.webhooks.drafts import Action, Draft, batches, draft_of, event_record, taken
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import Event
from remit.webhooks.record import waiting
from remit.webhooks.waiting import WaitingGauge

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What became of an event: the webhooks that it has, those of disabled endpoints among them.

    `duplicate`: it had been published before, and this call changed nothing.
    """

    webhook_ids: tuple[str, ...]
    duplicate: bool = False


class Outbox:
    """Where events are put. One per process, as `Services` are: it remembers how long queues are.

    Every method raises `QueueFull` before anything is written if a merchant's queue has no room for
    the webhooks, and `StoreUnavailable` if that could not be found out.
    """

    def __init__(self, services: Services, gauge: WaitingGauge | None = None) -> None:
        self._services = services
        self._client = services.tables.client
        self._gauge = gauge or WaitingGauge(services)

    def items_for(self, event: Event) -> list[Action]:
        """The actions for a producer's own `TransactWriteItems`; see `actions_for`.

        Raises:
            QueueFull: the merchant's queue has no room for them.
            Conflict: the merchant has more endpoints than a transaction can serve.
        """
        return self._taken_in(draft_of(event, self._endpoints(event.merchant_id), self._services))

    def items_to(self, event: Event, endpoint: Endpoint) -> list[Action]:
        """The actions that publish an event to one endpoint alone, whatever its filter.

        Raises:
            QueueFull: the merchant's queue has no room for it.
        """
        return self._taken_in(draft_of(event, [replace(endpoint, events=("*",))], self._services))

    def _taken_in(self, draft: Draft) -> list[Action]:
        self._gauge.check(draft.event.merchant_id, draft.waiting)
        self._gauge.added(draft.event.merchant_id, draft.waiting)
        return draft.actions

    def alone(self, event: Event) -> Action:
        """The one action that stores an event and leaves its records to `fanout`.

        It reads no endpoint, and leaves a producer's transaction 99 actions. The price: delivery
        begins a poll later, and the payload is billed again when the event leaves the queue (256
        KB: 512 write units to store it, and then 512 more). Until then it counts as one webhook
        that waits; the lifetime of its webhooks begins now.

        Raises:
            QueueFull: the merchant's queue has no room.
        """
        self._gauge.check(event.merchant_id, 1)
        self._gauge.added(event.merchant_id, 1)
        now = self._services.clock()
        stored = {
            **event_record(event, now, self._services.settings),
            "publishedAt": format_instant(now),
            **waiting(event.id, event.merchant_id, now),
        }
        return {"Put": self._services.tables.events.create_action(stored)}

    def publish(self, event: Event, also: Sequence[Action] = ()) -> Published:
        """Publish one event to its merchant's endpoints; see `publish_many`. `also` are at most 49
        actions for the same transaction: of an event that no endpoint wants, and of a duplicate,
        they are not done.

        Raises:
            Conflict: its id was published before with another merchant, type or data, or the
                merchant has more endpoints than a transaction can serve. Nothing was written.
        """
        (result,) = self._publish(self._drafts([event]), also)
        if isinstance(result, Conflict):
            raise result
        return result

    def publish_many(self, events: Iterable[Event]) -> list[Published]:
        """Publish events, as many per transaction as fit into one. The results are in their order.

        An event whose id is taken is a duplicate and keeps none of the others from being written.
        If the call fails halfway, it can be repeated: what was written by then is a duplicate.

        Raises:
            QueueFull: a merchant's queue has no room for its webhooks; nothing was written.
            Conflict: an id is there twice, for two events, or a merchant has more endpoints than a
                transaction can serve; nothing was written. Or ids were published before with
                another merchant, type or data: of these events nothing was written, and the rest
                was.
            StoreUnavailable: not everything was written.
        """
        drafts = self._drafts(events)
        _check_ids(drafts)
        results = self._publish(drafts)
        if conflicts := [str(one) for one in results if isinstance(one, Conflict)]:
            raise Conflict("; ".join(conflicts))
        return [one for one in results if isinstance(one, Published)]

    def publish_each(
        self, events: Iterable[Event], first: Callable[[], None] | None = None
    ) -> list[Published | Conflict]:
        """Publish events as `publish_many` does, and say of each what became of it. One whose id
        was given to another event before, among these too, is a `Conflict`. `first` is called
        before anything is written, if anything is to be; if it fails, nothing was.

        Raises:
            QueueFull: a merchant's queue has no room for its webhooks; nothing was written.
            Conflict: a merchant has more endpoints than a transaction can serve; nothing was
                written.
            StoreUnavailable: not everything was written.
        """
        return self._publish(self._drafts(events), first=first)

    def _publish(
        self,
        drafts: Sequence[Draft],
        also: Sequence[Action] = (),
        first: Callable[[], None] | None = None,
    ) -> list[Published | Conflict]:
        self._check(drafts)
        if first is not None and any(draft.actions for draft in drafts):
            first()
        results: dict[int, Published | Conflict] = {}
        for batch in batches(drafts):
            results |= self._write(batch, also)
        return [results.get(draft.number, Published(())) for draft in drafts]

    def _drafts(self, events: Iterable[Event]) -> list[Draft]:
        endpoints: dict[str, list[Endpoint]] = {}
        drafts = []
        for number, event in enumerate(events):
            if (merchant := event.merchant_id) not in endpoints:
                endpoints[merchant] = self._endpoints(merchant)
            drafts.append(draft_of(event, endpoints[merchant], self._services, number))
        return drafts

    def _check(self, drafts: Iterable[Draft]) -> None:
        waiting: Counter[str] = Counter()
        for draft in drafts:
            waiting[draft.event.merchant_id] += draft.waiting
        for merchant, more in waiting.items():
            self._gauge.check(merchant, more)

    def _endpoints(self, merchant_id: str) -> list[Endpoint]:
        return endpoints_of(self._services.tables, merchant_id)

    def _write(
        self, batch: Sequence[Draft], also: Sequence[Action]
    ) -> dict[int, Published | Conflict]:
        """Write a batch in one transaction; without those that were published before, if that is
        why it was canceled."""
        if not batch:
            return {}
        try:
            transact(self._client, [*(one for draft in batch for one in draft.actions), *also])
        except TransactionCanceled as canceled:
            before = {draft.number: draft for draft in taken(batch, canceled.reasons)}
            if not before:
                raise
            left = [draft for draft in batch if draft.number not in before]
            duplicates: dict[int, Published | Conflict] = {}
            for number, draft in before.items():
                try:
                    duplicates[number] = self._duplicate(draft)
                except Conflict as conflict:
                    duplicates[number] = conflict
            return duplicates | self._write(left, also)
        for draft in batch:
            self._gauge.added(draft.event.merchant_id, draft.waiting)
        return {draft.number: Published(draft.webhook_ids) for draft in batch}

    def _duplicate(self, draft: Draft) -> Published:
        """What there is of an event that was published before.

        Raises:
            Conflict: it was another one.
        """
        event, tables = draft.event, self._services.tables
        stored = tables.events.get(event.id)
        # Without it, as after its time, nobody can tell; its webhooks are there all the same.
        if stored is not None and (other := event.differs_from(stored)):
            raise _other_event(event.id, other)
        log.info("event=%s was published before", event.id)
        there = {
            key
            for key, webhook in tables.webhooks.get_many(draft.webhook_ids).items()
            if webhook.get("merchantID") == event.merchant_id
        }
        return Published(tuple(key for key in draft.webhook_ids if key in there), duplicate=True)


def _check_ids(drafts: Iterable[Draft]) -> None:
    """Let every id pass that is given for one event, however often.

    Raises:
        Conflict: one is given for two.
    """
    first: dict[str, Event] = {}
    for draft in drafts:
        event = draft.event
        before = first.setdefault(event.id, event)
        if before is not event and (other := event.differs_from(before.attributes())):
            raise _other_event(event.id, other)


def _other_event(event_id: str, other: Sequence[str]) -> Conflict:
    """Whose it is, and what it says, is nobody else's business: ids are one namespace, and the text
    is the same for every event that an id has been given to."""
    log.info("event=%s was published before with another %s", event_id, " and ".join(other))
    return Conflict(
        f"event {event_id!r} was published before, and is not this one: "
        "what is not the same happening needs an id of its own"
    )


def actions_for(event: Event, endpoints: Iterable[Endpoint], services: Services) -> list[Action]:
    """The actions for `TransactWriteItems` that publish an event, the event's own first; none if
    no endpoint wants it. How long the merchant's queue is does not count.

    Every one is a conditional create: an event that was published before cancels the transaction
    with `ConditionalCheckFailed` on the first of them. The endpoints that a merchant can have make
    51 actions at the most and well under a megabyte, so a producer has 49 actions for its own.

    Raises:
        Conflict: there are more endpoints than a transaction can serve.
    """
    return draft_of(event, endpoints, services).actions

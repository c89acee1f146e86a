"""Events that were written alone: their records are made here, and they leave the queue of events.

They are served in batches: one transaction takes several events out of the queue and writes the
records of all of them. It demands that each event is due as it was read, so a worker that is
killed leaves everything to the next one, of two workers at once the slower writes nothing, and
whatever is done twice is done once. A claim would say no more, and would bill the payload again.

How long the merchant's queue is does not count any more: these events were taken when they were
written, and have counted since. The lifetime of their webhooks has begun then, too.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

import msgspec
from botocore.exceptions import ClientError

from remit.aws.items import Item, encode_item
from remit.aws.tables import Tables
from remit.aws.transactions import (
    FAILED_CONDITION,
    TRANSACTION_LIMIT,
    TransactionCanceled,
    transact,
)
from remit.clock import format_instant, parse_instant
from remit.errors import ConditionFailed, Conflict, RemitError, StoreUnavailable
from remit.queue import DueQueue
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.drafts import TRANSACTION_BYTES, Action, event_expiry, webhook_records
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import EVENT_ID, is_event_type, is_merchant_id

log = logging.getLogger(__name__)

PAUSE = timedelta(minutes=1)
"""After so long an event that could not be served is tried again."""

_ROUND = 500  # events that are looked for together
_BATCH = 25  # that are read together: 10 MB at the most
_THREADS = 4
_OUT_OF_QUEUE = ("claim", "dueShard", "dueAt", "waitingFor")
_AS_READ = "#dueAt = :seen"  # nobody has taken it out of the queue, or put it off
_REFUSED = "ValidationError"  # the reason of an action that DynamoDB does not take


class Poison(RemitError):
    """An event that no webhook can be made of. `reason` is kept in its record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def fan_out(
    services: Services,
    stop: Stop,
    seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    shuffle: Callable[[list[list[str]]], None] = random.shuffle,
) -> int:
    """Make the webhooks of the events that are due, the longest due first, until none is, for so
    many seconds, or until asked to stop; returns how many events left the queue.

    One that cannot be served never keeps the others from it: if no webhook can be made of it, it
    leaves the queue with the reason, otherwise it is tried again later. Of those that are looked
    for together, `shuffle` decides the order, so that two workers do not meet at each.

    Raises:
        StoreUnavailable: it could not be found out what is due.
    """
    deadline = monotonic() + seconds
    rounds = _rounds(DueQueue(services.tables.events, services.clock))
    done = 0
    with ThreadPoolExecutor(_THREADS, "fan-out") as pool:
        while not stop.requested and monotonic() < deadline:
            if (keys := next(rounds, None)) is None:
                break
            batches = [keys[at : at + _BATCH] for at in range(0, len(keys), _BATCH)]
            shuffle(batches)
            done += sum(pool.map(_Round(services, stop).serve, batches))
    if done:
        log.info("%d events were fanned out", done)
    return done


def _rounds(queue: DueQueue) -> Iterator[list[str]]:
    """What is due, each event once: all that is due now, the longest due first, and then what has
    come due since, until there is no more.

    The index is late: what has left the queue may be in it still. So may be what could not be
    served, however many of these there are; that is passed by, and not waited for.
    """
    tried: set[str] = set()
    found = True
    while found:
        found = False
        untried = (key for key in queue.each_due(_ROUND) if key not in tried)
        while keys := list(islice(untried, _ROUND)):
            found = True
            tried.update(keys)
            yield keys


@dataclass(frozen=True)
class _Plan:
    """What becomes of an event: the attributes that it leaves the queue with, and the records of
    its webhooks."""

    event: Item = field(repr=False)
    changes: Item = field(repr=False)
    records: Sequence[Item] = field(repr=False)
    size: int
    """Bytes of the items, at most: an item is smaller than its JSON."""

    @classmethod
    def of(cls, event: Item, changes: Item, records: Sequence[Item]) -> _Plan:
        items = (encode_item(item) for item in (event, changes, *records))
        return cls(event, changes, records, sum(len(msgspec.json.encode(item)) for item in items))

    @property
    def key(self) -> str:
        return str(self.event["id"])

    def actions(self, tables: Tables) -> list[Action]:
        """The event's own action, and one per record."""
        leave = tables.events.update_action(
            self.key,
            set=self.changes,
            remove=_OUT_OF_QUEUE,
            condition=_AS_READ,
            values={"seen": self.event["dueAt"]},
        )
        puts = (tables.webhooks.create_action(record) for record in self.records)
        return [{"Update": leave}, *({"Put": put} for put in puts)]


class _Round:
    """Serves what was found at one time. A merchant's endpoints are read once in it: one that was
    added later gets only events that are found later."""

    def __init__(self, services: Services, stop: Stop) -> None:
        self._services = services
        self._tables = services.tables
        self._stop = stop
        self._endpoints: dict[str, Sequence[Endpoint]] = {}

    def serve(self, keys: Sequence[str]) -> int:
        """Serve some events; how many have left the queue."""
        if self._stop.requested:
            return 0
        try:
            events = self._tables.events.get_many(keys)
        except StoreUnavailable as error:
            log.warning("%d events wait: %s", len(keys), error)
            return 0
        now = self._services.clock()
        due = [event for event in events.values() if _is_due(event, now)]
        plans = [plan for event in due if (plan := self._plan(event, now)) is not None]
        return sum(map(self._leave_together, _transactions(plans)))

    def _plan(self, event: Item, now: datetime) -> _Plan | None:
        try:
            return self._planned(event, now)
        except StoreUnavailable as error:
            log.warning("event=%r waits: %s", event["id"], error)
        except Exception:
            log.exception("event=%r could not be fanned out", event["id"])
            self._put_off(event)
        return None

    def _planned(self, event: Item, now: datetime) -> _Plan:
        # From now on: it outlives its webhooks, however late they are made.
        changes: Item = {"expiresAt": event_expiry(now, self._services.settings)}
        try:
            return _Plan.of(event, changes, self._records(event, now))
        except Poison as poison:
            log.warning("event=%r has no webhooks: %s", event["id"], poison)
            return _Plan.of(event, {**changes, "reason": poison.reason}, ())

    def _records(self, event: Item, now: datetime) -> list[Item]:
        """The records of an event as stored, which may be anything.

        Raises:
            Poison: there can be none.
        """
        key, kind, merchant = event["id"], event.get("type"), event.get("merchantID")
        if EVENT_ID.fullmatch(key) is None:
            raise Poison("its id is not 1 to 128 printable ASCII characters without spaces")
        if not is_event_type(kind):
            raise Poison(f"type is {kind!a:.100}, and not dotted lower-case words")
        if not isinstance(event.get("payload"), str) or not event["payload"]:
            raise Poison("payload is not there, or not text")
        if not is_merchant_id(merchant):
            raise Poison(f"merchantID is {merchant!a:.100}, which is no merchant's id")
        endpoints, published = self._endpoints_of(merchant), _published_at(event, now)
        try:
            return webhook_records(key, kind, endpoints, published, self._services.settings)
        except Conflict as error:
            raise Poison(str(error)) from None

    def _endpoints_of(self, merchant: str) -> Sequence[Endpoint]:
        """Two threads may read the same merchant's; that does no harm.

        Raises:
            Poison: there is no such merchant.
        """
        if merchant not in self._endpoints:
            self._endpoints[merchant] = endpoints_of(self._tables, merchant)
        endpoints = self._endpoints[merchant]
        if not endpoints and self._tables.merchants.get(merchant) is None:
            raise Poison(f"there is no merchant {merchant!r}")
        return endpoints

    def _leave_together(self, plans: Sequence[_Plan]) -> int:
        """Take events out of the queue and write their records, all or none; one by one if that
        cannot be, so that each is judged by itself."""
        actions = [action for plan in plans for action in plan.actions(self._tables)]
        try:
            transact(self._tables.client, actions)
        except StoreUnavailable as error:
            log.warning("%d events wait: %s", len(plans), error)
            return 0
        except (RemitError, ClientError) as error:
            log.debug("%d events go one by one: %s", len(plans), error)
            return sum(map(self._leave, plans))
        return len(plans)

    def _leave(self, plan: _Plan) -> bool:
        try:
            return self._write(plan)
        except StoreUnavailable as error:
            log.warning("event=%r waits: %s", plan.key, error)
        except Exception:
            log.exception("event=%r could not be fanned out", plan.key)
            self._put_off(plan.event)
        return False

    def _write(self, plan: _Plan) -> bool:
        leave, *puts = plan.actions(self._tables)
        try:
            transact(self._tables.client, [leave, *puts])
        except TransactionCanceled as canceled:
            own, *others = canceled.reasons
            if own == FAILED_CONDITION:
                log.info("event=%r was taken by another", plan.key)
                return False
            if own == _REFUSED:
                return self._set_aside(plan)
            if FAILED_CONDITION not in others:
                raise
            # Records that are there already stay as they are.
            missing = [
                put for put, why in zip(puts, others, strict=True) if why != FAILED_CONDITION
            ]
            transact(self._tables.client, [leave, *missing])
        return True

    def _set_aside(self, plan: _Plan) -> bool:
        """Nothing more fits into the record (400 KB): what leaves it makes room for a word."""
        log.warning("event=%r has no webhooks: DynamoDB refuses what is to change in it", plan.key)
        return self._change(plan.event, set={"reason": "it is too large"}, remove=_OUT_OF_QUEUE)

    def _put_off(self, event: Item) -> None:
        """Let others go first, however many of these there are."""
        later = format_instant(self._services.clock() + PAUSE)
        try:
            self._change(event, set={"dueAt": later})
        except RemitError as error:
            log.warning("event=%r could not be put off: %s", event["id"], error)

    def _change(self, event: Item, *, set: Item, remove: Iterable[str] = ()) -> bool:  # noqa: A002
        """Change an event that is as it was read; false: it is not."""
        seen = {"seen": event["dueAt"]}
        try:
            self._tables.events.update(
                event["id"], set=set, remove=remove, condition=_AS_READ, values=seen
            )
        except ConditionFailed:
            return False
        return True


def _is_due(event: Item, now: datetime) -> bool:
    """Whether it is, as it was read: the index, by which it was found, is late."""
    due_at = event.get("dueAt")
    return "dueShard" in event and isinstance(due_at, str) and due_at <= format_instant(now)


def _published_at(event: Item, now: datetime) -> datetime:
    """When an event was written; now, if its record does not say so."""
    try:
        return min(parse_instant(event["publishedAt"]), now)
    except (KeyError, TypeError, ValueError):
        return now


def _transactions(plans: Iterable[_Plan]) -> Iterator[list[_Plan]]:
    """Plans by transactions: as many as the limits of DynamoDB allow."""
    together: list[_Plan] = []
    actions = size = 0
    for plan in plans:
        actions += 1 + len(plan.records)
        size += plan.size
        if together and (actions > TRANSACTION_LIMIT or size > TRANSACTION_BYTES):
            yield together
            together, actions, size = [], 1 + len(plan.records), plan.size
        together.append(plan)
    if together:
        yield together

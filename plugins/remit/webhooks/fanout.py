"""Events that were written alone: their records are made here, and they leave the queue of events.

An event and its records are one transaction that demands the claim's token. So a worker that is
killed leaves everything to the next one, one that lost its lease writes nothing, and whatever is
done twice is done once. How long the merchant's queue is does not count any more: these events
were taken when they were written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from remit.aws.items import Item
from remit.aws.table import FAILED_CONDITION, TransactionCanceled, transact
from remit.clock import format_instant
from remit.errors import ConditionFailed, Conflict, RecordRefused, RemitError, StoreUnavailable
from remit.queue import IF_DUE, Claim, DueQueue
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.drafts import Action, event_expiry, webhook_records
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import EVENT_ID, is_event_type, is_merchant_id

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
"""After so long another worker takes over what is not done."""

_THREADS = 8
_OUT_OF_QUEUE = ("claim", "dueShard", "dueAt")


class Poison(RemitError):
    """An event that no webhook can be made of. `reason` is kept in its record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def fan_out(services: Services, stop: Stop, limit: int) -> int:
    """Make the webhooks of up to `limit` events that are due; returns how many left the queue.

    One that cannot be served never keeps the others from it: if no webhook can be made of it, it
    leaves the queue with the reason, otherwise it comes due again when its lease ends.

    Raises:
        StoreUnavailable: it could not be found out what is due.
    """
    run = _FanOut(services, stop)
    with ThreadPoolExecutor(_THREADS, "fan-out") as pool:
        done = sum(pool.map(run.one, run.queue.due(limit)))
    if done:
        log.info("%d events were fanned out", done)
    return done


class _FanOut:
    """One call of `fan_out`. A merchant's endpoints are read once in it."""

    def __init__(self, services: Services, stop: Stop) -> None:
        self.queue = DueQueue(services.tables.events, services.clock)
        self._services = services
        self._tables = services.tables
        self._stop = stop
        self._endpoints: dict[str, Sequence[Endpoint]] = {}

    def one(self, key: str) -> bool:
        """Serve one event; whether it has left the queue."""
        if self._stop.requested:
            return False
        try:
            return self._claim_and_serve(key)
        except StoreUnavailable as error:
            log.warning("event=%r waits: %s", key, error)
        except Exception:
            log.exception("event=%r could not be fanned out", key)
        return False

    def _claim_and_serve(self, key: str) -> bool:
        try:
            claim = self.queue.claim(key, LEASE)
        except RecordRefused as error:
            return self._set_aside_unclaimed(key, f"DynamoDB refuses its claim: {error}")
        if claim is None:
            return False
        # From now on, since it outlives its webhooks, which begin now.
        changes: Item = {"expiresAt": event_expiry(self._services.clock(), self._services.settings)}
        try:
            records = self._records(claim.item)
        except Poison as poison:
            log.warning("event=%r has no webhooks: %s", key, poison)
            return self._leave(claim, [], {**changes, "reason": poison.reason})
        return self._leave(claim, records, changes)

    def _records(self, event: Item) -> list[Item]:
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
        endpoints = self._endpoints_of(merchant)
        now, settings = self._services.clock(), self._services.settings
        try:
            return webhook_records(key, kind, endpoints, now, settings)
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

    def _leave(self, claim: Claim, records: Iterable[Item], changes: Item) -> bool:
        """Take an event out of the queue and write its records, both or neither."""
        leave = {
            "Update": self._tables.events.update_action(
                claim.key,
                set=changes,
                remove=_OUT_OF_QUEUE,
                condition="#claim = :held",
                values={"held": claim.token},
            )
        }
        puts: list[Action] = [
            {"Put": self._tables.webhooks.create_action(record)} for record in records
        ]
        try:
            transact(self._tables.client, [leave, *puts])
        except TransactionCanceled as canceled:
            own, *others = canceled.reasons
            if own == FAILED_CONDITION:
                log.info("event=%r was claimed by another", claim.key)
                return False
            if FAILED_CONDITION not in others:
                raise
            # Records that are there already stay as they are.
            missing = [
                put for put, why in zip(puts, others, strict=True) if why != FAILED_CONDITION
            ]
            transact(self._tables.client, [leave, *missing])
        return True

    def _set_aside_unclaimed(self, key: str, reason: str) -> bool:
        """Nothing more fits into the record (400 KB): what leaves it makes room for the reason."""
        log.warning("event=%r has no webhooks: %s", key, reason)
        try:
            self._tables.events.update(
                key,
                set={"reason": "DynamoDB refuses its claim"},
                remove=_OUT_OF_QUEUE,
                condition=f"attribute_exists(#dueShard) AND {IF_DUE}",
                values={"now": format_instant(self._services.clock())},
            )
        except ConditionFailed:
            return False
        return True

"""From keys to what is to be done: webhooks that are ready to be claimed and sent, and moves of
those that are not to be attempted now, or ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from remit.aws.items import Item
from remit.clock import Clock, format_instant
from remit.settings import Settings
from remit.webhooks import moves
from remit.webhooks.directory import Directory, Known
from remit.webhooks.moves import Move, Seen
from remit.webhooks.policy import MOVES, Decision, Reason, Status, expired
from remit.webhooks.reader import Reader
from remit.webhooks.record import Unsendable, Webhook, read_record
from remit.webhooks.urls import url_fault

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ready:
    """A webhook that can be attempted. `body` comes with `Preparer.complete`."""

    seen: Seen
    webhook: Webhook
    known: Known
    body: bytes = field(default=b"", repr=False)
    not_before: datetime | None = None
    """When its endpoint's rate, and its merchant's, let it through."""
    probes: bool = False
    """It is to show whether an endpoint that failed answers again."""

    @property
    def url(self) -> str:
        """A record with its payload inside is the platform's own, and goes where it says."""
        return self.known.endpoint.url if self.webhook.payload is None else self.webhook.url

    @property
    def goes_to_its_endpoint(self) -> bool:
        """Whether an attempt tells how its endpoint is. A record of the platform's own goes where
        it says, which may be elsewhere: what its URL answers is nothing to the merchant's
        endpoint."""
        return self.url == self.known.endpoint.url


@dataclass(slots=True)
class Prepared:
    """What is to be done with the webhooks of a batch."""

    ready: list[Ready] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    lost: int = 0
    """Those of which this deliverer holds no claim any more."""


class Preparer:
    """Reads what the webhooks of a batch need, and decides what of them can be sent."""

    def __init__(
        self,
        reader: Reader,
        directory: Directory,
        settings: Settings,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._random = random

    async def due(self, entries: Sequence[Item]) -> Prepared:
        """One look at each webhook that the index says is due. A record that cannot be sent never
        keeps the others from it.

        Of Remit's own the index has all that is needed, and their claim will tell whether it was
        old. Those of the platform's own service carry their payload: they are read.

        Raises:
            StoreUnavailable: the records or their endpoints could not be read.
        """
        now = format_instant(self._clock())
        whole = {entry["id"]: entry for entry in entries if _is_whole(entry)}
        rest = [entry["id"] for entry in entries if entry["id"] not in whole]
        if rest:
            read = await self._reader.webhooks(rest)
            whole |= {key: item for key, item in read.items() if _is_due(item, now)}
        return await self._prepared(whole, Prepared())

    async def held(self, tokens: Mapping[str, str]) -> Prepared:
        """One look at each webhook that this deliverer holds the claim of, by its token.

        Raises:
            StoreUnavailable: the records or their endpoints could not be read.
        """
        now = format_instant(self._clock())
        items = await self._reader.webhooks(list(tokens))
        held = {key: item for key, item in items.items() if _is_held(item, tokens[key], now)}
        return await self._prepared(held, Prepared(lost=len(tokens) - len(held)))

    async def _prepared(self, items: Mapping[str, Item], prepared: Prepared) -> Prepared:
        readable: list[tuple[Seen, Webhook]] = []
        for key, item in items.items():
            if (found := self._readable(key, item, prepared.moves)) is not None:
                readable.append(found)
        await self._directory.load({(w.merchant_id, w.endpoint_id) for _, w in readable})
        for seen, webhook in readable:
            try:
                self._judge(seen, webhook, prepared)
            except Exception as error:
                # Whatever is peculiar about this one webhook: the others of its batch go on.
                log.exception("webhook=%r cannot be judged", seen.key)
                detail = f"it cannot be judged: {type(error).__name__}"
                prepared.moves.append(self._set_aside(seen, Reason.UNREADABLE, detail))
        return prepared

    async def complete(self, ready: Iterable[Ready], done: list[Move]) -> list[Ready]:
        """Those that have their bodies now; the others are set aside in `done`.

        Raises:
            StoreUnavailable: the events could not be read.
        """
        ready = list(ready)
        events = await self._reader.events(
            each.webhook.event_id for each in ready if each.webhook.event_id is not None
        )
        # Once for each event, however many endpoints it goes to.
        bodies = {key: _body(event.get("payload")) for key, event in events.items()}
        complete = []
        for each in ready:
            event_id = each.webhook.event_id
            body = _body(each.webhook.payload) if event_id is None else bodies.get(event_id)
            if body is not None:
                each.body = body
                complete.append(each)
            else:
                detail = f"the event {each.webhook.event_id} is not there"
                done.append(self._set_aside(each.seen, Reason.NO_EVENT, detail))
        return complete

    def _readable(self, key: str, item: Item, done: list[Move]) -> tuple[Seen, Webhook] | None:
        attempts = item.get("attempts", 0)
        counted = isinstance(attempts, int) and not isinstance(attempts, bool) and attempts >= 0
        due_at = item.get("dueAt", "")
        seen = Seen(key, due_at, item.get("status"), attempts if counted else None)
        if not due_at:
            detail = "it has a dueShard and no dueAt"
            done.append(self._set_aside(seen, Reason.UNREADABLE, detail))
            return None
        try:
            return seen, read_record(item, self._settings.webhook_lifetime)
        except Unsendable as error:
            done.append(self._set_aside(seen, Reason.UNREADABLE, error.reason))
        except Exception as error:
            log.exception("webhook=%r cannot be read", key)
            detail = f"it cannot be read: {type(error).__name__}"
            done.append(self._set_aside(seen, Reason.UNREADABLE, detail))
        return None

    def _judge(self, seen: Seen, webhook: Webhook, prepared: Prepared) -> None:
        known = self._directory.find((webhook.merchant_id, webhook.endpoint_id))
        if not MOVES[webhook.status]:
            prepared.moves.append(moves.drop(seen))
        elif webhook.deliver_before <= self._clock():
            prepared.moves.append(self._end(seen, expired(webhook.attempts)))
        elif known is not None and known.fault is not None:
            prepared.moves.append(moves.defer(seen, webhook, self._later(webhook, known)))
        elif (refusal := self._refusal(webhook, known)) is not None:
            prepared.moves.append(self._set_aside(seen, *refusal))
        elif known is not None:
            prepared.ready.append(Ready(seen, webhook, known))

    def _refusal(self, webhook: Webhook, known: Known | None) -> tuple[Reason, str] | None:
        """Why no attempt can be made, ever."""
        foreign = webhook.payload is not None
        if known is None or not (known.is_there or foreign):
            if foreign:
                return Reason.NO_SECRET, f"there is no merchant {webhook.merchant_id!r}"
            return Reason.DELETED, f"there is no endpoint {webhook.endpoint_id!r} any more"
        if not known.endpoint.enabled:
            return Reason.DISABLED, f"the endpoint is disabled: {known.endpoint.disabled_reason}"
        if not known.signing_keys:
            return Reason.NO_SECRET, "the endpoint has no secret, and nothing is sent unsigned"
        refused = url_fault(webhook.url, self._settings) if foreign else known.refused
        return None if refused is None else (Reason.URL, refused)

    def _later(self, webhook: Webhook, known: Known) -> datetime:
        """When to look again at a webhook that waits for a mended deployment: after as long as it
        has waited already, within the bounds of the schedule's tail."""
        now, schedule = self._clock(), known.burst
        waited = now - (webhook.deliver_before - self._settings.webhook_lifetime)
        wait = min(max(waited, schedule.tail), schedule.tail_cap)
        return now + schedule.lengthened(wait, self._random())

    def _set_aside(self, seen: Seen, reason: Reason, detail: str) -> Move:
        return self._end(seen, Decision(Status.FAILED, reason=reason, detail=detail))

    def _end(self, seen: Seen, decision: Decision) -> Move:
        log.warning(
            "webhook=%r %s without an attempt: %s", seen.key, decision.status, decision.detail
        )
        return moves.set_aside(seen, decision, self._clock(), self._settings.webhook_retention)


def _body(payload: Any) -> bytes | None:
    return payload.encode() if isinstance(payload, str) else None


def _is_whole(entry: Item) -> bool:
    """Whether an entry of the index has all that delivery needs: where it goes, what is sent, and
    until when. The last is in none of an index, or a record, that is older than the attribute."""
    return "eventID" in entry and "endpointID" in entry and "deliverBefore" in entry


def _is_due(item: Item, now: str) -> bool:
    return "dueShard" in item and str(item.get("dueAt", "")) <= now


def _is_held(item: Item, token: str, now: str) -> bool:
    """The claim is still ours, and the next attempt due: the chunk of a worker that was killed may
    be older than the last outcome, and no attempt comes before its time."""
    return (
        item.get("claim") == token and "dueShard" in item and str(item.get("nextRetry", "")) <= now
    )

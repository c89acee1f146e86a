"""Claimed webhooks on their way: sent from the lanes of their endpoints, and recorded."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from remit.clock import Clock, epoch_seconds
from remit.settings import Settings
from remit.stop import Stop
from remit.webhooks import moves
from remit.webhooks.chunk import Held
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.kept import Kept
from remit.webhooks.lanes import Lane, Tally
from remit.webhooks.moves import Attempt, Move, Result, Times
from remit.webhooks.policy import Action, Decision, action_for, decide
from remit.webhooks.prepare import Ready
from remit.webhooks.sender import Outcome, Request
from remit.webhooks.workers import Workers
from remit.webhooks.writer import Writer

log = logging.getLogger(__name__)

_TOGETHER = 50  # outcomes: each is two actions of a transaction
_LATELY_SECONDS = 2.0  # an index lags behind by less than one
_MOST_REMEMBERED = 10_000
_PATIENCE_SECONDS = 0.03  # that an outcome waits for others


class Post(Protocol):
    """What a courier needs of a `Sender`."""

    async def post(self, request: Request) -> Outcome:
        """Post once; every failure is an outcome."""


class Sign(Protocol):
    """What a courier needs of a `Signer`."""

    def headers(self, webhook_id: str, timestamp: int, body: bytes, keys: Any) -> dict[str, str]:
        """The headers of one attempt."""


class Health(Protocol):
    """What a courier tells of an endpoint."""

    def record(
        self, key: EndpointKey, status: int | None, now: datetime, secret_ids: tuple[str, ...]
    ) -> None:
        """An attempt ended with this HTTP status, or with none."""

    def gone(self, key: EndpointKey) -> None:
        """The endpoint answered that it is gone for good."""

    def shut_until(self, key: EndpointKey, now: datetime) -> datetime | None:
        """Until when nothing but a probe is sent to an endpoint; None: it may be sent."""


@dataclass(slots=True)
class Open:
    """A webhook that is claimed and whose outcome is not recorded yet."""

    ready: Ready
    token: str
    claimed_at: datetime
    attempted: bool = False
    next_attempt: datetime | None = None
    keeps: bool = False

    @property
    def attempt(self) -> int:
        """The number of this attempt."""
        return (self.ready.seen.attempts or 0) + 1


class Courier:
    """Sends what is claimed. `counts` tells what became of it; `changed` is set at every change.

    With `keeps`, a webhook whose next attempt is soon stays claimed, in `kept`.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        stop: Stop,
        *,
        sender: Post,
        signer: Sign,
        writer: Writer,
        health: Health,
        rand: Callable[[], float],
        keeps: bool,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._sender = sender
        self._signer = signer
        self._writer = writer
        self._health = health
        self._random = rand
        self._keeps = keeps
        # An outcome is late when DynamoDB ails, and the one who takes over has a clock of its own.
        attempt = settings.webhook_timeout + settings.webhook_lease_margin
        self._latest_start = settings.webhook_lease - attempt
        self._times = Times(settings.webhook_lease, settings.webhook_retention)
        self._lanes: dict[EndpointKey, Lane[Open, Ready]] = {}
        self._outcomes: list[tuple[Open, Move]] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._workers = Workers(self._send)
        self._writing: set[asyncio.Task[None]] = set()
        self.tally = Tally()
        self.open: dict[str, Open] = {}
        self.kept = Kept(settings.webhook_chunk)
        self._lately: dict[str, float] = {}
        self.counts: Counter[Result] = Counter()
        self.changed = asyncio.Event()

    def lane(self, ready: Ready) -> Lane[Open, Ready]:
        """The lane of a webhook's endpoint."""
        key = ready.known.key
        lane = self._lanes.get(key)
        if lane is None:
            concurrency = ready.known.endpoint.concurrency or self._settings.webhook_concurrency
            lane = self._lanes[key] = Lane(concurrency, self._workers.put, self.tally)
        return lane

    def lanes(self) -> Iterable[Lane[Open, Ready]]:
        """Every lane that there is."""
        return self._lanes.values()

    def accept(self, ready: Ready, token: str, claimed_at: datetime) -> None:
        """Send a webhook that is claimed when its turn comes."""
        opened = self.open[ready.webhook.id] = Open(ready, token, claimed_at)
        self.lane(ready).put(opened)

    def had_lately(self, key: str) -> bool:
        """Whether it was recorded a moment ago: an index that says it is due may be behind."""
        recorded_at = self._lately.get(key)
        now = asyncio.get_running_loop().time()
        return recorded_at is not None and now - recorded_at < _LATELY_SECONDS

    async def finish(self, seconds: float | None) -> None:
        """Wait until everything has its outcome. With a number of seconds, what is in flight gets
        that long, and what has no outcome by then is given back, as what waits for its turn is at
        once."""
        if seconds is not None:
            waiting = [one for lane in self._lanes.values() for one in lane.take_waiting()]
            await self._put_back([*waiting, *self._workers.take_waiting()])
        await self._workers.finish(seconds)
        self._flush()
        # An outcome that is being written is not given up: it would be delivered again.
        await asyncio.gather(*self._writing, return_exceptions=True)
        await self._put_back(list(self.open.values()))

    async def _send(self, opened: Open) -> None:
        """One attempt, from its lane."""
        now, lane = self._clock(), self.lane(opened.ready)
        if self._stop.requested or self._lease_too_short(opened, now):
            lane.done(now, answered=False)
            await self._put_back([opened])
            return
        if (until := self._shut_until(opened.ready, now)) is not None:
            unsent = [opened, *lane.take_waiting()]
            lane.done(now, answered=False)
            await self._put_back(unsent, until)
            return
        if (moment := opened.ready.not_before) is not None and moment > now:
            await asyncio.sleep((moment - now).total_seconds())
            now = self._clock()
        opened.attempted = True
        outcome = await self._post(opened, now)
        now = self._clock()
        lane.done(now, answered=outcome.status is not None)
        try:
            self._settle(opened, outcome, now)
        except Exception:
            # It comes due when its lease ends. Whatever is peculiar about it: the lane goes on.
            log.exception("webhook=%s could not be recorded", opened.ready.webhook.id)
            self.open.pop(opened.ready.webhook.id, None)
            self.counts[Result.ERROR] += 1
            self.changed.set()

    def _shut_until(self, ready: Ready, now: datetime) -> datetime | None:
        """Whether its endpoint has been found to fail since it was claimed."""
        if ready.probes or not goes_to_its_endpoint(ready):
            return None
        return self._health.shut_until(ready.known.key, now)

    async def _post(self, opened: Open, now: datetime) -> Outcome:
        ready = opened.ready
        try:
            headers = self._signer.headers(
                ready.webhook.id, epoch_seconds(now), ready.body, ready.known.signing_keys
            )
            return await self._sender.post(Request(ready.url, headers, ready.body))
        except Exception:
            # Whatever is peculiar about this one webhook: the others go on.
            log.exception("webhook=%s could not be sent", ready.webhook.id)
            return Outcome(timedelta(), error="internal")

    def _lease_too_short(self, opened: Open, now: datetime) -> bool:
        """Whether the lease could end before the attempt does and is recorded; then another would
        deliver too."""
        return now - opened.claimed_at >= self._latest_start

    def _settle(self, opened: Open, outcome: Outcome, now: datetime) -> None:
        """Decide about a webhook after its attempt, and let it be recorded with others."""
        webhook, known = opened.ready.webhook, opened.ready.known
        decision = decide(
            outcome.status,
            outcome.retry_after,
            status=webhook.status,
            attempts=opened.attempt,
            deliver_before=webhook.deliver_before,
            now=now,
            schedule=known.schedule,
            random=self._random(),
        )
        opened.next_attempt = decision.next_attempt
        if goes_to_its_endpoint(opened.ready):
            self._health.record(known.key, outcome.status, now, known.secret_ids)
            if action_for(outcome.status) is Action.DISABLE:
                self._health.gone(known.key)
        _log(opened, outcome, decision)
        opened.keeps = self._keeps_until(opened, decision, now) and self.kept.reserve(known.key)
        move = moves.outcome(
            webhook,
            opened.token,
            Attempt(opened.attempt, outcome, decision, now),
            self._times,
            keeps=opened.keeps,
        )
        self._outcomes.append((opened, move))
        if len(self._outcomes) >= _TOGETHER:
            self._flush()
        elif len(self._outcomes) == 1:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(_PATIENCE_SECONDS, self._flush)

    def _keeps_until(self, opened: Open, decision: Decision, now: datetime) -> bool:
        """Whether this task makes the next attempt too.

        Not if it is later than Remit's own burst (`Retry-After`, an endpoint's own schedule): a
        task that waits for one endpoint would hold up the retries of all others.
        """
        if not self._keeps or self._stop.requested or decision.next_attempt is None:
            return False
        burst = opened.ready.known.burst
        return opened.attempt < burst.burst_attempts and (
            decision.next_attempt <= now + burst.longest_burst_wait
        )

    def _flush(self) -> None:
        """Have the outcomes written that there are by now."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        outcomes, self._outcomes = self._outcomes, []
        if outcomes:
            _spawn(self._write(outcomes), self._writing)

    async def _put_back(self, claimed: list[Open], due_at: datetime | None = None) -> None:
        """Give webhooks back, due at once if nothing else is said. An attempt that was not made
        does not count."""
        due_at = due_at or self._clock()
        await self._write(
            [
                (
                    one,
                    moves.put_back(
                        one.ready.webhook.id,
                        one.token,
                        one.ready.webhook.by_deadline(due_at),
                        attempts=None if one.attempted else one.attempt - 1,
                    ),
                )
                for one in claimed
            ]
        )

    async def _write(self, written: list[tuple[Open, Move]]) -> None:
        if not written:
            return
        # A lease may last that long yet; without its record, an attempt is made once more.
        patience = self._settings.webhook_lease.total_seconds()
        results = await self._writer.write([move for _, move in written], patience)
        for (opened, move), result in zip(written, results, strict=True):
            self.open.pop(move.key, None)
            self.remember(move.key)
            self.counts[result] += 1
            endpoint = opened.ready.known.key
            if result is Result.KEPT and opened.next_attempt is not None:
                self.kept.keep(Held(move.key, opened.token, opened.next_attempt), endpoint)
            elif opened.keeps:
                self.kept.cancel(endpoint)
        self.changed.set()

    def remember(self, key: str) -> None:
        """It was written just now."""
        if len(self._lately) >= _MOST_REMEMBERED:
            del self._lately[next(iter(self._lately))]
        self._lately[key] = asyncio.get_running_loop().time()


def goes_to_its_endpoint(ready: Ready) -> bool:
    """Whether an attempt tells how its endpoint is. A record of the platform's own goes where it
    says, which may be elsewhere: what its URL answers is nothing to the merchant's endpoint."""
    return ready.url == ready.known.endpoint.url


def _spawn(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _log(opened: Open, outcome: Outcome, decision: Decision) -> None:
    """The one line that an attempt leaves in the log: no payload, no secret. Of deliveries there
    are thousands a second, and the attempt has its own record: those are for whoever debugs."""
    level = logging.DEBUG if decision.next_attempt is None and not decision.reason else logging.INFO
    if not log.isEnabledFor(level):
        return
    log.log(
        level,
        "webhook=%s event=%s attempt=%d answer=%s ms=%d status=%s next=%s",
        opened.ready.webhook.id,
        opened.ready.webhook.event_type,
        opened.attempt,
        outcome.status or outcome.error,
        outcome.duration / timedelta(milliseconds=1),
        decision.status,
        decision.next_attempt or "none",
    )

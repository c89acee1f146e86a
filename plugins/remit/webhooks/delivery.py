"""One try of a delivery task: claim ─► prepare ─► send ─► decide ─► record.

A first attempt and a retry are the same: a chunk of webhooks, each with the moment of its attempt.
Those of one moment are a wave, claimed and read together; from there on every webhook goes its own
way, so that an endpoint that hangs holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from remit.errors import Interrupted, StoreUnavailable
from remit.queue import Claim
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.backoff import RetrySchedule
from remit.webhooks.chunk import Chunk, Held
from remit.webhooks.ledger import Ledger, Result, log_attempt
from remit.webhooks.policy import MOVES, Status, decide
from remit.webhooks.prepare import Postponed, Prepared, Preparer, SetAside
from remit.webhooks.record import Webhook
from remit.webhooks.sender import TOTAL_REQUESTS, Outcome, Sender

log = logging.getLogger(__name__)

T = TypeVar("T")

_STORE_THREADS = 16
_STOP_POLL_SECONDS = 0.05  # a Stop is set by a signal handler, which cannot wake an event loop


@dataclass(frozen=True)
class Report:
    """What one try did. `chunk` is what the next try goes on with."""

    counts: dict[str, int]
    chunk: Chunk


@dataclass
class _Open:
    """A webhook that is claimed and has no outcome yet."""

    claim: Claim
    claimed_at: datetime
    attempted: bool = False


def deliver(
    services: Services,
    chunk: Chunk,
    stop: Stop,
    *,
    save: Callable[[Chunk], None],
    last_try: bool,
    rand: Callable[[], float] = random.random,
) -> Report:
    """Attempt every webhook of a chunk once, each at its time.

    `save` is called with what this process holds, so that a later try can go on after its death.
    On the `last_try` nothing is kept for another one. Returns early when the stop is requested:
    what is in flight gets the grace period, the rest is given back.
    """
    started = time.monotonic()
    report = asyncio.run(_Try(services, stop, save, last_try, rand).run(chunk))
    log.info(
        "chunk of %d webhooks in %d ms: %s",
        len(chunk.held),
        (time.monotonic() - started) * 1000,
        " ".join(f"{name}={count}" for name, count in sorted(report.counts.items())) or "nothing",
    )
    return report


class _Try:
    def __init__(
        self,
        services: Services,
        stop: Stop,
        save: Callable[[Chunk], None],
        last_try: bool,
        rand: Callable[[], float],
    ) -> None:
        self._settings = services.settings
        self._clock = services.clock
        self._stop = stop
        self._save = save
        self._last_try = last_try
        self._random = rand
        self._schedule = RetrySchedule(first=services.settings.webhook_backoff)
        self._ledger = Ledger(services)
        self._preparer = Preparer(services.tables, services.settings)
        self._sender = Sender(services.settings.webhook_timeout, services.clock)
        self._pool = ThreadPoolExecutor(_STORE_THREADS, "webhook-store")
        self._waiting: dict[str, Held] = {}
        self._open: dict[str, _Open] = {}
        self._kept: list[Held] = []
        self._counts: Counter[Result] = Counter()

    async def run(self, chunk: Chunk) -> Report:
        # Name lookups run on the loop's own threads: one that hangs must not hold up the others.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(TOTAL_REQUESTS))
        self._waiting = {held.id: held for held in chunk.held}
        with self._pool:
            async with self._sender:
                work = asyncio.create_task(self._waves(chunk))
                try:
                    await self._until_done_or_stopped(work)
                finally:
                    await self._give_back(self._open.values())
                    await self._give_back_waiting()
        self._save(self._held())
        return Report({result.value: n for result, n in self._counts.items()}, self._held())

    def _held(self) -> Chunk:
        """All that this process holds a claim for. What has no outcome may be tried at once: a
        later try begins when this process is gone, or was silent for longer than any lease."""
        waiting = [held for held in self._waiting.values() if held.token is not None]
        claimed = [Held(o.claim.key, o.claim.token, o.claimed_at) for o in self._open.values()]
        return Chunk((*waiting, *claimed, *self._kept))

    async def _waves(self, chunk: Chunk) -> None:
        async with asyncio.TaskGroup() as waves:
            for moment, held in chunk.waves(self._clock()):
                waves.create_task(self._wave(moment, held))

    async def _wave(self, moment: datetime, wave: list[Held]) -> None:
        await self._wait_until(moment)
        begun = await asyncio.gather(*(self._begin(held) for held in wave))
        claims = [claim for claim in begun if claim is not None]
        if not claims or self._stop.requested:
            return
        self._save(self._held())
        try:
            prepared = await self._in_pool(lambda: self._preparer.prepare(claims))
        except StoreUnavailable as error:
            log.warning("%d webhooks are put back: %s", len(claims), error)
            await self._give_back(self._open[c.key] for c in claims if c.key in self._open)
            return
        async with asyncio.TaskGroup() as attempts:
            for item in prepared:
                attempts.create_task(self._attempt(item))

    async def _begin(self, held: Held) -> Claim | None:
        claimed_at = self._clock()
        begun: Claim | Result
        try:
            begun = await self._in_pool(lambda: self._claim_unless_stopped(held))
        except Interrupted:
            return None
        except StoreUnavailable as error:
            log.warning("webhook=%r not claimed: %s", held.id, error)
            begun = Result.UNRECORDED
        except Exception:
            log.exception("webhook=%r could not be claimed", held.id)
            begun = Result.ERROR
        del self._waiting[held.id]
        if isinstance(begun, Result):
            self._counts[begun] += 1
            return None
        self._open[held.id] = _Open(begun, claimed_at)
        return begun

    def _claim_unless_stopped(self, held: Held) -> Claim | Result:
        if self._stop.requested:
            raise Interrupted("asked to stop")
        return self._ledger.begin(held)

    async def _attempt(self, item: Prepared | SetAside | Postponed) -> None:
        match item:
            case SetAside(claim, reason):
                await self._record(
                    claim, lambda: self._ledger.set_aside(claim, Status.FAILED, reason)
                )
            case Prepared(claim, webhook) | Postponed(claim, webhook) if not MOVES[webhook.status]:
                await self._record(claim, lambda: self._ledger.drop(claim))
            case Prepared(claim, webhook) | Postponed(claim, webhook) if (
                webhook.expires_at <= self._clock()
            ):
                reason = f"not delivered in {webhook.attempts - 1} attempts"
                await self._record(
                    claim, lambda: self._ledger.set_aside(claim, Status.EXPIRED, reason)
                )
            case Postponed(claim, webhook):
                due_at = self._later(webhook)
                await self._record(
                    claim, lambda: self._ledger.put_back(claim, due_at, attempted=False)
                )
            case Prepared():
                await self._send(item)

    def _later(self, webhook: Webhook) -> datetime:
        """When to look again at a webhook that no attempt was made of: after as long as it has
        waited already, within the bounds of the schedule's tail."""
        now, schedule = self._clock(), self._schedule
        waited = now - (webhook.expires_at - self._settings.webhook_lifetime)
        wait = min(max(waited, schedule.tail), schedule.tail_cap)
        return min(now + wait * (1 + schedule.jitter * self._random()), webhook.expires_at)

    async def _send(self, item: Prepared) -> None:
        opened = self._open.get(item.claim.key)
        async with self._sender.turn(item.webhook.url):
            if opened is None or self._stop.requested or self._lease_too_short(opened):
                await self._give_back([opened] if opened else [])
                return
            opened.attempted = True
            outcome = await self._post(item)
        await self._record(item.claim, lambda: self._settle(item, outcome))

    async def _post(self, item: Prepared) -> Outcome:
        try:
            return await self._sender.post(item.request(self._clock))
        except Exception:
            # Whatever is peculiar about this one webhook: the others of its chunk go on.
            log.exception("webhook=%s could not be sent", item.webhook.id)
            return Outcome(timedelta(), error="internal")

    def _lease_too_short(self, opened: _Open) -> bool:
        """Whether the lease could end before the attempt does; then another would deliver too."""
        lease_end = opened.claimed_at + self._settings.webhook_lease
        return self._clock() + self._settings.webhook_timeout >= lease_end

    def _settle(self, item: Prepared, outcome: Outcome) -> Result:
        """Decide about a webhook after its attempt, and record it."""
        webhook, claim = item.webhook, item.claim
        decision = decide(
            outcome.status,
            outcome.retry_after,
            status=webhook.status,
            attempts=webhook.attempts,
            expires_at=webhook.expires_at,
            now=self._clock(),
            schedule=self._schedule,
            random=self._random(),
        )
        log_attempt(webhook, outcome, decision)
        if decision.next_attempt is None:
            return self._ledger.finish(claim, outcome, decision)
        if not self._keeps(webhook.attempts, decision.next_attempt):
            return self._ledger.release(claim, outcome, decision, decision.next_attempt)
        result = self._ledger.keep(claim, outcome, decision, decision.next_attempt)
        if result is Result.KEPT:
            self._kept.append(Held(claim.key, claim.token, decision.next_attempt))
        return result

    def _keeps(self, attempts: int, next_attempt: datetime) -> bool:
        """Whether the next try of this task makes the next attempt too.

        Not if it is later than the schedule's own burst (`Retry-After`): a chunk that waits for
        one endpoint would hold up the retries of all others.
        """
        if self._last_try or self._stop.requested or attempts >= self._schedule.burst_attempts:
            return False
        return next_attempt <= self._clock() + self._schedule.longest_burst_wait

    async def _record(self, claim: Claim, write: Callable[[], Result]) -> None:
        # From here on there is an outcome, so it is written and no longer given back.
        if self._open.pop(claim.key, None) is not None:
            self._counts[await self._written(claim.key, write)] += 1

    async def _written(self, key: str, write: Callable[[], Result]) -> Result:
        try:
            return await self._in_pool(write)
        except Exception:
            # As with the attempt itself: it concerns this webhook and none of its siblings.
            log.exception("webhook=%r could not be recorded", key)
            return Result.ERROR

    async def _until_done_or_stopped(self, work: asyncio.Task[None]) -> None:
        while not work.done() and not self._stop.requested:
            await asyncio.wait({work}, timeout=_STOP_POLL_SECONDS)
        if self._stop.requested:
            await self._give_back(o for o in self._open.values() if not o.attempted)
            await asyncio.wait({work}, timeout=self._settings.grace.total_seconds())
            work.cancel()
        await asyncio.gather(work, return_exceptions=self._stop.requested)

    async def _wait_until(self, moment: datetime) -> None:
        # An injected clock and a signal: neither can set an event on this loop.
        while (left := (moment - self._clock()).total_seconds()) > 0 and not self._stop.requested:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _STOP_POLL_SECONDS))

    async def _give_back(self, opened: Iterable[_Open]) -> None:
        """Release claims that have no outcome, due at once."""
        now = self._clock()
        ours = [o for o in list(opened) if self._open.pop(o.claim.key, None) is not None]
        await self._put_back([(o.claim, now, o.attempted) for o in ours])

    async def _give_back_waiting(self) -> None:
        """Release what waited in this task for its next attempt, due when that is."""
        waiting, self._waiting = self._waiting.values(), {}
        await self._put_back(
            [
                (Claim(held.id, held.token, {}), held.next_attempt, True)
                for held in waiting
                if held.token is not None
            ]
        )

    async def _put_back(self, claims: list[tuple[Claim, datetime, bool]]) -> None:
        def write(claim: Claim, due_at: datetime, attempted: bool) -> Callable[[], Result]:
            return lambda: self._ledger.put_back(claim, due_at, attempted=attempted)

        self._counts.update(
            await asyncio.gather(*(self._written(claim[0].key, write(*claim)) for claim in claims))
        )

    async def _in_pool(self, call: Callable[[], T]) -> T:
        """Run a call to the store on a thread. Once begun it is completed, even if canceled."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        return await asyncio.shield(future)

"""What becomes of claimed webhooks: decided after their attempts, and written many together."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from remit.clock import Clock
from remit.recent import Recent
from remit.settings import Settings
from remit.stop import Stop
from remit.webhooks import moves
from remit.webhooks.chunk import Held
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.kept import Kept
from remit.webhooks.moves import Attempt, Move, Times
from remit.webhooks.policy import Action, Decision, action_for, decide
from remit.webhooks.prepare import Ready
from remit.webhooks.results import Result
from remit.webhooks.sender import Outcome
from remit.webhooks.writer import Writer

log = logging.getLogger(__name__)

_TOGETHER = 50  # outcomes: each is two actions of a transaction
_LATELY_SECONDS = 2.0  # an index lags behind by less than one
_MOST_REMEMBERED = 10_000
_PATIENCE_SECONDS = 0.03  # that an outcome waits for others

BROKEN_OFF = "broken_off"
"""The error class of an attempt that had no answer when its worker had to end."""


class Health(Protocol):
    """What a recorder tells of an endpoint."""

    def record(
        self,
        key: EndpointKey,
        url: str,
        status: int | None,
        now: datetime,
        secret_ids: tuple[str, ...],
    ) -> None:
        """An attempt at this URL ended with this HTTP status, or with none."""

    def gone(self, key: EndpointKey, url: str) -> None:
        """The endpoint answered at this URL that it is gone for good."""


@dataclass(slots=True)
class Open:
    """A webhook that is claimed and whose outcome is not recorded yet."""

    ready: Ready
    token: str
    claimed_at: datetime
    began_at: datetime | None = None
    """When its attempt began."""
    next_attempt: datetime | None = None
    keeps: bool = False

    @property
    def attempt(self) -> int:
        """The number of this attempt."""
        return (self.ready.seen.attempts or 0) + 1


class Recorder:
    """Records outcomes. `open` is what is claimed and has none yet, `counts` tells what became of
    the rest; `changed` is set at every change.

    With `keeps`, a webhook whose next attempt is soon stays claimed, in `kept`.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        stop: Stop,
        *,
        writer: Writer,
        health: Health,
        rand: Callable[[], float],
        keeps: bool,
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._writer = writer
        self._health = health
        self._random = rand
        self._keeps = keeps
        # A lease may last that long yet; without its record, an attempt is made once more.
        self._patience = settings.webhook_lease.total_seconds()
        self._times = Times(settings.webhook_lease, settings.webhook_retention)
        self._outcomes: list[tuple[Open, Move]] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._lately = Recent(_MOST_REMEMBERED, _LATELY_SECONDS)
        self.open: dict[str, Open] = {}
        self.bytes = 0
        """Of the bodies of what is open. One that several webhooks share counts for each."""
        self.kept = Kept(settings.webhook_chunk)
        self.counts: Counter[Result] = Counter()
        self.changed = asyncio.Event()

    def begin(self, opened: Open) -> Open:
        """One more is claimed."""
        self.open[opened.ready.webhook.id] = opened
        self.bytes += len(opened.ready.body)
        return opened

    def _end(self, opened: Open) -> None:
        if self.open.pop(opened.ready.webhook.id, None) is not None:
            self.bytes -= len(opened.ready.body)

    def had_lately(self, key: str) -> bool:
        """Whether it was recorded a moment ago: an index that says it is due may be behind."""
        return self._lately.has(key, asyncio.get_running_loop().time())

    def remember(self, key: str) -> None:
        """It was written just now."""
        self._lately.note(key, asyncio.get_running_loop().time())

    def settle(self, opened: Open, outcome: Outcome, now: datetime) -> None:
        """Decide about a webhook after its attempt, and let it be recorded with others."""
        try:
            self._settle(opened, outcome, now)
        except Exception:
            # It comes due when its lease ends. Whatever is peculiar about it: the others go on.
            log.exception("webhook=%s could not be recorded", opened.ready.webhook.id)
            self._end(opened)
            self.counts[Result.ERROR] += 1
            self.changed.set()

    async def put_back(self, claimed: list[Open], due_at: datetime | None = None) -> None:
        """Give webhooks back, due at once if nothing else is said. An attempt that was not made
        does not count."""
        due_at = due_at or self._clock()
        await self._write([(one, self._given_back(one, due_at)) for one in claimed])

    def _given_back(self, opened: Open, due_at: datetime) -> Move:
        webhook, token = opened.ready.webhook, opened.token
        due_at = webhook.by_deadline(due_at)
        if opened.began_at is None:
            return moves.put_back(webhook.id, token, due_at, attempts=opened.attempt - 1)
        now = self._clock()
        outcome = Outcome(now - opened.began_at, error=BROKEN_OFF)
        attempt = Attempt(opened.attempt, outcome, Decision(webhook.status, due_at), now)
        return moves.broken_off(webhook, token, attempt, due_at, self._times.retention)

    async def finish(self) -> None:
        """Wait until all outcomes are written. One that is being written is not given up: it would
        be delivered again. What has none is given back."""
        self._flush()
        await asyncio.gather(*self._writing, return_exceptions=True)
        await self.put_back(list(self.open.values()))

    def _settle(self, opened: Open, outcome: Outcome, now: datetime) -> None:
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
        if opened.ready.goes_to_its_endpoint:
            url = opened.ready.url
            self._health.record(known.key, url, outcome.status, now, known.secret_ids)
            if action_for(outcome.status) is Action.DISABLE:
                self._health.gone(known.key, url)
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

    async def _write(self, written: list[tuple[Open, Move]]) -> None:
        if not written:
            return
        results = await self._writer.write([move for _, move in written], self._patience)
        for (opened, move), result in zip(written, results, strict=True):
            self._end(opened)
            self.remember(move.key)
            self.counts[result] += 1
            endpoint = opened.ready.known.key
            if result is Result.KEPT and opened.next_attempt is not None:
                self.kept.keep(Held(move.key, opened.token, opened.next_attempt), endpoint)
            elif opened.keeps:
                self.kept.cancel(endpoint)
        self.changed.set()


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

"""Replays of many webhooks, worked at for some seconds of every minute.

A page is done in two steps: its webhooks are put into the queue, each on the condition that it is
as it was seen; then the cursor and the counts are written, on the condition that the replay is
still this worker's. A worker that is killed between the two leaves a page that is done twice, which
changes nothing: the webhooks carry the replay's id by then (`replayedBy`), and are counted and not
written.

Nobody sleeps for the rate: every webhook is due that much later than the one before it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from remit.clock import epoch_seconds, format_instant
from remit.errors import LeaseLost, QueueFull, StoreUnavailable
from remit.queue import Claim, DueQueue
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.replay import Candidate, Skip
from remit.webhooks.replay_job import Job, JobStatus, Progress, Unreadable, job_in
from remit.webhooks.replay_pages import Page, Pages
from remit.webhooks.replay_writes import PageWriter, Put
from remit.webhooks.waiting import WaitingGauge

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
"""After so long without a page, another worker takes a replay over."""

PAUSE = timedelta(minutes=1)
"""How long a replay waits when its merchant's queue has no room."""

PAGES_PER_TURN = 10
"""Then the other replays that are due have a turn."""

_REPLAYS_AT_ONCE = 10
_THREADS = 16


def run_replays(
    services: Services,
    stop: Stop,
    seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Go on with the replays that are due, for so many seconds or until asked to stop; returns how
    many webhooks went into the queue. Whatever is wrong with a replay, the others go on, and the
    caller too: it comes due again when its lease ends."""
    deadline = monotonic() + seconds
    with ThreadPoolExecutor(_THREADS, "replay") as pool:
        runner = _Runner(services, _Limits(stop, deadline, monotonic), pool)
        try:
            while runner.round():
                pass
        except StoreUnavailable as error:
            log.warning("replays wait: %s", error)
    if runner.replayed:
        log.info("%d webhooks were replayed", runner.replayed)
    return runner.replayed


@dataclass(frozen=True)
class _Limits:
    """Until when a run goes on."""

    stop: Stop
    deadline: float
    monotonic: Callable[[], float]

    @property
    def reached(self) -> bool:
        return self.stop.requested or self.monotonic() >= self.deadline


class _Runner:
    """One call of `run_replays`."""

    def __init__(self, services: Services, limits: _Limits, pool: ThreadPoolExecutor) -> None:
        self.replayed = 0
        self._services = services
        self._limits = limits
        self._pool = pool
        self._queue = DueQueue(services.tables.replays, services.clock)
        # A replay fills no more than half of a merchant's queue: what happens now has the rest.
        half = max(services.settings.webhook_queue_limit // 2, 1)
        self._gauge = WaitingGauge(services, limit=half)

    def round(self) -> bool:
        """A turn for each replay that is due; whether there is reason for another round."""
        if self._limits.reached:
            return False
        turns = [self._take(key) for key in self._queue.due(_REPLAYS_AT_ONCE)]
        return any(turns)

    def _take(self, key: str) -> bool:
        """Claim a replay and go on with it; false if nothing came of that."""
        if self._limits.reached:
            return False
        try:
            claim = self._queue.claim(key, LEASE, set={"status": JobStatus.RUNNING.value})
            if claim is not None:
                self._read_and_go_on(claim)
                return True
        except LeaseLost as error:
            log.info("replay=%s: %s", key, error)
        except StoreUnavailable as error:
            log.warning("replay=%s waits: %s", key, error)
        except Exception:
            log.exception("replay=%s could not go on", key)
        return False

    def _read_and_go_on(self, claim: Claim) -> None:
        try:
            job = job_in(claim.item)
        except Unreadable as error:
            log.warning("replay=%s has failed: %s", claim.key, error)
            self._end(claim, {"status": JobStatus.FAILED.value, "reason": str(error)})
            return
        self._go_on(claim, job)

    def _go_on(self, claim: Claim, job: Job) -> None:
        pages = Pages(self._services, job.merchant_id, job.wanted, job.id)
        writer = PageWriter(self._services, self._limits.stop, job, self._pool)
        progress = job.progress
        for _ in range(PAGES_PER_TURN):
            if self._limits.reached:
                break
            page, pause = self._with_room(job, pages.read(progress.cursor))
            before = self.replayed
            whole = self._put(writer, page, progress)
            self._gauge.added(job.merchant_id, self.replayed - before)
            if not whole:
                break  # asked to stop: whoever goes on begins this page again
            progress.cursor = page.next
            if pause is not None:
                self._release(claim, progress, self._services.clock() + pause)
                return
            if page.next is None:
                self._complete(claim, job, progress)
                return
            self._queue.extend(claim, LEASE, _stored(progress))
        self._release(claim, progress, self._services.clock())

    def _with_room(self, job: Job, page: Page) -> tuple[Page, timedelta | None]:
        """As much of a page as the merchant's queue has room for; if that is not all of it, with
        the time to wait before the rest."""
        fresh = [at for at, one in enumerate(page.found) if isinstance(one.verdict, Candidate)]
        try:
            self._gauge.check(job.merchant_id, len(fresh))
        except QueueFull as full:
            room = max(full.limit - full.count, 0)
            log.info("replay=%s waits: %s", job.id, full)
            first = fresh[room]  # it has no room, and nothing after it
            found = page.found[:first]
            start = found[-1].place if found else job.progress.cursor
            return Page(found, start), max(PAUSE, full.retry_after)
        return page, None

    def _put(self, writer: PageWriter, page: Page, progress: Progress) -> bool:
        """Put the webhooks of a page into the queue and count them; False: not all were tried, and
        nothing is counted."""
        slots = writer.slots(page.found, progress.last_due_at)
        results = writer.write(slots)
        self.replayed += results.count(Put.NOW)
        if Put.NOT_TRIED in results:
            return False
        progress.matched += len(results)
        for slot, result in zip(slots, results, strict=True):
            if isinstance(result, Skip):
                progress.skipped[result.value] += 1
            else:
                progress.replayed += 1
                progress.last_due_at = slot.lifespan.begins
        return True

    def _release(self, claim: Claim, progress: Progress, due_at: datetime) -> None:
        self._queue.release(claim, due_at, _stored(progress))

    def _complete(self, claim: Claim, job: Job, progress: Progress) -> None:
        log.info(
            "replay=%s of %s is complete: matched=%d replayed=%d skipped=%s",
            job.id,
            job.merchant_id,
            progress.matched,
            progress.replayed,
            dict(progress.skipped),
        )
        self._end(claim, {**progress.attributes(), "status": JobStatus.COMPLETED.value})

    def _end(self, claim: Claim, attributes: dict[str, object]) -> None:
        """It is kept for a while, with what became of it."""
        now = self._services.clock()
        expires_at = epoch_seconds(now + self._services.settings.webhook_retention)
        ended = {"finishedAt": format_instant(now), "expiresAt": expires_at}
        self._queue.finish(claim, {**attributes, **ended}, remove=["cursor"])


def _stored(progress: Progress) -> dict[str, object]:
    cursor = {} if progress.cursor is None else {"cursor": progress.cursor}
    return {**progress.attributes(), **cursor}

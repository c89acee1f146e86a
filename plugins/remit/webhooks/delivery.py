"""One try of a delivery task: feed ─► prepare ─► claim ─► send ─► record, as long as work is due.

A first attempt and a retry are the same: a webhook whose time has come. What is held is bounded, by
`REMIT_WEBHOOK_CHUNK`; what is due is not: as some webhooks end, others are claimed. Every endpoint
has a lane of its own, so that one that hangs holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from remit.aws.wire import Wire
from remit.clock import format_instant
from remit.errors import StoreUnavailable
from remit.garbage import rarely_collected
from remit.queue import SHARDS, new_token
from remit.services import Services
from remit.stop import LOOK_SECONDS, Stop, done_or_stopped
from remit.webhooks import moves
from remit.webhooks.admission import Admission
from remit.webhooks.chunk import Chunk
from remit.webhooks.courier import Courier
from remit.webhooks.directory import Directory
from remit.webhooks.disabling import disable_and_tell
from remit.webhooks.feed import Feed
from remit.webhooks.health import HealthBook
from remit.webhooks.moves import Move
from remit.webhooks.pacing import Pacing
from remit.webhooks.permits import RateLimits
from remit.webhooks.prepare import Prepared, Preparer, Ready
from remit.webhooks.reader import Reader
from remit.webhooks.recorder import Recorder
from remit.webhooks.results import Result
from remit.webhooks.retries import Retries
from remit.webhooks.sender import Sender
from remit.webhooks.signing import Signer
from remit.webhooks.writer import Writer

log = logging.getLogger(__name__)

TRY_SECONDS = 60.0
"""After so long a try claims nothing more, so that the retries of its task come about."""

MOST_BYTES = 96 << 20
"""Nothing is claimed while the bodies of what is open take so much. Endpoints that have not
answered have half of the places: of the default 500, with the largest payloads, two thirds of it.
"""

_BATCH = 100  # webhooks that are read and claimed together
_HEALTH_SECONDS = 1.0
_THREADS = 64


@dataclass(frozen=True)
class Report:
    """What one try did. `chunk` is what the next try goes on with."""

    counts: dict[str, int]
    chunk: Chunk


def deliver(
    services: Services,
    stop: Stop,
    chunk: Chunk = Chunk(),  # noqa: B008 - immutable
    *,
    shards: Iterable[int] = range(SHARDS),
    save: Callable[[Chunk], None],
    last_try: bool,
    rand: Callable[[], float] = random.random,
) -> Report:
    """Attempt what a chunk holds, each webhook at its time, and what is due in the shards.

    Returns when nothing is due any more, or the stop is requested: what is in flight then gets the
    grace period, the rest is given back. `save` is called with what the next try shall go on with,
    if there is something; on the `last_try` nothing is kept for another one.
    """
    started = time.monotonic()
    with rarely_collected():
        report = asyncio.run(_deliver(services, stop, chunk, shards, last_try, rand))
    if report.chunk.held:
        save(report.chunk)
    log.info(
        "delivered for %d ms: %s",
        (time.monotonic() - started) * 1000,
        " ".join(f"{name}={count}" for name, count in sorted(report.counts.items())) or "nothing",
    )
    return report


async def _deliver(  # noqa: PLR0917 - where the parts are put together
    services: Services,
    stop: Stop,
    chunk: Chunk,
    shards: Iterable[int],
    last_try: bool,
    rand: Callable[[], float],
) -> Report:
    # The loop's own threads are for short work; name lookups, which may hang, have others.
    executor = ThreadPoolExecutor(_THREADS, "webhooks")
    asyncio.get_running_loop().set_default_executor(executor)
    settings, clock, tables = services.settings, services.clock, services.tables
    wire = Wire(services.aws, tables.client.meta.endpoint_url)
    sender = Sender.of(settings, clock)
    health = HealthBook(services, rand, disable=partial(disable_and_tell, services))
    reader, writer = Reader(tables, wire), Writer(tables, wire)
    directory = Directory(reader, settings, clock, services.vault, health)
    recorder = Recorder(
        settings, clock, stop, writer=writer, health=health, rand=rand, keeps=not last_try
    )
    signer = Signer(settings.webhook_signing_key)
    courier = Courier(
        settings, clock, stop, sender=sender, signer=signer, recorder=recorder, health=health
    )
    preparer = Preparer(reader, directory, settings, clock, rand)
    feed = Feed(reader, shards, clock, time.monotonic)
    async with wire, sender:
        attempt = _Try(
            services,
            stop,
            feed=feed,
            preparer=preparer,
            writer=writer,
            courier=courier,
            recorder=recorder,
            retries=Retries(chunk.held, recorder.kept),
            health=health,
            pacing=Pacing(RateLimits(tables.endpoints), settings, clock),
        )
        return await attempt.run()


class _Try:
    """Claims webhooks as there is room for them, until nothing is left to do."""

    def __init__(
        self,
        services: Services,
        stop: Stop,
        *,
        feed: Feed,
        preparer: Preparer,
        writer: Writer,
        courier: Courier,
        recorder: Recorder,
        retries: Retries,
        health: HealthBook,
        pacing: Pacing,
    ) -> None:
        self._settings = services.settings
        self._clock = services.clock
        self._stop = stop
        self._feed = feed
        self._preparer = preparer
        self._writer = writer
        self._courier = courier
        self._recorder = recorder
        self._health = health
        self._pacing = pacing
        self._retries = retries
        self._admission = Admission(
            courier,
            recorder,
            health,
            feed=feed,
            chunk=services.settings.webhook_chunk,
            clock=services.clock,
        )

    async def run(self) -> Report:
        """Everything, from what an earlier try kept to what the next one shall go on with."""
        working = asyncio.create_task(self._work())
        keeping = asyncio.create_task(self._keep_health())
        try:
            await done_or_stopped(working, self._stop)
            # A store that does not answer must not take all of the grace period.
            if self._stop.requested:
                await asyncio.wait({working}, timeout=self._stop.left() / 2)
                working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            if not working.cancelled():
                working.result()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._end()
        counts = {result.value: n for result, n in self._recorder.counts.items() if n}
        return Report(counts, Chunk(tuple(self._retries.all())))

    async def _work(self) -> None:
        until = time.monotonic() + TRY_SECONDS
        while not self._stop.requested and time.monotonic() < until:
            self._recorder.changed.clear()
            try:
                busy = await self._once()
            except StoreUnavailable as error:
                log.warning("nothing is claimed for now: %s", error)
                busy = False
                if not self._recorder.open:
                    return
            if busy:
                continue
            if not (
                self._recorder.open
                or self._retries
                or self._admission.parks
                or self._admission.expects()
            ):
                return
            wait = self._feed.wait_seconds() or LOOK_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._recorder.changed.wait(), min(wait, LOOK_SECONDS))

    async def _once(self) -> bool:
        """One batch of whatever is first in line; False: there is nothing to do just now."""
        recorder = self._recorder
        room = min(_BATCH, self._settings.webhook_chunk - len(recorder.open))
        if room <= 0 or recorder.bytes >= MOST_BYTES:
            return False
        if self._admission.parks:
            overdue = self._admission.overdue()
            parked = self._admission.unpark(room, overdue)
            if parked or overdue:
                await self._begin(parked, overdue)
                return True
        if tokens := self._retries.due(self._clock(), room):
            prepared = await self._held(tokens)
            recorder.counts[Result.LOST] += prepared.lost
        elif self._admission.enough_is_parked():
            return False
        else:
            news = await self._feed.take(room, self._admission.is_news)
            if not news:
                return self._feed.wait_seconds() <= 0
            prepared = await self._preparer.due(news)
        ready = [each for each in prepared.ready if self._admission.admits(each, prepared.moves)]
        await self._begin(ready, prepared.moves)
        return True

    async def _held(self, tokens: dict[str, str]) -> Prepared:
        try:
            prepared = await self._preparer.held(tokens)
        except StoreUnavailable:
            self._retries.again(tokens)
            raise
        self._retries.begin(tokens)
        return prepared

    async def _begin(self, ready: list[Ready], done: list[Move]) -> None:
        """Claim, and write what else there is to write; what is claimed goes its way."""
        courier, now, token = self._courier, self._clock(), new_token()
        begun: set[str] = set()
        try:
            allowed = await self._with_one_probe_each(ready, done)
            permitted = await self._pacing.permitted(allowed, done)
            complete = await self._preparer.complete(permitted, done)
            leased_until = format_instant(now + self._settings.webhook_lease)
            claims = [moves.claim(each.seen, token, leased_until) for each in complete]
            results = await self._writer.write([*claims, *done])
            for each, result in zip(complete, results, strict=False):
                if result is Result.CLAIMED:
                    begun.add(each.webhook.id)
                    courier.accept(each, token, now)
                else:
                    self._admission.ended(each.webhook.id, result)
            for move, result in zip(done, results[len(complete) :], strict=True):
                self._admission.ended(move.key, result)
        finally:
            for each in ready:
                if each.webhook.id not in begun:
                    courier.lane(each).release()

    async def _with_one_probe_each(self, ready: list[Ready], done: list[Move]) -> list[Ready]:
        """All but those that would be another probe of an endpoint that failed: these are put off,
        in `done`."""
        probes = {each.known.key: each for each in ready if each.probes}
        if not probes:
            return ready
        granted = await asyncio.gather(
            *(asyncio.to_thread(self._health.try_probe, key) for key in probes)
        )
        sent = {each.webhook.id for each, may in zip(probes.values(), granted, strict=True) if may}
        until = self._clock() + self._settings.webhook_timeout
        allowed = []
        for each in ready:
            if not each.probes or each.webhook.id in sent:
                allowed.append(each)
            else:
                done.append(moves.defer(each.seen, each.webhook, until))
        return allowed

    async def _keep_health(self) -> None:
        while True:
            await asyncio.sleep(_HEALTH_SECONDS)
            await self._write_health()

    async def _write_health(self) -> None:
        for write in self._health.writes(self._clock()):
            await asyncio.to_thread(self._health.apply, write)

    async def _end(self) -> None:
        """Finish what is in flight. Asked to stop, give back what waits for its next attempt, too,
        due when that is."""
        await self._courier.finish()
        back = self._admission.kept_claims()
        self._recorder.counts.update(await self._writer.write(back))
        if self._stop.requested:
            held = self._retries.take_all()
            back = [moves.put_back(h.id, h.token, h.next_attempt) for h in held]
            self._recorder.counts.update(await self._writer.write(back))
        # Last: what is lost of it is seen again, and Airflow does not wait for long.
        await self._write_health()

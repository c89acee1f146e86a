"""Claimed webhooks on their way: sent from the lanes of their endpoints."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from remit.clock import Clock, epoch_seconds
from remit.settings import Settings
from remit.stop import Stop, done_or_stopped
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.lanes import Lane, Tally
from remit.webhooks.prepare import Ready
from remit.webhooks.recorder import Open, Recorder
from remit.webhooks.sender import Outcome, Request
from remit.webhooks.workers import Workers

log = logging.getLogger(__name__)


class Post(Protocol):
    """What a courier needs of a `Sender`."""

    async def post(self, request: Request) -> Outcome:
        """Post once; every failure is an outcome."""


class Sign(Protocol):
    """What a courier needs of a `Signer`."""

    def headers(self, webhook_id: str, timestamp: int, body: bytes, keys: Any) -> dict[str, str]:
        """The headers of one attempt."""


class Health(Protocol):
    """What a courier asks about an endpoint."""

    def shut_until(self, key: EndpointKey, now: datetime) -> datetime | None:
        """Until when nothing but a probe is sent to an endpoint; None: it may be sent."""


class Courier:
    """Sends what is claimed; a `Recorder` records it."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        stop: Stop,
        *,
        sender: Post,
        signer: Sign,
        recorder: Recorder,
        health: Health,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._sender = sender
        self._signer = signer
        self._recorder = recorder
        self._health = health
        # An outcome is late when DynamoDB ails, and the one who takes over has a clock of its own.
        attempt = settings.webhook_timeout + settings.webhook_lease_margin
        self._latest_start = settings.webhook_lease - attempt
        self._lanes: dict[EndpointKey, Lane[Open, Ready]] = {}
        self._workers = Workers(self._send)
        self.tally = Tally()

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
        self.lane(ready).put(self._recorder.begin(Open(ready, token, claimed_at)))

    async def finish(self) -> None:
        """Wait until everything has its outcome. Once it is asked to stop, what waits for its turn
        is given back at once, and what is in flight at the end of the grace period."""
        finishing = asyncio.create_task(self._workers.finish(self._stop.left))
        await done_or_stopped(finishing, self._stop)
        if self._stop.requested:
            waiting = [one for lane in self._lanes.values() for one in lane.take_waiting()]
            await self._recorder.put_back([*waiting, *self._workers.take_waiting()])
        await finishing
        await self._recorder.finish()

    async def _send(self, opened: Open) -> None:
        """One attempt, from its lane."""
        now, lane = self._clock(), self.lane(opened.ready)
        if self._is_over(opened, now) or self._lease_too_short(opened, now):
            lane.done(now, answered=False)
            await self._recorder.put_back([opened])
            return
        if (until := self._shut_until(opened.ready, now)) is not None:
            unsent = [opened, *lane.take_waiting()]
            lane.done(now, answered=False)
            await self._recorder.put_back(unsent, until)
            return
        if (moment := opened.ready.not_before) is not None and moment > now:
            await asyncio.sleep((moment - now).total_seconds())
            now = self._clock()
            if self._is_over(opened, now):
                lane.done(now, answered=False)
                await self._recorder.put_back([opened])
                return
        opened.began_at = now
        outcome = await self._post(opened, now)
        now = self._clock()
        lane.done(now, answered=outcome.status is not None)
        self._recorder.settle(opened, outcome, now)

    def _is_over(self, opened: Open, now: datetime) -> bool:
        """Asked to stop, or past its deadline; in the end whoever finds it due again ends it."""
        return self._stop.requested or now >= opened.ready.webhook.deliver_before

    def _shut_until(self, ready: Ready, now: datetime) -> datetime | None:
        """Whether its endpoint has been found to fail since it was claimed."""
        if ready.probes or not ready.goes_to_its_endpoint:
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

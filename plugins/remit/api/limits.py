"""How many requests a merchant may make: one rate for all processes of the hook, on all hosts.

The rate is kept as `remit.webhooks.permits` keeps those of endpoints: one number for each merchant,
in `RateLimits`. A process takes permits for several requests with one write, and has a second to
use them. A merchant who is over the rate is refused without another write until there would be a
permit. While the store is out of reach, requests pass: to be served matters more than the limit.
The header fields are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers
(revision 10): `RateLimit-Policy` says the rate, `RateLimit` what is left of it, as far as is known.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from anyio import CapacityLimiter, to_thread
from botocore.exceptions import ClientError
from starlette.types import ASGIApp, Receive, Scope, Send

from remit.api import fairness
from remit.api.backend import Backend
from remit.api.call import ANSWER_HEADERS, CALLER, shown_path
from remit.api.problems import problem
from remit.api.refusals import RateLimited
from remit.errors import RemitError, StoreUnavailable
from remit.metrics import UNLIMITED
from remit.services import Services
from remit.webhooks.permits import MERCHANT, Permits, RateLimits

log = logging.getLogger(__name__)

POLICY = "requests"
"""The name of the only policy."""

BATCHES_PER_SECOND = 5
"""So many writes per second hold a process at the whole rate."""

LARGEST_BATCH = 100
FRESH = timedelta(seconds=1)
"""How long permits are good: kept for longer, they would add to a later burst."""

OUTAGE = timedelta(seconds=5)
"""After the store could not be reached it is not asked again for so long."""

ASK_SECONDS = 1.0
"""A request waits no longer for the store to say whether it may pass."""

ASKING = 8
"""Threads that ask the store. The hook's others are for those who passed."""

WARNED = timedelta(minutes=1)
"""The log says at most once in so long that there is no limit."""

MOST_KNOWN = 10_000
"""Merchants that are remembered."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Budget:
    """What one process has of a merchant's rate."""

    permits: int = 0
    until: datetime = _LONG_AGO
    """When the permits are good for nothing any more."""
    closed_until: datetime = _LONG_AGO
    """Before that there is no permit to be had."""
    asking: asyncio.Task[None] | None = field(default=None, repr=False)
    """One asks the store, all requests wait for what it gets."""

    def is_settled(self, now: datetime) -> bool:
        """Whether the store need not be asked."""
        return (self.permits > 0 and now < self.until) or now < self.closed_until


class MerchantRates:
    """The rates of all merchants as one process knows them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._services: Services | None = None
        self._limits: RateLimits | None = None
        self._budgets: dict[str, _Budget] = {}
        self._asking = CapacityLimiter(ASKING)
        self._out_until = self._warned_until = _LONG_AGO

    async def take(self, merchant_id: str) -> Mapping[str, str]:
        """Use one permit; returns the header fields that say what is left.

        Raises:
            RateLimited: there is none.
            ConfigurationError, StoreUnavailable: there are no services to serve anybody with.
        """
        services = self._services
        if services is None:
            services = self._services = await self._backend.run(lambda: self._backend.services)
        rate, budget = services.settings.api_rate, self._budget(merchant_id)
        if not self._is_settled(budget, services):
            await self._settle(services, merchant_id, budget)
        now = services.clock()
        policy = {"RateLimit-Policy": f'"{POLICY}";q={rate};w=1'}
        if now < self._out_until:
            return policy
        if budget.permits < 1:
            raise RateLimited(rate, max(budget.closed_until - now, timedelta()))
        budget.permits -= 1
        left = budget.permits + self._rates(services).left((merchant_id, MERCHANT), rate, now)
        return policy | {"RateLimit": f'"{POLICY}";r={left};t=1'}

    def refused(self, error: RateLimited) -> Mapping[str, str]:
        """The header fields of a refusal."""
        wait = max(1, math.ceil(error.retry_after.total_seconds()))
        return {
            "RateLimit-Policy": f'"{POLICY}";q={error.rate};w=1',
            "RateLimit": f'"{POLICY}";r=0;t={wait}',
        }

    def _is_settled(self, budget: _Budget, services: Services) -> bool:
        now = services.clock()
        return budget.is_settled(now) or now < self._out_until

    async def _settle(self, services: Services, merchant_id: str, budget: _Budget) -> None:
        """Have the store asked until there are permits or a refusal, or it takes too long."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + ASK_SECONDS
        while not self._is_settled(budget, services) and (left := give_up_at - loop.time()) > 0:
            ask = budget.asking
            if ask is None or ask.done():
                ask = budget.asking = loop.create_task(self._ask(services, merchant_id, budget))
            done, _ = await asyncio.wait({ask}, timeout=left)
            if done:
                ask.result()
            else:  # it goes on by itself, holding one of the threads for this
                self._pass_all(services, f"no answer within {ASK_SECONDS:g} s")

    async def _ask(self, services: Services, merchant_id: str, budget: _Budget) -> None:
        """Take a batch of permits from the store."""
        rate = services.settings.api_rate
        batch = min(max(1, rate // BATCHES_PER_SECOND), LARGEST_BATCH)

        def acquire() -> Permits:
            now = services.clock()
            return self._rates(services).acquire((merchant_id, MERCHANT), rate, batch, now, now)

        try:
            had = await to_thread.run_sync(acquire, limiter=self._asking, abandon_on_cancel=True)
        except (StoreUnavailable, ClientError) as error:
            self._pass_all(services, error)
            return
        # Only now: who knows how long it took.
        budget.permits, budget.until = len(had.moments), services.clock() + FRESH
        budget.closed_until = _LONG_AGO if had.moments else had.deferred[0]

    def _pass_all(self, services: Services, why: object) -> None:
        """Let all requests pass for a while. From now on: to find out may have taken longer."""
        now = services.clock()
        if now < self._out_until:
            return
        self._out_until = now + OUTAGE
        self._backend.metrics.count(UNLIMITED)
        if now >= self._warned_until:
            self._warned_until = now + WARNED
            log.warning("requests pass without a limit for %s: %s", OUTAGE, why)

    def _rates(self, services: Services) -> RateLimits:
        if self._limits is None:
            self._limits = RateLimits(services.tables.rate_limits)
        return self._limits

    def _budget(self, merchant_id: str) -> _Budget:
        budget = self._budgets.get(merchant_id)
        if budget is None:
            if len(self._budgets) >= MOST_KNOWN:
                self._budgets.clear()
                self._limits = None
            budget = self._budgets[merchant_id] = _Budget()
        return budget


class RateLimit:
    """ASGI middleware: holds those whom the guard let in to their rate."""

    def __init__(self, app: ASGIApp, backend: Backend) -> None:
        self._app = app
        self._rates = MerchantRates(backend)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if (caller := scope.get(CALLER)) is None:
            await self._app(scope, receive, send)
            return
        served = fairness.MERCHANT.set(caller.merchant_id)
        try:
            await self._serve(scope, receive, send, caller.merchant_id)
        finally:
            fairness.MERCHANT.reset(served)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, merchant_id: str) -> None:
        try:
            scope[ANSWER_HEADERS].update(await self._rates.take(merchant_id))
        except RemitError as error:
            if isinstance(error, RateLimited):
                scope[ANSWER_HEADERS].update(self._rates.refused(error))
            else:
                log.error("%s %r: %s", scope["method"], shown_path(scope["path"]), error)  # noqa: TRY400
            await problem(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

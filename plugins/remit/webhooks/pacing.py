"""Rates, of endpoints and of merchants: which webhooks of a batch may be sent within a moment."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from remit.clock import Clock
from remit.settings import Settings
from remit.webhooks import moves
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.moves import Move
from remit.webhooks.permits import MERCHANT, RateLimits
from remit.webhooks.prepare import Ready

HORIZON = timedelta(seconds=1)
"""What may be sent within this is claimed, and waits in its lane; the rest is put off."""


class Pacing:
    """Takes the permits of a batch. Endpoints and merchants without a rate cost nothing."""

    def __init__(self, limits: RateLimits, settings: Settings, clock: Clock) -> None:
        self._limits = limits
        self._merchant_rate = settings.webhook_merchant_rate
        self._clock = clock

    async def permitted(self, ready: Sequence[Ready], done: list[Move]) -> list[Ready]:
        """Those that may be sent, each from its moment on; the others are put off, in `done`.

        Raises:
            StoreUnavailable: it is not known who may.
        """
        of_endpoints: defaultdict[EndpointKey, list[Ready]] = defaultdict(list)
        rates: dict[EndpointKey, int] = {}
        free: list[Ready] = []
        for each in ready:
            rate = each.known.endpoint.rate
            if rate is None:
                free.append(each)
            else:
                of_endpoints[each.known.key].append(each)
                rates[each.known.key] = rate
        permitted = free + await self._take(of_endpoints, rates, done)
        if not self._merchant_rate:
            return permitted
        of_merchants: defaultdict[EndpointKey, list[Ready]] = defaultdict(list)
        for each in permitted:
            of_merchants[each.known.key[0], MERCHANT].append(each)
        return await self._take(
            of_merchants, dict.fromkeys(of_merchants, self._merchant_rate), done
        )

    async def _take(
        self,
        groups: dict[EndpointKey, list[Ready]],
        rates: dict[EndpointKey, int],
        done: list[Move],
    ) -> list[Ready]:
        now = self._clock()
        permitted: list[Ready] = []
        taken = await asyncio.gather(
            *(
                asyncio.to_thread(
                    self._limits.acquire, key, rates[key], len(group), now, now + HORIZON
                )
                for key, group in groups.items()
            )
        )
        for group, permits in zip(groups.values(), taken, strict=True):
            for each, moment in zip(group, permits.moments, strict=False):
                each.not_before = (
                    moment if each.not_before is None else max(each.not_before, moment)
                )
                permitted.append(each)
            put_off = group[len(permits.moments) :]
            done += [
                moves.defer(each.seen, each.webhook, until)
                for each, until in zip(put_off, permits.deferred, strict=False)
            ]
        return permitted

"""What the routes stand on: the services, the DAG runs, and threads to wait on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from remit.api.catalog import ReportCatalog
from remit.api.deliveries import Deliveries
from remit.api.fairness import Fairness
from remit.api.reading import Reader
from remit.api.starts import Starts
from remit.exports.store import ExportStore
from remit.metrics import NO_METRICS, Metrics
from remit.services import Services
from remit.triggers import Trigger
from remit.triggers.counted import CountedTrigger
from remit.webhooks.outbox import Outbox

THREADS = 32
"""Requests that wait for AWS at a time, in one process of the API server."""

T = TypeVar("T")


class Backend:
    """Made once per process. `connect` is called by the first request, and again by the next one if
    it fails: a server that starts while AWS is out of reach need not be restarted."""

    def __init__(
        self, connect: Callable[[], Services], trigger: Trigger, metrics: Metrics = NO_METRICS
    ) -> None:
        self.trigger: Trigger = CountedTrigger(trigger, metrics)
        self.metrics = metrics
        self._connect = connect
        self._connecting = threading.Lock()
        self._services: Services | None = None
        self._threads = CapacityLimiter(THREADS)
        self._fairness = Fairness()
        self.starts = Starts()
        # A thread of its own: a slow Airflow holds up none of those who wait for AWS.
        waking = CapacityLimiter(1)
        self.deliveries = Deliveries(
            self.trigger.wake_delivery, partial(to_thread.run_sync, limiter=waking)
        )
        self.reader = Reader()

    @property
    def services(self) -> Services:
        """Settings, time and AWS. For the threads of `run`: to connect may take a while."""
        with self._connecting:
            if self._services is None:
                services = self._connect()
                _ = services.tables  # their client takes a while to make: for this thread, too
                self._services = services
            return self._services

    async def connected(self) -> Services:
        """The services, for whoever is on the event loop."""
        if self._services is None:
            return await self.run(lambda: self.services)
        return self._services

    async def close(self) -> None:
        """Finish what is under way by itself. For the end of the app, if the server tells it."""
        await asyncio.gather(self.deliveries.close(), self.starts.close())
        await self.reader.close()

    @property
    def exports(self) -> ExportStore:
        """The export jobs."""
        services = self.services
        return ExportStore(services.export_queue, services.settings, services.clock)

    @cached_property
    def reports(self) -> ReportCatalog:
        """The reports of the deployment's folder."""
        return ReportCatalog(self.services.settings.reports)

    @cached_property
    def outbox(self) -> Outbox:
        """Where events are put. One, for it remembers how long merchants' queues are."""
        return Outbox(self.services)

    async def run(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """The result of blocking work, done on a thread of the hook's own: neither the API server's
        event loop nor the threads of Airflow's own routes are held up when DynamoDB is slow. Some
        of them at a time for each merchant: the work of one does not hold up that of others."""
        async with self._fairness.place():
            return await to_thread.run_sync(
                partial(work, *arguments, **named), limiter=self._threads
            )

"""The real app, served over HTTP, on stand-ins of AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from demo.loopback import loopback
from remit.api.app import create_app
from remit.auth import Verifier
from remit.client import Polling, RemitClient, RetryPolicy
from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from tests.support.api import TOKENS, NotedRuns, token
from tests.support.aws import REGION, UNLIMITED
from tests.support.clock import ManualClock
from tests.support.endpoints import KEY
from tests.support.exports import claimed
from tests.support.serving import served
from tests.support.standins import StandIns, standins

__all__ = ["Worker", "client_for", "hook_url", "runs", "services", "standins", "worker"]

MANY_EXPORTS = 1_000
"""That a merchant may have under way."""

EVERYTHING = ("payments", "refunds", "webhooks", "events", "schedules", "audit")


@pytest.fixture
def services(standins: StandIns, clock: ManualClock) -> Services:
    """As of `standins`, for a merchant that asks for many exports at once."""
    settings = Settings(
        region=REGION,
        webhook_networks="127.0.0.0/8",
        secret_keys=KEY,
        api_rate=UNLIMITED,
        max_active_exports=MANY_EXPORTS,
    )
    return Services(settings, standins.aws, clock)


@pytest.fixture
def runs() -> NotedRuns:
    """The runs that the hook has started."""
    return NotedRuns()


@pytest.fixture
def hook_url(services: Services, runs: NotedRuns, clock: ManualClock) -> Iterator[str]:
    """Where the hook is."""
    with served(create_app(lambda: services, runs, Verifier(TOKENS, clock))) as url:
        yield url


ClientFor = Callable[..., RemitClient]


@pytest.fixture
def client_for(hook_url: str, clock: ManualClock) -> Iterator[ClientFor]:
    """Makes clients of a merchant with such permissions, all of them unless told otherwise."""
    made: list[RemitClient] = []

    def make(merchant: str = "merchant-1", *permissions: str) -> RemitClient:
        made.append(
            RemitClient(
                hook_url,
                lambda: token(clock, merchant, *(permissions or EVERYTHING)),
                session=loopback(),
                polling=Polling(0.01, 1, 0.01),
                retries=RetryPolicy(tries=3, first_wait=0.01),
            )
        )
        return made[-1]

    yield make
    for client in made:
        client.close()


@dataclass
class Worker:
    """Makes exports, in the place of Airflow's workers: of more than `small` rows, in slices."""

    services: Services
    small: int = 200_000

    def make(self, export_id: str) -> None:
        """Make an export that was asked for."""
        settings = replace(
            self.services.settings, small_export_rows=self.small, slice_rows=self.small
        )
        pipeline = ExportPipeline(replace(self.services, settings=settings), Stop())
        if slices := pipeline.prepare(claimed(pipeline, export_id)):
            pipeline.publish([pipeline.render(piece) for piece in slices])


@pytest.fixture
def worker(services: Services) -> Worker:
    """A worker on the same tables."""
    return Worker(services)

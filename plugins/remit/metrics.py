"""Counts and times for whoever watches the deployment.

| form                                   | where the numbers go                                   |
|----------------------------------------|--------------------------------------------------------|
| `remit.airflow.metrics.AirflowMetrics` | where Airflow's own go: StatsD, OpenTelemetry          |
| `LoggedMetrics`                        | the log, a line each, for the service of its own       |
| `NoMetrics`                            | nowhere                                                |

A tag has few values: a DAG, a route, a status class. Never a merchant's id.
"""

from __future__ import annotations

import logging
from typing import Protocol

log = logging.getLogger(__name__)

TRIGGER_FAILED = "remit.hook.trigger_failed"
"""Counts, by `dag`, what Airflow did not start. Nothing is lost: the poller finds it."""

UNLIMITED = "remit.hook.unlimited"
"""Counts when requests began to pass without a limit for some seconds, for nobody counts them."""


class Metrics(Protocol):
    """Where numbers go. For any thread and for event loops: nothing here waits."""

    def count(self, name: str, **tags: str) -> None:
        """One more of these."""

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """How long one of these took."""


class NoMetrics:
    """Nobody watches."""

    def count(self, name: str, **tags: str) -> None:
        """See `Metrics`."""

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """See `Metrics`."""


NO_METRICS = NoMetrics()


class LoggedMetrics:
    """A line of the log for each."""

    def count(self, name: str, **tags: str) -> None:
        """See `Metrics`."""
        log.info("metric %s%s", name, _shown(tags))

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """See `Metrics`."""
        log.info("metric %s%s seconds=%.6f", name, _shown(tags), seconds)


def _shown(tags: dict[str, str]) -> str:
    return "".join(f" {name}={value}" for name, value in sorted(tags.items()))

"""Remit over a stretch of time: one try of a task after the other, each with what the one before
has kept, until it is over."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping

from benchmarks.webhooks.measuring import Parameters, measure
from benchmarks.webhooks.ours import Task
from benchmarks.webhooks.subjects.ours import DISTRIBUTIONS, services
from remit.services import Services
from remit.stop import stop_on_sigterm


def deliver(parameters: Parameters, prepared: Services) -> Mapping[str, int]:
    """Deliver whatever comes due, until the time is over or SIGTERM."""
    counts, task = Counter[str](), Task(prepared)
    until = time.monotonic() + parameters.seconds
    with stop_on_sigterm(prepared.settings.grace) as stop:
        while not stop.requested and time.monotonic() < until:
            counts.update(task.one_try(stop))
    return counts


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)  # what hangs is warned about, time and again
    measure(services, deliver, "the defaults of a deployment", DISTRIBUTIONS)

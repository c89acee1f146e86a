"""Remit: what is due is claimed, signed, sent and recorded by the engine itself."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from benchmarks.figures import BenchmarkFailed
from benchmarks.webhooks.measuring import Parameters, measure
from benchmarks.webhooks.ours import one_try
from benchmarks.webhooks.store import services_at
from remit.services import Services
from remit.stop import stop_on_sigterm

DISTRIBUTIONS = ("aiohttp", "botocore", "isal", "msgspec")


def services(parameters: Parameters) -> Services:
    """Remit on the stand-in."""
    return services_at(parameters.dynamodb)


def deliver(parameters: Parameters, prepared: Services) -> Mapping[str, int]:
    """As many tries as it takes, one after the other; one claims for a minute at the most."""
    counts: Counter[str] = Counter()
    with stop_on_sigterm(prepared.settings.grace) as stop:
        while counts["delivered"] < parameters.count:
            done = one_try(prepared, stop)
            if not done.get("delivered"):
                raise BenchmarkFailed(f"a try delivered nothing: {done}, after {dict(counts)}")
            counts.update(done)
    return counts


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    measure(services, deliver, "the defaults of a deployment", DISTRIBUTIONS)

"""The one place where the benchmark calls Remit's delivery."""

from __future__ import annotations

from collections.abc import Mapping

from remit.services import Services
from remit.stop import Stop
from remit.webhooks.delivery import deliver


def one_try(services: Services, stop: Stop) -> Mapping[str, int]:
    """One try of a delivery task, which keeps nothing for another; what became of how many."""
    return deliver(services, stop, save=lambda _: None, last_try=True).counts

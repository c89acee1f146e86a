"""A deliverer as a process of its own: `python -m tests.support.deliverer ENDPOINT`.

It delivers what is due, with a short lease, until it is killed; `delivering` on its standard output
says that it begins.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from remit.services import Services
from remit.settings import Settings
from remit.stop import stop_on_sigterm
from remit.webhooks.delivery import Report, deliver
from tests.support.aws import REGION, aws_at


def short_lease_services(endpoint: str) -> Services:
    """Real time; a worker that dies has lost its webhooks after three seconds."""
    settings = Settings(
        region=REGION,
        webhook_networks="127.0.0.0/8",
        webhook_timeout=timedelta(seconds=2),
        webhook_lease=timedelta(seconds=3),
        grace=timedelta(seconds=0.3),
    )
    return Services(settings, aws_at(endpoint))


def deliver_due(services: Services) -> Report:
    """One try, and the last one: nothing is kept."""
    with stop_on_sigterm(services.settings.grace) as stop:
        return deliver(services, stop, save=lambda _: None, last_try=True)


if __name__ == "__main__":
    print("delivering", flush=True)
    deliver_due(short_lease_services(sys.argv[1]))

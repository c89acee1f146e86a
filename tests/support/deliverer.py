"""A deliverer as a process of its own: `python -m tests.support.deliverer ENDPOINT`.

It delivers what is due, with a short lease, until it is killed; `delivering` on its standard output
says that it begins, and a line of JSON at the end what it did. With `--tries N` it makes so many
tries, as the task's next runs would, or as many as it takes until one finds nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop, stop_on_sigterm
from remit.webhooks.delivery import Report, deliver
from tests.support.aws import REGION, aws_at


def short_lease_services(endpoint: str, *, grace: float = 0.3) -> Services:
    """Real time; a worker that dies has lost its webhooks after three seconds."""
    settings = Settings(
        region=REGION,
        webhook_networks="127.0.0.0/8",
        webhook_timeout=timedelta(seconds=2),
        webhook_lease=timedelta(seconds=3),
        webhook_lease_margin=timedelta(seconds=0.25),
        grace=timedelta(seconds=grace),
    )
    return Services(settings, aws_at(endpoint))


def deliver_due(services: Services, stop: Stop | None = None) -> Report:
    """One try, and the last one: nothing is kept."""
    if stop is not None:
        return deliver(services, stop, save=lambda _: None, last_try=True)
    with stop_on_sigterm(services.settings.grace) as own:
        return deliver(services, own, save=lambda _: None, last_try=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Deliver until nothing is due, or a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.deliverer")
    parser.add_argument("endpoint")
    parser.add_argument("--tries", type=int, default=1)
    parser.add_argument("--grace", type=float, default=0.3, metavar="SECONDS")
    options = parser.parse_args(arguments)
    services, counts = short_lease_services(options.endpoint, grace=options.grace), Counter[str]()
    print("delivering", flush=True)
    with stop_on_sigterm(services.settings.grace) as stop:
        for _ in range(options.tries):
            done = deliver_due(services, stop).counts
            counts.update(done)
            if stop.requested or not done:
                break
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""A worker of replays as a process of its own: `python -m tests.support.replayer ENDPOINT`.

It goes on with what is due, in small pages and with a short lease, until it is killed; `replaying`
on its standard output says that it begins.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from remit.services import Services
from remit.stop import stop_on_sigterm
from remit.webhooks import replay_pages, replays
from tests.support.deliverer import short_lease_services

PAGE = 20
LEASE = timedelta(seconds=1)


def replay_due(services: Services) -> int:
    """Go on with what is due; returns how many webhooks went into the queue."""
    replay_pages.PAGE, replays.LEASE = PAGE, LEASE
    with stop_on_sigterm() as stop:
        done = 0
        while not stop.requested:
            done += replays.run_replays(services, stop, 20)
            stop.wait(0.05)
    return done


if __name__ == "__main__":
    print("replaying", flush=True)
    replay_due(short_lease_services(sys.argv[1]))

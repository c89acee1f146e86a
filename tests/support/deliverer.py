"""A deliverer as a process of its own: `python -m tests.support.deliverer ENDPOINT`.

It delivers what is due, with a short lease, until it is killed; `delivering` on its standard output
says that it begins, and a line of JSON at the end what it did. With `--tries N` it makes so many
tries, as the task's next runs would, or as many as it takes until one finds nothing.

With `--keep FILE` no try is the last: what is to be sent again soon stays claimed for the next one,
and the file is what Airflow's state store is to a task. It outlives the process: a deliverer that
follows one which was killed goes on with what that one saved last, however much of it has been sent
since.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop, stop_on_sigterm
from remit.webhooks.chunk import Chunk
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


@dataclass(frozen=True)
class Task:
    """A delivery task of many tries, which may be those of several processes."""

    services: Services
    state: Path

    def saved(self) -> Chunk:
        """What the try before has left."""
        if not self.state.exists():
            return Chunk()
        return Chunk.from_json(json.loads(self.state.read_text(encoding="utf-8")))

    def one_try(self, stop: Stop) -> Report:
        """A try that keeps what it can; nothing is saved if nothing is kept."""
        report = deliver(self.services, stop, self.saved(), save=self._save, last_try=False)
        if not report.chunk.held:
            self.state.unlink(missing_ok=True)
        return report

    def _save(self, chunk: Chunk) -> None:
        """All of it or nothing, as Airflow's API does it."""
        new = self.state.with_suffix(".new")
        new.write_text(json.dumps(chunk.to_json()), encoding="utf-8")
        new.replace(self.state)


def wait_for_the_next_attempt(report: Report, stop: Stop) -> None:
    """As Airflow waits, by the retry policy of the tasks."""
    if report.chunk.held:
        earliest = min(held.next_attempt for held in report.chunk.held)
        stop.wait(max(0.0, (earliest - datetime.now(UTC)).total_seconds()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Deliver until nothing is due, or a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.deliverer")
    parser.add_argument("endpoint")
    parser.add_argument("--tries", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="FILE")
    parser.add_argument("--grace", type=float, default=0.3, metavar="SECONDS")
    options = parser.parse_args(arguments)
    services, counts = short_lease_services(options.endpoint, grace=options.grace), Counter[str]()
    one_try = (
        Task(services, options.keep).one_try if options.keep else partial(deliver_due, services)
    )
    print("delivering", flush=True)
    with stop_on_sigterm(services.settings.grace) as stop:
        for _ in range(options.tries):
            report = one_try(stop)
            counts.update(report.counts)
            if stop.requested or not (report.counts or report.chunk.held):
                break
            wait_for_the_next_attempt(report, stop)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    sys.exit(main())

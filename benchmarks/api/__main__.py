"""`make bench-api`: the hook beside Airflow's own version route.

On a stack like that of `make up`, in turns: Airflow's `GET /api/v2/version`, the hook's `GET
/exports/{id}` and `POST /events`, each by 32 connections, and `POST /events/batch`. Then the app
alone under uvicorn, in turns with its token check and with one that checks nothing. Told is the
median of the rounds; CPU is that of the processes that serve.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial

from benchmarks.api.load import Request
from benchmarks.api.measuring import Measured, measure
from benchmarks.api.stage import EXPORT, MERCHANT, Served, stage, store
from benchmarks.documents import RESULTS, machine, write_document
from benchmarks.figures import Figure, report
from benchmarks.processes import pin, serving
from benchmarks.webhooks.outcome import at_least
from benchmarks.webhooks.store import Store
from demo.processes import adopt_orphans
from demo.signals import Interrupted, raise_on_signals
from remit.auth import TokenSettings, mint

VERSION, STATUS, EVENT, BATCH = (
    "GET /api/v2/version",
    "GET /exports/{id}",
    "POST /events",
    "POST /events/batch",
)
CHECKED, UNCHECKED = "with the token check", "without"
BATCH_EVENTS = 100

Runs = Mapping[str, Sequence[Measured]]


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int = 5
    seconds: float = 5.0
    connections: int = 32

    def paced(self, request: Request) -> Request:
        """A request, as often and by as many as this says."""
        return replace(request, connections=self.connections, seconds=self.seconds)


QUICK = Plan(rounds=1, seconds=1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status says whether every figure is within its bar."""
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a second of each, to see that all of it runs"
    )
    options = parser.parse_args(arguments)
    raise_on_signals()
    adopt_orphans()
    plan = QUICK if options.quick else Plan()
    try:
        return report(lambda: measured(plan, keep=not options.quick))
    except Interrupted as interrupt:
        return interrupt.exit_code


def measured(plan: Plan, *, keep: bool) -> dict[str, Figure]:
    """The figures; with `keep`, the results are written to their file, too."""
    print(f"on cores {pin()}")
    with store() as tables:
        runs = {**on_stack(plan, tables), **alone(plan, tables)}
    figures = figures_of(runs)
    if keep:
        document = {
            "machine": machine(),
            "plan": asdict(plan),
            "runs": {name: [asdict(one) for one in some] for name, some in runs.items()},
            "figures": {name: figure.to_json() for name, figure in figures.items()},
        }
        write_document(RESULTS / "api.json", document)
    return figures


def on_stack(plan: Plan, tables: Store) -> Runs:
    """What Airflow's API server answers, in turns."""
    with stage(tables) as served:
        subjects = {
            name: partial(measure, plan.paced(request), served.processes)
            for name, request in requests_to(served).items()
        }
        return in_turns(plan, subjects)


def requests_to(served: Served) -> dict[str, Request]:
    """The requests by name. An event has no id of its own, so that each is another."""
    hook, headers = served.hook_url, {**served.bearer, "Content-Type": "application/json"}
    one, batch = json.dumps(event()), json.dumps({"events": [event()] * BATCH_EVENTS})
    return {
        VERSION: Request("GET", f"{served.airflow_url}/api/v2/version", 200),
        STATUS: Request("GET", f"{hook}/exports/{EXPORT}", 200, served.bearer),
        EVENT: Request("POST", f"{hook}/events", 202, headers, one),
        BATCH: Request("POST", f"{hook}/events/batch", 202, headers, batch),
    }


def event() -> dict[str, object]:
    """A payment's, of about 1 KB."""
    data = {"payment_id": "pay-1", "amount": 1999, "currency": "USD", "note": "x" * 900}
    return {"type": "payment.succeeded", "data": data}


def alone(plan: Plan, tables: Store) -> Runs:
    """The app without Airflow around it, with and without its token check, in turns."""
    tokens = {"secret": "s" * 48, "issuer": "bench", "audience": "payment-api"}
    settings = TokenSettings(
        secret=tokens["secret"], issuer=tokens["issuer"], audience=tokens["audience"]
    )
    token = mint(settings, MERCHANT, permissions=("payments",), now=datetime.now(UTC))
    with ExitStack() as opened:

        def subject(*, unchecked: bool) -> Callable[[], Measured]:
            options = {
                "dynamodb": tables.url,
                "tokens": tokens,
                "merchant": MERCHANT,
                "unchecked": unchecked,
            }
            ready = opened.enter_context(serving("benchmarks.api.server", json.dumps(options)))
            request = Request(
                "GET",
                f"{ready['url']}/exports/{EXPORT}",
                200,
                {"Authorization": f"Bearer {token}"},
            )
            return partial(measure, plan.paced(request), [ready["pid"]])

        return in_turns(
            plan, {CHECKED: subject(unchecked=False), UNCHECKED: subject(unchecked=True)}
        )


def in_turns(plan: Plan, subjects: Mapping[str, Callable[[], Measured]]) -> Runs:
    """Each of them in every round, beginning with another one each time."""
    runs: dict[str, list[Measured]] = {name: [] for name in subjects}
    for number in range(plan.rounds):
        print(f"round {number + 1} of {plan.rounds}", flush=True)
        order = itertools.islice(itertools.cycle(subjects), number, number + len(subjects))
        for name in order:
            one = subjects[name]()
            runs[name].append(one)
            print(f"  {name:22} {one}", flush=True)
    return runs


def figures_of(runs: Runs) -> dict[str, Figure]:
    """Medians, and how they relate."""

    def median(name: str, of: Callable[[Measured], float]) -> float:
        return statistics.median(of(one) for one in runs[name])

    def rate(one: Measured) -> float:
        return one.per_second

    def cpu(one: Measured) -> float:
        return one.cpu_ms

    return {
        "GET /exports/{id}, rate against Airflow's version route": at_least(
            median(STATUS, rate) / median(VERSION, rate), 0.5
        ),
        "GET /exports/{id}, CPU with the token check against without": Figure(
            median(CHECKED, cpu) / median(UNCHECKED, cpu), 1.3
        ),
        "events per CPU-second, a batch of 100 against single ones": at_least(
            median(EVENT, cpu) * BATCH_EVENTS / median(BATCH, cpu), 8
        ),
        **{
            f"{name}, {what}": Figure(median(name, of))
            for name in (VERSION, STATUS, EVENT, BATCH)
            for what, of in (
                ("requests per second", rate),
                ("p50, ms", lambda one: one.p50_ms),
                ("p99, ms", lambda one: one.p99_ms),
                ("CPU, ms", cpu),
            )
        },
        **{
            f"app alone, {name}, CPU, ms": Figure(median(name, cpu))
            for name in (CHECKED, UNCHECKED)
        },
    }


if __name__ == "__main__":
    sys.exit(main())

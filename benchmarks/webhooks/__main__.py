"""`make bench-webhooks`: Remit's delivery beside what people write today, on the same webhooks.

Whoever delivers, the stand-in for DynamoDB and the receiver are each a process of their own; only
the CPU of the first is counted, but they share the machine's two cores (where there are more, the
rest is left alone). The last parts run on a stack of their own, like that of `make up`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from benchmarks.figures import Figure, report
from benchmarks.processes import pin
from benchmarks.webhooks import results
from benchmarks.webhooks.capacity import capacity
from benchmarks.webhooks.first_attempts import first_attempts
from benchmarks.webhooks.isolation import isolation
from benchmarks.webhooks.mapped import mapped
from benchmarks.webhooks.memory import memory
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import QUICK, Plan
from benchmarks.webhooks.throughput import throughput
from demo.processes import adopt_orphans
from demo.signals import Interrupted, raise_on_signals

PARTS: Mapping[str, Callable[[Plan], Outcome]] = {
    "throughput": throughput,
    "isolation": isolation,
    "memory": memory,
    "capacity": capacity,
    "first-attempts": first_attempts,
    "mapped": mapped,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status says whether every figure is within its bar."""
    options = _options(arguments)
    parts = options.only or list(PARTS)
    keep = not (options.quick or options.only or options.count or options.rounds)
    raise_on_signals()
    adopt_orphans()
    try:
        return report(lambda: measured(_plan(options), parts, keep=keep))
    except Interrupted as interrupt:
        return interrupt.exit_code


def measured(plan: Plan, parts: Sequence[str], *, keep: bool) -> dict[str, Figure]:
    """The figures of these parts; with `keep`, the results are written to their file, too."""
    print(f"on cores {pin()}")
    outcomes: dict[str, Outcome] = {}
    for part in parts:
        print(f"{part}", flush=True)
        outcomes[part] = PARTS[part](plan)
    if keep:
        results.write(plan, outcomes)
    return {name: one for outcome in outcomes.values() for name, one in outcome.figures.items()}


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else Plan()
    if options.count:
        plan = plan.sized(options.count)
    if options.rounds:
        plan = replace(plan, rounds=options.rounds, isolation_rounds=options.rounds)
    return plan


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-webhooks", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=list(PARTS), help="this part; may be given again"
    )
    parser.add_argument(
        "--count", type=int, help="webhooks of `throughput`, and the most due of `memory`"
    )
    parser.add_argument("--rounds", type=int, help="how often is measured what takes turns")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="over few webhooks, to see that all of it runs: the figures mean nothing; as with"
        f" every other option, {results.PATH.name} stays as it is",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

"""Write capacity per delivery: what publishing and delivering one webhook consumes, step by step.

Small payloads and large ones, published and delivered by the engine itself on a stand-in that
reckons the units of every request. The payload is billed once if the rest costs the same whatever
its size. That is held to its bar for events that are published. An event that is written alone is
changed when its webhooks are made, which bills its payload again: that is told beside the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.standins.http import Server
from benchmarks.standins.s3.api import S3
from benchmarks.webhooks.checks import check_arrivals, check_attempts, check_delivered
from benchmarks.webhooks.dataset import Due, Fleet
from benchmarks.webhooks.inbox import inbox
from benchmarks.webhooks.metering import Consumed, Metered
from benchmarks.webhooks.ours import one_try
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.store import Store, aws_at, services_at
from remit.aws.cloudformation import apply
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.fanout import fan_out
from remit.webhooks.outbox import Outbox

PUBLISH, ALONE, FAN_OUT, DELIVER = "publish", "write alone", "fan out", "deliver"
_EVENTS = "Events"
_FAN_OUT_SECONDS = 60.0

Units = Mapping[tuple[str, str], float]
"""Per delivery, by step and by table or `table/index`."""

Step = tuple[str, Sequence[Consumed]]
"""Its name, and what each of its requests consumed."""


@dataclass(frozen=True)
class Costs:
    """What so many deliveries consumed, per delivery."""

    payload_bytes: int
    units: Units

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.units.values())

    @property
    def with_payload(self) -> float:
        """What the table that the payload lies in is written."""
        return sum(units for (_, place), units in self.units.items() if place == _EVENTS)

    @property
    def without_payload(self) -> float:
        """What is left if the payload is nowhere else."""
        return self.total - self.with_payload


@dataclass(frozen=True)
class Scene:
    """What is published and delivered, where, and what that consumes."""

    services: Services
    metered: Metered
    due: Sequence[Due]

    def publish(self) -> Iterator[Step]:
        """The events and their webhooks together."""
        Outbox(self.services).publish_many(one.event() for one in self.due)
        yield PUBLISH, self.metered.taken()

    def write_alone(self) -> Iterator[Step]:
        """Each event by itself in a producer's transaction; its webhook is made later."""
        outbox, client = Outbox(self.services), self.services.tables.client
        for one in self.due:
            client.transact_write_items(TransactItems=[outbox.alone(one.event())])
        yield ALONE, self.metered.taken()
        fan_out(self.services, Stop(), _FAN_OUT_SECONDS)
        yield FAN_OUT, self.metered.taken()


@dataclass(frozen=True)
class Way:
    """How events come to have webhooks: `label` is what figures and runs say of it,
    `most_billed` how often a payload may be billed."""

    label: str
    steps: Callable[[Scene], Iterator[Step]]
    most_billed: float | None


PUBLISHED = Way("", Scene.publish, 1)
WRITTEN_ALONE = Way(", event written alone", Scene.write_alone, None)


def capacity(plan: Plan) -> Outcome:
    """Each way, with the small payload and with the large one."""
    figures: dict[str, Figure] = {}
    runs: dict[str, object] = {}
    for way in (PUBLISHED, WRITTEN_ALONE):
        small, large = (_deliver(plan, size, way) for size in plan.capacity_payloads)
        print("\n".join(arithmetic(small, large)), flush=True)
        figures |= figures_of(small, large, way)
        runs |= {f"{told(one.payload_bytes)}{way.label}": _steps(one) for one in (small, large)}
    return Outcome(figures, runs)


def figures_of(small: Costs, large: Costs, way: Way = PUBLISHED) -> dict[str, Figure]:
    """The units per delivery, and how often the large payload is billed."""
    return {
        f"times that a payload of {told(large.payload_bytes)} is billed{way.label}": Figure(
            times_billed(small, large), way.most_billed
        ),
        **{
            f"WCU per delivery, payload of {told(one.payload_bytes)}{way.label}": Figure(one.total)
            for one in (small, large)
        },
    }


def times_billed(small: Costs, large: Costs) -> float:
    """How many times a transaction's write of the larger payload all units come to, less those
    that are there with a small one, too.

    A transaction bills two units per KB. What lies around the payload may make a KB more or less.
    """
    once = 2 * (large.payload_bytes - small.payload_bytes) / 1024
    return round((large.total - small.total) / once, 2)


def arithmetic(small: Costs, large: Costs) -> list[str]:
    """Every step with both payloads, and the sums, as lines of a table."""
    lines = [
        f"{'':44}{told(small.payload_bytes):>10}{told(large.payload_bytes):>10}  WCU per delivery"
    ]
    for step, place in dict.fromkeys((*small.units, *large.units)):
        both = (one.units.get((step, place), 0.0) for one in (small, large))
        lines.append(f"  {step + ': ' + place:42}" + "".join(f"{units:10.2f}" for units in both))
    lines.append(f"  {'all':42}{small.total:10.2f}{large.total:10.2f}")
    lines.append(
        f"  {'all but the table of events':42}{small.without_payload:10.2f}"
        f"{large.without_payload:10.2f}"
    )
    lines.append(
        f"  an item is billed 2 units per KB in a transaction, an entry of an index 1 per KB,"
        f" put or deleted; ({large.total:.2f} - {small.total:.2f}) / (2 x"
        f" {(large.payload_bytes - small.payload_bytes) // 1024}) = {times_billed(small, large)}"
    )
    return lines


def per_delivery(steps: Iterable[Step], deliveries: int) -> Units:
    """The units of all requests, by step and place, divided by the deliveries."""
    units: defaultdict[tuple[str, str], float] = defaultdict(float)
    for step, writes in steps:
        for one in writes:
            name = f"{step}, {_kind(one)}" if step == DELIVER else step
            for place, spent in one.units.items():
                units[name, place] += spent
    return {key: spent / deliveries for key, spent in units.items()}


def told(size: int) -> str:
    """A payload's size in words."""
    return f"{size // 1024} KB"


def _kind(write: Consumed) -> str:
    """What the engine writes, by the tables that it writes together."""
    tables = {place.partition("/")[0] for place in write.units}
    if "WebhookAttempts" in tables:
        return "outcome"
    return "claim" if "Webhooks" in tables else "health"


def _steps(costs: Costs) -> list[dict[str, str | float]]:
    """As JSON has them."""
    return [
        {"step": step, "place": place, "units": units}
        for (step, place), units in costs.units.items()
    ]


def _deliver(plan: Plan, payload_bytes: int, way: Way) -> Costs:
    """Publish and deliver on a stand-in of its own.

    Raises:
        BenchmarkFailed: not everything was delivered.
    """
    name = f"payload of {told(payload_bytes)}{way.label}"
    metered, count = Metered(), plan.capacity_count
    with (
        Server(metered, name="metered") as server,
        Server(S3().handle, name="s3") as s3,
        inbox() as received,
    ):
        apply(aws_at(server.url, s3.url), {})
        services = services_at(server.url)
        fleet = Fleet(received.url, count)  # an endpoint each, so that none is warmer than another
        for merchant in fleet.merchants:
            services.tables.merchants.put(merchant)
        metered.taken()
        due = [Due(number, number, datetime.now(UTC), payload_bytes) for number in range(count)]
        steps = list(way.steps(Scene(services, metered, due)))
        counts = Counter(one_try(services, Stop()))
        steps.append((DELIVER, metered.taken()))
        if counts["delivered"] != count:
            raise BenchmarkFailed(f"{name}: {dict(counts)} of {count}")
        store = Store(server.url)
        check_arrivals(name, received.arrivals(), due)
        check_delivered(name, store, due)
        check_attempts(name, store, due)
        store.close()
    return Costs(payload_bytes, per_delivery(steps, count))

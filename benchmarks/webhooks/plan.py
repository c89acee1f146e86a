"""How much is measured, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Plan:
    """The sizes of all parts. Seconds, webhooks, webhooks per second."""

    rounds: int = 3
    """How often is measured what takes turns."""
    payload_bytes: int = 1024
    endpoints: int = 100

    count: int = 20_000
    """For the peer, too, which takes several times as long: what a run costs at its beginning and
    its end weighs the same for all."""
    concurrency: int = 100
    """Requests at once of the bare loop."""

    isolation_endpoints: int = 400
    """Of which half hang."""
    isolation_rounds: int = 2
    pace: float = 200.0
    paced_seconds: float = 75.0
    """Long enough for a deliverer to be relieved by the next."""

    memory_small: int = 10_000
    memory_large: int = 100_000
    memory_heavy: int = 2_000
    """With payloads of the largest size."""

    capacity_count: int = 20
    capacity_payloads: tuple[int, int] = (1024, 256 * 1024)

    events: int = 50
    """On the stack: first attempts of each kind."""
    sample_seconds: float = 5.0
    """From one first attempt to the next where nothing comes to rest; it divides a minute."""
    failing_backlog: int = 200
    """Webhooks that wait for the endpoint that hangs."""
    mapped: int = 500
    """Webhooks of a run; Airflow maps a task over 1,024 of them at the most."""

    def sized(self, count: int) -> Plan:
        """The same with so many webhooks, where they are counted in thousands."""
        return replace(
            self,
            count=count,
            memory_small=count // 10,
            memory_large=count,
        )


QUICK = Plan(
    rounds=1,
    count=1_000,
    isolation_rounds=1,
    paced_seconds=10.0,
    memory_small=500,
    memory_large=2_000,
    memory_heavy=100,
    capacity_count=5,
    events=3,
    failing_backlog=20,
    mapped=20,
)
"""To see that all of it runs; its figures mean nothing."""

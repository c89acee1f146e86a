"""What goes wrong with answers to `Query`, on purpose.

A plan says what happens to every n-th answer, by numbers that count the queries of all connections
from 1. Where several kinds meet in one answer, the first in the order of `KINDS` happens.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from benchmarks.standins.answers import Answer, response
from benchmarks.standins.dynamodb.errors import DynamoDbError, InternalError, Throttled
from benchmarks.standins.http import Reset, Response

PARTITION_BYTES_PER_SECOND = 3_000 * 2 * 4096
"""What one partition of DynamoDB gives to eventually consistent reads: 3,000 RCU/s, 24.6 MB/s."""

KINDS = ("reset_every", "error_every", "throttle_every", "garbage_every", "damage_every")

_GARBAGE = b"<html><body>The way to DynamoDB is closed.</body></html>"


@dataclass(frozen=True)
class FaultPlan:
    """What happens, and how often; 0 is never."""

    latency_seconds: float = 0.0
    """Before every answer, errors included."""
    bytes_per_second: float = 0.0
    """Of items, per partition: an answer waits until its partition has given so much."""
    burst_bytes: float = 1024**2
    """What a rested partition gives without a wait."""
    reset_every: int = 0
    """The connection is reset instead of an answer."""
    error_every: int = 0
    """500 InternalServerError."""
    throttle_every: int = 0
    """400 ProvisionedThroughputExceededException."""
    garbage_every: int = 0
    """200 with a body that is not JSON, its CRC32 right."""
    damage_every: int = 0
    """The right body with a CRC32 that is not its own."""


class Faults:
    """A plan being carried out; clock and sleep are in seconds."""

    def __init__(
        self,
        plan: FaultPlan | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.plan = plan or FaultPlan()
        self._clock = clock
        self._sleep = sleep
        self._numbers = itertools.count(1)
        self._free_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def answered(self, table: str, produce: Callable[[], Answer]) -> Response:
        """The answer to a query of that table, with what the plan has for it."""
        plan = self.plan
        number = next(self._numbers)
        if plan.latency_seconds:
            self._sleep(plan.latency_seconds)
        kind = next((k for k in KINDS if (n := getattr(plan, k)) and number % n == 0), None)
        if kind == "reset_every":
            raise Reset
        if kind == "error_every":
            return _refusal(InternalError("Internal server error (a fault on purpose)"))
        if kind == "throttle_every":
            return _refusal(
                Throttled("The level of configured provisioned throughput was exceeded")
            )
        answer = produce()
        if plan.bytes_per_second:
            size = sum(map(len, answer.parts)) if answer.item_bytes is None else answer.item_bytes
            self._wait_for(answer.partition or table, size)
        if kind == "garbage_every":
            answer = Answer.of(_GARBAGE)
        elif kind == "damage_every":
            answer = replace(answer, crc32=answer.crc32 ^ 1)
        return response(answer)

    def _wait_for(self, partition: str, size: int) -> None:
        """Wait until the partition has given what was asked of it before, less its burst."""
        rate, burst = self.plan.bytes_per_second, self.plan.burst_bytes
        with self._lock:
            now = self._clock()
            rested = max(self._free_at.get(partition, -math.inf), now - burst / rate)
            self._free_at[partition] = free_at = rested + size / rate
        if free_at > now:
            self._sleep(free_at - now)


def _refusal(error: DynamoDbError) -> Response:
    return response(Answer.of(msgspec.json.encode(error.document())), error.status)

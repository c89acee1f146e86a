from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from benchmarks.standins.answers import Answer
from benchmarks.standins.faults import FaultPlan, Faults
from benchmarks.standins.http import Reset, Response
from benchmarks.standins.s3.errors import S3Error
from benchmarks.standins.s3.faults import UploadFaultPlan, UploadFaults

MB = 1_000_000
PAGE = Answer.of(b'{"Count":0}', item_bytes=MB)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def answers(count: int, **plan: Any) -> list[Response | None]:
    """What so many queries are answered with; None is a reset."""
    faults = Faults(FaultPlan(**plan))
    found: list[Response | None] = []
    for _ in range(count):
        try:
            found.append(faults.answered("Payments", lambda: PAGE))
        except Reset:
            found.append(None)
    return found


def content(response: Response | None) -> bytes:
    assert response is not None
    return b"".join(response.parts)


def crc_is_right(response: Response | None) -> bool:
    assert response is not None
    return response.headers["x-amz-crc32"] == str(zlib.crc32(content(response)))


def test_without_a_plan_everything_is_answered() -> None:
    for response in answers(5):
        assert content(response) == b'{"Count":0}'
        assert crc_is_right(response)


def test_every_third_is_throttled() -> None:
    statuses = [response.status for response in answers(6, throttle_every=3) if response]
    assert statuses == [200, 200, 400, 200, 200, 400]
    refusal = answers(1, throttle_every=1)[0]
    kind = json.loads(content(refusal))["__type"]
    assert kind.endswith("#ProvisionedThroughputExceededException")
    assert crc_is_right(refusal)


def test_every_second_is_an_error() -> None:
    assert [response.status for response in answers(4, error_every=2) if response] == [
        200,
        500,
        200,
        500,
    ]


def test_every_second_is_damaged() -> None:
    assert [crc_is_right(response) for response in answers(4, damage_every=2)] == [
        True,
        False,
        True,
        False,
    ]


def test_every_second_is_no_json_and_undamaged() -> None:
    _, garbage = answers(2, garbage_every=2)
    assert crc_is_right(garbage)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(content(garbage))


def test_every_second_is_reset_and_the_first_kind_wins() -> None:
    found = answers(4, reset_every=2, error_every=4)
    assert [response is None for response in found] == [False, True, False, True]


def test_latency_is_before_every_answer() -> None:
    time = Time()
    faults = Faults(FaultPlan(latency_seconds=0.25), time.clock, time.sleep)
    for _ in range(4):
        faults.answered("Payments", lambda: PAGE)
    assert time.now == 101.0


def test_a_partition_gives_so_many_bytes_per_second() -> None:
    time = Time()
    plan = FaultPlan(bytes_per_second=10 * MB, burst_bytes=2 * MB)
    faults = Faults(plan, time.clock, time.sleep)
    for _ in range(2):
        faults.answered("Payments", lambda: PAGE)
    assert time.now == 100.0  # what a rested partition gives at once
    for _ in range(50):
        faults.answered("Payments", lambda: PAGE)
    assert time.now == pytest.approx(105.0)


def test_partitions_are_rated_apart() -> None:
    time = Time()
    plan = FaultPlan(bytes_per_second=10 * MB, burst_bytes=MB)
    faults = Faults(plan, time.clock, time.sleep)
    for name in ("a", "b", "c"):
        faults.answered("Payments", lambda: Answer.of(b"{}", MB, name))  # noqa: B023
    assert time.now == 100.0


def test_without_item_bytes_the_body_counts() -> None:
    time = Time()
    faults = Faults(FaultPlan(bytes_per_second=10, burst_bytes=1), time.clock, time.sleep)
    faults.answered("Payments", lambda: Answer.of(b"x" * 21))
    assert time.now == pytest.approx(102.0)


def test_parts_are_refused_in_turn() -> None:
    faults = UploadFaults(UploadFaultPlan(slow_down_every=2, error_every=3, reset_every=5))
    found = []
    for _ in range(6):
        try:
            faults.before_part()
            found.append("taken")
        except S3Error as error:
            found.append(error.code)
        except Reset:
            found.append("reset")
    assert found == ["taken", "SlowDown", "InternalError", "SlowDown", "reset", "InternalError"]

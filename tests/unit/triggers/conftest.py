"""A fake Airflow, and a trigger that talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from remit.triggers.credentials import PasswordToken
from remit.triggers.rest import RestTrigger
from remit.triggers.transport import Transport
from tests.support.fake_airflow import PASSWORD, USER, FakeAirflow, fake_airflow


class Seconds:
    """A monotonic clock that moves when a test says so, or when somebody pauses."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def seconds() -> Seconds:
    """The time."""
    return Seconds()


@pytest.fixture
def served() -> Iterator[tuple[FakeAirflow, str]]:
    """The fake Airflow with its URL."""
    with fake_airflow() as served:
        yield served


@pytest.fixture
def fake(served: tuple[FakeAirflow, str]) -> FakeAirflow:
    """The fake Airflow."""
    return served[0]


@pytest.fixture
def transport(served: tuple[FakeAirflow, str], seconds: Seconds) -> Transport:
    """The way to it."""
    return Transport(served[1], monotonic=seconds, pause=seconds.pause)


@pytest.fixture
def trigger(transport: Transport, seconds: Seconds) -> RestTrigger:
    """By user and password."""
    credentials = PasswordToken(transport, USER, PASSWORD, monotonic=seconds)
    return RestTrigger(transport, credentials, monotonic=seconds)

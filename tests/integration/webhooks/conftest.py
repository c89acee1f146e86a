"""Webhooks on stand-ins, which are many times as fast as moto."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.endpoints import store
from tests.support.isolation import Paths
from tests.support.standins import services, standins
from tests.support.webhooks import Receiver

__all__ = ["paths", "receiver", "services", "standins", "store"]


@pytest.fixture
def paths() -> Iterator[Paths]:
    """How `receiver` behaves."""
    found = Paths()
    yield found
    found.let_go.set()


@pytest.fixture
def receiver(paths: Paths) -> Iterator[Receiver]:
    """A receiver that answers 200 until it is told otherwise."""
    with Receiver(paths).running() as running:
        yield running

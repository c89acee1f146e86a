"""Who has a place now, and what becomes of the others."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest

from remit.webhooks.admission import Admission
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.health import ADMIT, Admit
from remit.webhooks.lanes import FIRST_ROOM, Lane, Tally
from remit.webhooks.prepare import Ready
from tests.support.clock import ManualClock
from tests.support.ready import ready_webhook

CHUNK = 100
HOUR = timedelta(hours=1)


class Couriers:
    """One lane, from which nothing is sent."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._lane: Lane[Any, Ready] = Lane(8, lambda _: None, self.tally)

    def lane(self, _: Ready) -> Lane[Any, Ready]:
        return self._lane


class Records:
    """Nothing is recorded."""

    counts: ClassVar[Counter[Any]] = Counter()


class Healthy:
    def admission(self, _: EndpointKey, __: datetime) -> Admit:
        return ADMIT


class Feeds:
    """Counts what is left where it is."""

    passes = 1
    left = 0

    def leave(self) -> None:
        self.left += 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def feed() -> Feeds:
    return Feeds()


@pytest.fixture
def admission(clock: ManualClock, feed: Feeds) -> Admission:
    parts: Any = (Couriers(), Records(), Healthy())
    looked_at: Any = feed
    return Admission(*parts, feed=looked_at, chunk=CHUNK, clock=clock)


@pytest.mark.parametrize(
    ("payload", "parks", "left"),
    [(None, True, 0), ("x" * 4096, True, 0), ("x" * 4097, False, 1)],
    ids=["Remit's own", "a small payload", "a large payload"],
)
def test_what_finds_no_place_is_parked_unless_it_takes_much_room(
    admission: Admission,
    clock: ManualClock,
    feed: Feeds,
    payload: str | None,
    parks: bool,
    left: int,
) -> None:
    for number in range(FIRST_ROOM):
        assert admission.admits(ready_webhook(number, clock() + HOUR), [])
    assert not admission.parks
    assert not admission.admits(ready_webhook(FIRST_ROOM, clock() + HOUR, payload), [])
    assert (admission.parks, feed.left) == (parks, left)

"""Which webhooks are due: all shards, page by page, again as long as work comes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest

from remit.clock import format_instant
from remit.errors import StoreUnavailable
from remit.webhooks.feed import Feed
from remit.webhooks.reader import DuePage
from tests.support.clock import ManualClock


class Index:
    """The index of some shards: two entries in a page, whatever is asked for."""

    def __init__(self) -> None:
        self.shards: dict[int, list[str]] = {}
        self.asked: list[tuple[int, str]] = []
        self.broken = False
        self.takes: Callable[[], None] = lambda: None

    async def due(
        self, shard: int, now: str, limit: int, start: Mapping[str, Any] | None = None
    ) -> DuePage:
        self.asked.append((shard, now))
        self.takes()
        if self.broken:
            raise StoreUnavailable("out of reach")
        at = start["at"] if start else 0
        keys = self.shards.get(shard, [])
        after = at + 2
        page = [{"id": key} for key in keys[at:after]]
        return DuePage(page, {"at": after} if after < len(keys) else None)

    def shards_asked(self) -> list[int]:
        shards, self.asked = [shard for shard, _ in self.asked], []
        return shards


class Monotonic:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def index() -> Index:
    return Index()


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


def feed_of(index: Index, monotonic: Monotonic, shards: range = range(3), **parts: Any) -> Feed:
    parts = {"clock": ManualClock(), "shuffle": lambda _: None, **parts}
    return Feed(index, shards, monotonic=monotonic, **parts)  # type: ignore[arg-type]


async def taken(feed: Feed, limit: int = 100, old: Collection[str] = ()) -> list[str]:
    return [entry["id"] for entry in await feed.take(limit, lambda key: key not in old)]


async def test_a_pass_goes_through_all_shards_to_their_end(
    index: Index, monotonic: Monotonic
) -> None:
    index.shards = {0: ["a1", "a2", "a3", "a4", "a5"], 2: ["c1"]}
    feed = feed_of(index, monotonic)
    assert await taken(feed) == ["a1", "a2", "c1"]
    assert await taken(feed) == ["a3", "a4"]
    assert await taken(feed) == ["a5"]
    assert index.shards_asked() == [0, 1, 2, 0, 0]
    assert await taken(feed) == []
    assert index.asked == []


async def test_no_more_are_taken_than_there_is_room_for(index: Index, monotonic: Monotonic) -> None:
    index.shards = {0: ["a1", "a2"], 1: ["b1"]}
    feed = feed_of(index, monotonic)
    assert await taken(feed, 2) == ["a1", "a2"]
    assert await taken(feed, 2) == ["b1"]
    assert index.shards_asked() == [0, 1, 2]


async def test_what_is_news_comes_together_however_much_is_not(
    index: Index, monotonic: Monotonic
) -> None:
    index.shards = {0: ["a1", "a2"], 1: ["b1", "b2"], 2: ["c1", "c2"]}
    feed = feed_of(index, monotonic)
    assert await taken(feed, 2, old={"a1", "b1", "b2"}) == ["a2", "c1"]
    assert await taken(feed, 2, old={"a1", "b1", "b2"}) == ["c2"]


async def test_how_long_there_is_nothing_to_look_for(index: Index, monotonic: Monotonic) -> None:
    index.shards = {0: ["a1", "a2", "a3"]}
    feed = feed_of(index, monotonic)
    assert feed.wait_seconds() == 0
    await taken(feed, 1)
    assert feed.wait_seconds() == 0, "one more is there"
    await taken(feed)
    assert feed.wait_seconds() == 0, "there is another page"
    await taken(feed)
    assert feed.wait_seconds() == pytest.approx(0.05)
    monotonic.pass_by(1)
    assert feed.wait_seconds() == 0


async def test_after_a_pass_that_found_something_the_next_one_begins_soon(
    index: Index, monotonic: Monotonic
) -> None:
    index.shards = {0: ["a1"]}
    feed = feed_of(index, monotonic)
    assert await taken(feed) == ["a1"]
    assert await taken(feed) == []
    monotonic.now += 0.05
    assert await taken(feed) == ["a1"]
    assert feed.passes == 2


@pytest.mark.parametrize(("took", "wait"), [(0.01, 0.05), (0.1, 0.2), (3, 1)])
async def test_a_slow_store_is_asked_again_later_but_after_a_second_at_the_most(
    index: Index, monotonic: Monotonic, took: float, wait: float
) -> None:
    index.shards = {0: ["a1"]}
    index.takes = lambda: monotonic.pass_by(took)
    feed = feed_of(index, monotonic, range(1))
    assert await taken(feed) == ["a1"]
    monotonic.pass_by(wait - 0.01)
    assert await taken(feed) == []
    monotonic.pass_by(0.011)
    assert await taken(feed) == ["a1"]


async def test_after_a_pass_that_found_nothing_the_next_one_begins_a_second_later(
    index: Index, monotonic: Monotonic
) -> None:
    feed = feed_of(index, monotonic)
    assert await taken(feed) == []
    index.shards = {0: ["a1"]}
    monotonic.now += 0.9
    assert await taken(feed) == []
    monotonic.now += 0.1
    assert await taken(feed) == ["a1"]


async def test_after_a_pass_of_which_something_was_left_the_next_one_begins_half_a_second_later(
    index: Index, monotonic: Monotonic
) -> None:
    index.shards = {0: ["a1"]}
    feed = feed_of(index, monotonic)
    assert await taken(feed) == ["a1"]
    feed.leave()
    monotonic.now += 0.4
    assert await taken(feed) == []
    monotonic.now += 0.1
    assert await taken(feed) == ["a1"]


async def test_what_comes_due_during_a_pass_is_for_the_next_one(
    index: Index, monotonic: Monotonic
) -> None:
    clock = ManualClock()
    began = format_instant(clock())
    index.shards = {0: ["a1", "a2", "a3"]}
    feed = feed_of(index, monotonic, range(1), clock=clock)
    await taken(feed)
    clock.advance(5)
    await taken(feed)
    assert index.asked == [(0, began), (0, began)]


async def test_an_outage_ends_a_pass_and_the_next_begins_at_its_start(
    index: Index, monotonic: Monotonic
) -> None:
    index.shards = {0: ["a1", "a2", "a3"]}
    feed = feed_of(index, monotonic)
    assert await taken(feed) == ["a1", "a2"]
    index.broken = True
    with pytest.raises(StoreUnavailable):
        await taken(feed)
    index.broken = False
    monotonic.now += 1
    assert await taken(feed) == ["a1", "a2"]


async def test_an_outage_at_the_start_of_a_pass_does_not_count_as_one(
    index: Index, monotonic: Monotonic
) -> None:
    index.broken = True
    feed = feed_of(index, monotonic)
    with pytest.raises(StoreUnavailable):
        await taken(feed)
    index.broken = False
    index.shards = {0: ["a1"]}
    assert await taken(feed) == ["a1"]


async def test_every_pass_has_the_shards_in_another_order(
    index: Index, monotonic: Monotonic
) -> None:
    feed = feed_of(index, monotonic, shuffle=lambda shards: shards.reverse())
    await taken(feed)
    assert index.shards_asked() == [2, 1, 0]
    monotonic.now += 1
    await taken(feed)
    assert index.shards_asked() == [0, 1, 2]


async def test_only_its_own_shards_are_asked(index: Index, monotonic: Monotonic) -> None:
    index.shards = {0: ["a1"], 1: ["b1"]}
    assert await taken(feed_of(index, monotonic, range(1, 2))) == ["b1"]
    assert index.shards_asked() == [1]

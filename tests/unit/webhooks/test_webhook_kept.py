from __future__ import annotations

from remit.webhooks.chunk import Held
from remit.webhooks.kept import MOST_OF_ONE, Kept
from tests.support.webhooks import NOW

ONE, OTHER = ("m", "one"), ("m", "other")


def held(number: int) -> Held:
    return Held(f"wh-{number}", "token", NOW)


def test_an_endpoint_has_a_few_places_and_leaves_the_rest_to_others() -> None:
    kept = Kept(most=MOST_OF_ONE + 1)
    assert [kept.reserve(ONE) for _ in range(MOST_OF_ONE + 1)] == [True] * MOST_OF_ONE + [False]
    assert kept.reserve(OTHER)
    assert not kept.reserve(("m", "third"))


def test_a_place_is_free_again_once_its_webhook_is_taken_or_was_not_written() -> None:
    kept = Kept(most=2)
    assert kept.reserve(ONE)
    assert kept.reserve(ONE)
    kept.keep(held(1), ONE)
    kept.cancel(ONE)
    assert ("wh-1" in kept, kept.news(), kept.news()) == (True, [held(1)], [])
    assert kept.take("wh-1") == held(1)
    assert kept.take("wh-1") is None
    assert kept.reserve(OTHER)
    assert kept.reserve(OTHER)


def test_all_are_taken_out_to_be_given_back() -> None:
    kept = Kept(most=5)
    for number in range(3):
        assert kept.reserve(ONE)
        kept.keep(held(number), ONE)
    assert kept.all() == kept.take_all() == [held(0), held(1), held(2)]
    assert kept.all() == []

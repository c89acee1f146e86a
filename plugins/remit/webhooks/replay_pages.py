"""The webhooks of a replay, page by page, each with a verdict; a count of them is made of the same.

They are read from `gsi-merchant` in the order of their types. No write of Remit moves a record in
that index, so a place in it is one to go on at, whoever goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remit.aws.items import Item
from remit.clock import parse_instant
from remit.services import Services
from remit.webhooks.replay import Candidate, Judge, Refused, Skip
from remit.webhooks.replay_filter import ReplayFilter

INDEX = "gsi-merchant"
PAGE = 1_000
"""Records that one request looks at, or a megabyte of them."""

COUNTED = 100_000
"""So many webhooks are counted at the most."""

COUNTED_PAGES = 1_000
"""So many pages are looked at for a count, whether or not something in them matches."""


@dataclass(frozen=True)
class Already:
    """A webhook that this replay has put into the queue before: its worker was killed before it
    could say so, or another one is at the same page."""


Verdict = Candidate | Refused | Already


@dataclass(frozen=True)
class Found:
    """A webhook that matches, its place in the index, and whether it can be replayed."""

    place: Item
    verdict: Verdict


@dataclass(frozen=True)
class Page:
    """`next` is where the page after it starts; None: it is the last one."""

    found: list[Found]
    next: Item | None


class Pages:
    """Reads the pages of one replay. Endpoints are read once: an object lives for a minute."""

    def __init__(
        self, services: Services, merchant_id: str, wanted: ReplayFilter, replay_id: str
    ) -> None:
        self._table = services.tables.webhooks
        self._wanted = wanted
        self._replay_id = replay_id
        self._filter, values = wanted.expression(replay_id)
        self._values = {**values, "merchant": merchant_id, "prefix": wanted.type_prefix}
        self._key = "#merchantID = :merchant"
        if wanted.type_prefix:
            self._key += " AND begins_with(#eventType, :prefix)"
        self._judge = Judge(services, merchant_id)

    def read(self, start: Mapping[str, Any] | None) -> Page:
        """The page that begins after `start`; the first one after None.

        Raises:
            StoreUnavailable: it could not be read.
        """
        items, last = self._table.query_page(
            self._key,
            self._values,
            index=INDEX,
            filter=self._filter,
            limit=PAGE,
            start=start,
        )
        items = [item for item in items if self._wanted.wants(item["eventType"])]
        known = {item["id"]: verdict for item in items if (verdict := self._known(item))}
        fresh = [item for item in items if item["id"] not in known]
        fresh = [item for item in fresh if self._wanted.covers(parse_instant(item["createdAt"]))]
        judged = zip(fresh, self._judge.judge(fresh), strict=True)
        verdicts = known | {item["id"]: verdict for item, verdict in judged}
        # In the order of the index: a place stands for all that comes before it.
        found = [
            Found(_place(item), verdicts[item["id"]]) for item in items if item["id"] in verdicts
        ]
        return Page(found, last)

    def _known(self, item: Item) -> Verdict | None:
        """The verdict of what need not be judged. What does not say when it was created counts, for
        it may be in the window."""
        if item.get("replayedBy") == self._replay_id:
            return Already()
        try:
            parse_instant(item["createdAt"])
        except (KeyError, TypeError, ValueError):
            return Refused(Skip.UNREADABLE, "createdAt is no instant")
        return None


def _place(item: Item) -> Item:
    return {name: item[name] for name in ("merchantID", "eventType", "id")}


@dataclass
class Count:
    """What a replay would do. `complete` is false if there may be more than was counted."""

    matched: int = 0
    replayable: int = 0
    skipped: Counter[Skip] = field(default_factory=Counter)
    complete: bool = True


def count(
    services: Services, merchant_id: str, wanted: ReplayFilter, pages_to_count: int = COUNTED_PAGES
) -> Count:
    """Look at every webhook that a replay would find now, in so many pages, and change nothing.

    Raises:
        StoreUnavailable: they could not be read.
    """
    counted, start = Count(), None
    pages = Pages(services, merchant_id, wanted, "none")
    for _ in range(pages_to_count):
        page = pages.read(start)
        start = page.next
        for found in page.found:
            if counted.matched == COUNTED:
                counted.complete = False
                return counted
            counted.matched += 1
            match found.verdict:
                case Refused(why=why):
                    counted.skipped[why] += 1
                case _:
                    counted.replayable += 1
        if start is None:
            return counted
    counted.complete = False
    return counted

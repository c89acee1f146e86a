"""docs/audit.md: its tables are the code's, its example is an answer."""

from __future__ import annotations

import json
from datetime import timedelta

from remit.api import audit as route
from remit.api import events, refused
from remit.audit import DONE, REFUSED, Via
from remit.exports import entries
from remit.settings import Settings
from tests.unit.project.documents import Document, names

DOCUMENT = Document("docs/audit.md")


def listed(*head: str) -> list[str]:
    """The names in the first column of a table."""
    return [name for row in DOCUMENT.table(*head) for name in names(row[0])]


def test_the_members_are_those_of_an_answer() -> None:
    assert sorted(listed("member", "meaning")) == sorted(route._MEMBERS)
    (example,) = (json.loads(block) for block in DOCUMENT.blocks("json"))
    assert example.keys() == {"data", "next_cursor"}
    assert example["data"] == [route._EXAMPLE]


def test_the_ways_are_those_of_the_code() -> None:
    assert listed("`via`", "what it came by") == [
        via.value for via in (Via.HOOK, Via.COMMAND, Via.RUN, Via.SCHEDULE, Via.BACKFILL, Via.REMIT)
    ]
    assert len(Via) == 6


def test_the_actions_of_exports_are_those_of_the_code() -> None:
    known = [entries.REQUESTED, entries.CANCELED, entries.RETRIED, entries.LINKED]
    assert listed("action", "when") == known
    assert all(f"`{action}`" in (entries.__doc__ or "") for action in known)


def test_the_actions_of_events_are_those_of_the_code() -> None:
    known = [events.PUBLISHED_ONE, events.PUBLISHED_MANY]
    assert listed("action of events", "when, and `details`") == known


def test_what_is_said_of_refusals_is_as_the_code_has_it() -> None:
    assert listed("action of refusals", "when, and `details`")[0] == refused.ACTION
    assert f"at most {refused.MOST_PER_MINUTE} refusals of a merchant in a minute" in " ".join(
        DOCUMENT.text.split()
    )
    statuses = sorted(refused.STATUSES)
    assert f"{', '.join(map(str, statuses[:-1]))} or {statuses[-1]}, has an" in DOCUMENT.text
    assert f"`{DONE}`, or `{REFUSED}`" in DOCUMENT.text


def test_the_parameters_are_those_of_the_route() -> None:
    assert listed("parameter", "meaning") == ["action", "after", "before", "limit", "cursor"]


def test_the_retention_is_the_settings_default() -> None:
    assert Settings().audit_retention == timedelta(days=400)
    assert "`REMIT_AUDIT_RETENTION_SECONDS` (400 days)" in DOCUMENT.text

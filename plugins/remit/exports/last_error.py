"""Why an export does not get on: what its last round came to, as the job keeps and tells it.

A round that fails for a reason that may pass leaves the job's attribute `lastError`. The next one
waits as long as rounds have failed by then, so that the waits double. It goes when a round gets
through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from botocore.exceptions import ClientError

from remit.aws.items import Item
from remit.aws.query import QueryRefused
from remit.clock import format_instant, parse_instant
from remit.errors import ConfigurationError, OutOfRoom, Transient
from remit.exports.report_digest import ReportChanged

ATTRIBUTE = "lastError"

SHORTEST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
REFUSED_FOR = timedelta(days=1)
"""Refusals do not pass by themselves: an export that meets nothing else for so long has failed."""

_MOST_DETAIL_BYTES = 1000


@dataclass(frozen=True)
class Kind:
    """A kind of error: its code, and a message that the merchant may read.

    `counts`: it may be the export's own fault, and counts against its attempts. `refusal`: somebody
    has to mend something.
    """

    code: str
    message: str
    counts: bool = False
    refusal: bool = False


KINDS: Mapping[type[Exception], Kind] = MappingProxyType(
    {
        OutOfRoom: Kind("no_room", "the worker had no room for it", counts=True),
        ReportChanged: Kind("report_changed", "its report was changed under way: it begins anew"),
        Transient: Kind("unavailable", "a store did not answer, or asked to slow down"),
        ConfigurationError: Kind(
            "not_configured", "the service, or the report, is not set up rightly", refusal=True
        ),
        QueryRefused: Kind("refused", "a store refused to be read", refusal=True),
        ClientError: Kind("refused", "a store refused to be read or written", refusal=True),
        Exception: Kind("internal", "something went wrong that was not foreseen", counts=True),
    }
)
"""Error to kind. The first entry that the error is an instance of counts."""


@dataclass(frozen=True)
class LastError:
    """Why the round of a generation failed. `detail` is for the operator: it may name tables, files
    and settings.

    Rounds have failed since `since`, and have been refused, and nothing else, since
    `refused_since`, if this one was.
    """

    kind: Kind
    detail: str
    generation: int
    since: datetime
    refused_since: datetime | None

    @classmethod
    def after(cls, error: Exception, item: Item, now: datetime) -> LastError:
        """What an error adds to what the job's record tells of the rounds before."""
        kind = next(kind for base, kind in KINDS.items() if isinstance(error, base))
        before = _of(item)
        return cls(
            kind,
            _bounded(f"{type(error).__name__}: {error}"),
            int(item["generation"]),
            _instant(before.get("since"), now),
            _instant(before.get("refusedSince"), now) if kind.refusal else None,
        )

    def due_at(self, now: datetime) -> datetime:
        """When to try again: after as long as it has been failing by now, within the bounds."""
        return now + min(max(now - self.since, SHORTEST_WAIT), LONGEST_WAIT)

    def refused_too_long(self, now: datetime) -> bool:
        """Whether to give up."""
        return self.refused_since is not None and now - self.refused_since >= REFUSED_FOR

    def record(self) -> dict[str, Any]:
        """As the job's record has it."""
        refused = self.refused_since
        return {
            "code": self.kind.code,
            "message": self.kind.message,
            "detail": self.detail,
            "generation": self.generation,
            "since": format_instant(self.since),
            **({"refusedSince": format_instant(refused)} if refused else {}),
        }


def told_of(item: Item) -> dict[str, Any] | None:
    """What a merchant is told of the last round, if it failed."""
    if not (last := _of(item)):
        return None
    return {"code": last.get("code"), "message": last.get("message")}


def end_of_last_round(item: Item) -> str:
    """What the round before that of a claimed record came to."""
    last = _of(item)
    if last.get("generation") == int(item["generation"]) - 1:
        return str(last.get("message"))
    return "its worker gave no more sign of life"


def _of(item: Item) -> Mapping[str, Any]:
    last = item.get(ATTRIBUTE)
    return last if isinstance(last, Mapping) else {}


def _instant(value: Any, default: datetime) -> datetime:
    return parse_instant(value) if isinstance(value, str) else default


def _bounded(text: str) -> str:
    content = text.encode(errors="backslashreplace")[:_MOST_DETAIL_BYTES]
    return content.decode(errors="ignore")

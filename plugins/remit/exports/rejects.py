"""Records that cannot be exported: each is looked at, set aside with its reasons, and counted.

The engine's SQL marks a record as suspect by cheap signs; here it is read with care. What turns
out to be fine passes (a NULL where a text may be missing, a number with an exponent); what does not
goes into the rejects file, one JSON object per line, with the reasons and as much of the record as
may be shown (see `Detail`). An export without one record is better than none, but too many mean
that something else is wrong: then the export fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any

import msgspec

from remit.clock import parse_instant
from remit.errors import ExportFailed
from remit.exports.reports import Attribute, Report, Source
from remit.settings import Settings

MOST_OF_VALUE = 100
"""Characters that are told of a value."""

MOST_OF_MESSAGE = 1000
"""Characters of a failure's message: it becomes part of the job, which DynamoDB bounds, and of a
webhook."""

_NUMBER = re.compile(r"[+-]?(\d{1,38}(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Detail(Enum):
    """What a reject shows of its record, beside its id, its range key and what is wrong with it."""

    NAMES = "no values"
    VALUES = "the attributes that are wrong, cut where they are long"
    WHOLE = "all attributes that the source declares"

    @classmethod
    def of(cls, report: Report, settings: Settings) -> Detail:
        """What may be shown in an export of a report. A report that is not sliced (it adds up, it
        compares) lets nobody see its records; and no transform masks what cannot be read."""
        if not report.sliced:
            return cls.NAMES
        if settings.rejects_whole:
            return cls.WHOLE
        return cls.NAMES if settings.transform else cls.VALUES


@dataclass(frozen=True)
class Objection:
    """What is wrong with an attribute; `content` is what it holds, where that shows it."""

    attribute: str
    wrong: str
    content: str | None = None

    def reason(self, detail: Detail) -> str:
        """In words, with as much of the value as may be shown."""
        words = f"{self.attribute} {self.wrong}"
        if self.content is None or detail is Detail.NAMES:
            return words
        return f"{words}: {shortened(self.content)}"


@dataclass(frozen=True)
class Reject:
    """A record that was set aside."""

    source: str
    id: str
    reasons: tuple[str, ...]
    record: Mapping[str, Any]

    def line(self) -> bytes:
        """The record's line in the rejects file."""
        value = {
            "source": self.source,
            "id": self.id,
            "reasons": self.reasons,
            "record": self.record,
        }
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"


class Rejects:
    """What one pass over the records has set aside; at most `limit` records.

    The engine calls `admit` from DuckDB's threads, possibly from several at once.
    """

    def __init__(
        self, sources: Mapping[str, Source], limit: int, detail: Detail = Detail.NAMES
    ) -> None:
        self._sources = sources
        self._limit = limit
        self._detail = detail
        self._found: list[Reject] = []
        self.failure: ExportFailed | None = None

    @classmethod
    def of(cls, report: Report, settings: Settings) -> Rejects:
        """None yet, of an export of a report."""
        sources = {source.name: source for source in report.sources}
        return cls(sources, settings.max_rejects, Detail.of(report, settings))

    def __len__(self) -> int:
        return len(self._found)

    def lines(self) -> bytes:
        """The rejects file, by record id (threads find them in any order)."""
        return b"".join(one.line() for one in sorted(self._found, key=lambda one: one.id))

    def admit(self, source: str, page: bytes, positions: Iterable[int]) -> list[bool]:
        """Which of the records at these positions of a page may be exported.

        Raises:
            ExportFailed: more records than allowed are rejected. DuckDB turns it into an error of
                its own; it is kept in `failure`.
        """
        records = _decode(page).Items
        return [self._admit(source, _decode_record(records[position])) for position in positions]

    def _admit(self, source: str, record: Mapping[str, Any]) -> bool:
        declared = self._sources[source].attributes
        objections = [found for one in declared if (found := objection_to(one, record))]
        if not objections:
            return True
        reasons = tuple(one.reason(self._detail) for one in objections)
        shown = self._shown(self._sources[source], record, {one.attribute for one in objections})
        self._found.append(Reject(source, _id_of(record), reasons, shown))
        if len(self._found) > self._limit:
            self.failure = too_many(self._limit, self._found[0])
            raise self.failure
        return False

    def _shown(self, source: Source, record: Mapping[str, Any], wrong: set[str]) -> dict[str, Any]:
        names = [one.name for one in source.attributes if one.name in record]
        if self._detail is Detail.WHOLE:
            return {name: record[name] for name in names}
        shown = {source.range.name} | (wrong if self._detail is Detail.VALUES else set())
        return {name: _shortened_value(record[name]) for name in names if name in shown}


class _Page(msgspec.Struct):
    """An answer to Query whose records are decoded when they are asked for."""

    Items: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Page).decode
_decode_record = msgspec.json.Decoder(dict[str, Any]).decode


def too_many(limit: int, example: Reject) -> ExportFailed:
    """The failure of an export with too many rejects."""
    name = f"{example.source} {shortened(example.id)}"
    message = f"more than {limit} records cannot be read; one of them, {name}: "
    return ExportFailed(
        "too_many_rejects", shortened(message + "; ".join(example.reasons), MOST_OF_MESSAGE)
    )


def objection_to(attribute: Attribute, record: Mapping[str, Any]) -> Objection | None:
    """Why a record cannot be read because of an attribute; None: it can."""
    value = record.get(attribute.name)
    if not value or "NULL" in value:
        return Objection(attribute.name, "is missing") if attribute.required else None
    kind, judge = _JUDGES[attribute.type]
    if kind is None:
        return None
    if kind not in value:
        found = shortened(", ".join(value))
        return Objection(attribute.name, f"is of the type {found}, not {kind}")
    content = value[kind]
    if judge is None or (content == "" and kind == "S" and not attribute.required):
        return None
    wrong = judge(content)
    return None if wrong is None else Objection(attribute.name, wrong, content)


def shortened(text: str, most: int = MOST_OF_VALUE) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _shortened_value(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """An AttributeValue; what is nested is cut as its JSON."""
    return {kind: _shortened_content(content) for kind, content in value.items()}


def _shortened_content(content: Any) -> Any:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return content if len(text) <= MOST_OF_VALUE else shortened(text)


def _id_of(record: Mapping[str, Any]) -> str:
    return str(record.get("id", {}).get("S", ""))


def _not_whole(digits: str) -> str | None:
    number = Decimal(digits) if _NUMBER.fullmatch(digits) else None
    if number is None or number != number.to_integral_value():
        return "is not a whole number"
    if not -(2**63) <= number < 2**63:
        return "does not fit into 64 bits"
    return None


def _no_instant(text: str) -> str | None:
    try:
        parse_instant(text)
    except ValueError:
        return "is not an RFC 3339 instant such as 2026-01-31T23:59:59Z, of the years 1 to 9999"
    return None


def _no_day(text: str) -> str | None:
    wrong = "is not a day such as 2026-01-31"
    if not _DAY.fullmatch(text):
        return wrong
    try:
        date.fromisoformat(text)
    except ValueError:
        return wrong
    return None


_JUDGES: Mapping[str, tuple[str | None, Callable[[str], str | None] | None]] = MappingProxyType(
    {
        "text": ("S", None),
        "integer": ("N", _not_whole),
        "instant": ("S", _no_instant),
        "day": ("S", _no_day),
        "boolean": ("BOOL", None),
        "json": (None, None),
    }
)
"""Attribute type to the type that its value has to have (None: any), and to what may be said
against the content. An empty text stands for no instant and no day."""

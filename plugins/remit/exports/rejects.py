"""Records that cannot be exported: each is looked at, set aside with its reasons, and counted.

The engine's SQL marks a record as suspect by cheap signs; here it is read with care. What turns
out to be fine passes (a NULL where a text may be missing, a number with an exponent); what does not
goes into the rejects file, one JSON object per line, with the reasons and the attributes as
DynamoDB holds them. An export without one record is better than none, but too many mean that
something else is wrong: then the export fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgspec

from remit.clock import parse_instant
from remit.errors import ExportFailed
from remit.exports.reports import Attribute, Source

_NUMBER = re.compile(r"[+-]?(\d{1,38}(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


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

    def __init__(self, sources: Mapping[str, Source], limit: int) -> None:
        self._sources = sources
        self._limit = limit
        self._found: list[Reject] = []
        self.failure: ExportFailed | None = None

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
        reasons = tuple(reason for one in declared if (reason := reason_against(one, record)))
        if not reasons:
            return True
        kept = {one.name: record[one.name] for one in declared if one.name in record}
        self._found.append(Reject(source, _id_of(record), reasons, kept))
        if len(self._found) > self._limit:
            self.failure = too_many(self._limit, self._found[0])
            raise self.failure
        return False


class _Page(msgspec.Struct):
    """An answer to Query whose records are decoded when they are asked for."""

    Items: list[msgspec.Raw]


_decode = msgspec.json.Decoder(_Page).decode
_decode_record = msgspec.json.Decoder(dict[str, Any]).decode


def too_many(limit: int, example: Reject) -> ExportFailed:
    """The failure of an export with too many rejects."""
    return ExportFailed(
        "too_many_rejects",
        f"more than {limit} records cannot be read; one of them, {example.source} {example.id}: "
        + "; ".join(example.reasons),
    )


def reason_against(attribute: Attribute, record: Mapping[str, Any]) -> str | None:
    """Why a record cannot be read because of an attribute; None: it can."""
    value = record.get(attribute.name)
    if not value or "NULL" in value:
        return f"{attribute.name} is missing" if attribute.required else None
    kind, objection = _JUDGES[attribute.type]
    if kind is None:
        return None
    if kind not in value:
        return f"{attribute.name} is of the type {', '.join(value)}, not {kind}"
    content = value[kind]
    if objection is None or (content == "" and kind == "S" and not attribute.required):
        return None
    reason = objection(content)
    return reason and f"{attribute.name} {reason}"


def _id_of(record: Mapping[str, Any]) -> str:
    return str(record.get("id", {}).get("S", ""))


def _not_whole(digits: str) -> str | None:
    number = Decimal(digits) if _NUMBER.fullmatch(digits) else None
    if number is None or number != number.to_integral_value():
        return f"is not a whole number: {digits}"
    if not -(2**63) <= number < 2**63:
        return f"does not fit into 64 bits: {digits}"
    return None


def _no_instant(text: str) -> str | None:
    try:
        parse_instant(text)
    except ValueError as error:
        return f"is not an instant: {error}"
    return None


def _no_day(text: str) -> str | None:
    wrong = f"is not a day such as 2026-01-31: {text}"
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

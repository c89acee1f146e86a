"""DynamoDB JSON to typed relations: the SQL that decodes a source's pages.

One pass of DuckDB's JSON reader turns the answers to Query into columns. What an attribute type
reads, and what makes a value suspect, is one row of `_READERS`. A suspect record is handed to the
function `admit` (see `remit.exports.rejects`), which looks at it closely and says whether it may
pass; the others never leave DuckDB.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from remit.exports.currencies import EXPONENTS, minor_unit
from remit.exports.reports import FILTERS, Attribute, Source

_SHORTEST_INSTANT = len("2026-01-31T23:59:59Z")


@dataclass(frozen=True)
class _Reader:
    """How an attribute type is read.

    `shape`: what DuckDB's JSON reader takes of the AttributeValue. `value` and `suspect` are SQL
    over `{raw}` (what the reader took), `{attribute}` (the AttributeValue) and `{column}` (the
    value); a missing attribute is suspect only where it is required.
    """

    shape: Any
    raw: str
    value: str
    suspect: str


_TEXT = _Reader({"S": "VARCHAR"}, "{attribute}.S", "{raw}", "{raw} IS NULL")

_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "text": _TEXT,
        # A cast would round 12.5 and read 0x10: only digits that come back as they were pass.
        "integer": _Reader(
            {"N": "VARCHAR"},
            "{attribute}.N",
            "try_cast({raw} AS BIGINT)",
            "{column} IS NULL OR {column}::VARCHAR <> {raw}",
        ),
        # A cast takes times without an offset as well, which name no instant. upper(): RFC 3339
        # allows 't' and 'z', and DuckDB does not. Digits beyond microseconds are cut off, so that
        # an instant never crosses the edge of a range.
        "instant": _Reader(
            {"S": "VARCHAR"},
            "{attribute}.S",
            "coalesce(try_cast({raw} AS TIMESTAMPTZ), try_cast(upper({raw}) AS TIMESTAMPTZ))",
            f"{{column}} IS NULL OR strlen({{raw}}) < {_SHORTEST_INSTANT}"
            " OR NOT (suffix({raw}, 'Z') OR {raw}[-6] IN ('+', '-'))",
        ),
        "day": _Reader(
            {"S": "VARCHAR"},
            "{attribute}.S",
            "try_cast({raw} AS DATE)",
            "{column} IS NULL OR {column}::VARCHAR <> {raw}",
        ),
        "boolean": _Reader({"BOOL": "BOOLEAN"}, "{attribute}.BOOL", "{raw}", "{raw} IS NULL"),
        # DuckDB writes the value anew: no white space, the least escapes, numbers stay text.
        "json": _Reader("JSON", "{attribute}::VARCHAR", "plain_json({raw})", "{column} IS NULL"),
    }
)

MACROS = (
    f"""CREATE MACRO major(minor, currency) AS
        (minor * MAP {{{
        ", ".join(f"'{code}': {minor_unit(digits)}" for code, digits in EXPONENTS.items())
    }}}[upper(currency)])::DECIMAL(24,4)""",
    "CREATE MACRO local_day(instant) AS timezone(getvariable('time_zone'), instant)::DATE",
)
"""What reports may call: `major(minor, currency)` is an exact amount in major units, NULL for a
currency that ISO 4217 does not know; `local_day(instant)` is the day in the export's time zone."""


def pages_of(source: Source) -> str:
    """The name of the relation with a source's pages: one text column, `page`."""
    return f"pages_of_{source.name}"


def relation_of(source: Source, *, attributes: bool) -> str:
    """The relation `items` of a source: decoded, in range, admitted, filtered. The source's own
    query follows.

    `attributes`: with the column `attributes`, JSON of what the source does not declare. It costs
    a second pass over the page, so it is only made if it is used.
    """
    return f"""
        WITH pages AS (
            SELECT page, {_read(_shape(source))} AS records{_others(attributes)}
            FROM {pages_of(source)}
        ),
        records AS (
            SELECT page, unnest(records) AS record, unnest(range(len(records))) AS position
                {", unnest(others) AS other" if attributes else ""}
            FROM pages
        ),
        typed AS (
            SELECT page, position, record,
                {", ".join(f"{_value(one)} AS {one.column}" for one in source.attributes)}
                , {_attributes(source, attributes)} AS attributes
            FROM records
        ),
        judged AS (
            SELECT *, {_instant(source)} AS range_instant,
                {" OR ".join(_suspect(one) for one in source.attributes)} AS suspect
            FROM typed
        ),
        items AS (
            SELECT * EXCLUDE (page, position, record, range_instant, suspect)
            FROM judged
            WHERE {_admitted(source)} AND {_filtered(source)}
        )
    """


def _admitted(source: Source) -> str:
    """A CASE looks at the range first: what lies outside is nobody's business, however odd."""
    outside = (
        "range_instant < getvariable('range_start') OR range_instant >= getvariable('range_end')"
    )
    if "created_at" in source.columns:
        outside += " OR created_at >= getvariable('as_of')"
    return f"""CASE
        WHEN {outside} THEN false
        WHEN suspect THEN admit('{source.name}', page, position)
        ELSE true
    END"""


def _filtered(source: Source) -> str:
    clauses = [
        f"(getvariable('{name}') IS NULL OR {column} {comparison} getvariable('{name}'))"
        for name, (column, comparison) in FILTERS.items()
        if column in source.columns
    ]
    return " AND ".join(clauses or ["true"])


def _shape(source: Source) -> dict[str, Any]:
    return {one.name: _READERS[one.type].shape for one in source.attributes}


def _read(shape: Any) -> str:
    return f"json_transform(page, '{json.dumps({'Items': [shape]})}').Items"


def _others(attributes: bool) -> str:
    return f", {_read('JSON')} AS others" if attributes else ""


def _attributes(source: Source, attributes: bool) -> str:
    if not attributes:
        return "NULL::VARCHAR"
    names = ", ".join(f"'{one.name}'" for one in source.attributes)
    return f"other_attributes(other, [{names}])"


def _value(one: Attribute) -> str:
    return _READERS[one.type].value.format(raw=_raw(one))


def _raw(one: Attribute) -> str:
    return _READERS[one.type].raw.format(attribute=_attribute(one))


def _attribute(one: Attribute) -> str:
    return f'record."{one.name}"'


def _suspect(one: Attribute) -> str:
    odd = _READERS[one.type].suspect.format(raw=_raw(one), column=one.column)
    if one.required:
        return f"({odd})"
    return f"({_attribute(one)} IS NOT NULL AND ({odd}))"


def _instant(source: Source) -> str:
    over = source.range
    to_instant: Mapping[str, Callable[[str], str]] = {
        "instant": lambda column: column,
        "day": lambda column: f"timezone(getvariable('time_zone'), {column}::TIMESTAMP)",
    }
    return to_instant[over.type](over.column)

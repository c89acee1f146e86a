"""DynamoDB JSON to typed relations: the SQL that decodes a source's pages.

One pass of DuckDB's JSON reader turns the answers to Query into columns. What an attribute type
reads, and what makes a value suspect, is one row of `_READERS`. A suspect record is named, by page
and position, to the function `admit` (see `remit.exports.rejects`), which looks at it closely and
says whether it may pass; the others never leave DuckDB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from remit.exports.currencies import EXPONENTS, minor_unit
from remit.exports.reports import CREATED, FILTERS, Attribute, Source

_INSTANT = (  # in RE2, whose digits are ASCII
    r"\d\d\d\d-\d\d-\d\d[Tt ]([01]\d|2[0-3]):\d\d:\d\d([.]\d+)?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
)
_PLAINLY_IN_UTC = (
    "{raw} LIKE '____-__-__T__:__:__%Z' AND strlen({raw}) <> 21 AND NOT contains({raw}, ' ')"
    " AND epoch_us({column}) % 86400000000 <> 0"
)
"""Texts that a cast reads rightly or not at all, told at a third of the cost of `_INSTANT`. Of the
others, the length is that of `12:00:00.Z`, the space that of ` NZ`, New Zealand, and a cast takes
24:00 for midnight of the next day."""
_OUTSIDE_YEARS = "{column} < '0001-01-01' OR {column} >= '10000-01-01'"
"""DuckDB's calendar is longer than that of RFC 3339, of Python and of most readers."""


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
        # HUGEINT: digits that an exponent makes fit, such as 12345678901234567890E-1.
        "integer": _Reader(
            {"N": "VARCHAR"},
            "{attribute}.N",
            "coalesce(try_cast({raw} AS BIGINT), try_cast(try_cast({raw} AS HUGEINT) AS BIGINT))",
            "{column} IS NULL OR {column}::VARCHAR <> {raw}",
        ),
        # A cast takes more than instants: times without an offset, an offset of 99 hours.
        # upper(): RFC 3339 allows 't' and 'z', and DuckDB does not. Digits beyond microseconds are
        # cut off, so that an instant never crosses the edge of a range.
        "instant": _Reader(
            {"S": "VARCHAR"},
            "{attribute}.S",
            "coalesce(try_cast({raw} AS TIMESTAMPTZ), try_cast(upper({raw}) AS TIMESTAMPTZ))",
            f"{{column}} IS NULL OR {_OUTSIDE_YEARS} OR CASE"
            f" WHEN {_PLAINLY_IN_UTC} THEN false"
            f" ELSE NOT regexp_full_match({{raw}}, '{_INSTANT}') END",
        ),
        "day": _Reader(
            {"S": "VARCHAR"},
            "{attribute}.S",
            "try_cast({raw} AS DATE)",
            f"{{column}} IS NULL OR {{column}}::VARCHAR <> {{raw}} OR {_OUTSIDE_YEARS}",
        ),
        "boolean": _Reader({"BOOL": "BOOLEAN"}, "{attribute}.BOOL", "{raw}", "{raw} IS NULL"),
        # DuckDB writes the value anew: no white space, the least escapes, numbers stay text.
        # It stays an AttributeValue: `plain_json` costs as much as half a record, and what only
        # passes through a report is made plain afterwards, many values at once (see the engine).
        "json": _Reader(
            "JSON",
            "{attribute}::VARCHAR",
            "nullif({raw}, '{{\"NULL\":true}}')",
            "{column} IS NOT NULL AND NOT starts_with({raw}, '{{\"')",
        ),
    }
)

MACROS = (
    # An enumeration finds its code by a hash; a MAP would compare one after the other.
    f"""CREATE MACRO major(minor, currency) AS
        (minor * [{", ".join(str(minor_unit(digits)) for digits in EXPONENTS.values())}][
            enum_code(try_cast(upper(currency) AS ENUM({
        ", ".join(f"'{code}'" for code in EXPONENTS)
    })))::INTEGER + 1
        ])::DECIMAL(24,4)""",
)
"""What reports may call: `major(minor, currency)` is an exact amount in major units, NULL for a
currency that ISO 4217 does not know."""

_FILTERED = frozenset(column for column, _ in FILTERS.values())

_BARRIER = "USING SAMPLE SYSTEM(100 PERCENT)"
"""All rows, and what DuckDB's optimizer moves no condition across. A report's own conditions come
after the judgement: `type = 'refund'` would otherwise drop a record whose type cannot be read."""


def pages_of(source: Source) -> str:
    """The name of the relation with a source's pages: their `_number` and their text, `_page`.

    Columns that begin with an underscore are the engine's; those of sources cannot.
    """
    return f"pages_of_{source.name}"


def relation_of(source: Source, *, attributes: bool) -> str:
    """The relation `items` of a source: decoded, in range, admitted, filtered. The source's own
    query follows.

    `attributes`: with the column `attributes`, JSON of what the source does not declare. It costs
    a second pass over the page, so it is only made if it is used.
    """
    return f"""
        WITH pages AS (
            SELECT _number, {_read(_shape(source))} AS _records{_others(attributes)}
            FROM {pages_of(source)}
        ),
        records AS (
            SELECT _number, unnest(_records) AS _record, unnest(range(len(_records))) AS _position
                {", unnest(_others) AS _other" if attributes else ""}
            FROM pages
        ),
        typed AS (
            SELECT _number, _position, _record,
                {", ".join(f'{_value(one)} AS "{one.column}"' for one in source.attributes)}
                , {_attributes(source, attributes)} AS attributes
            FROM records
        ),
        judged AS (
            SELECT *,
                {" OR ".join(_suspect(one) for one in source.attributes)} AS _suspect
            FROM typed
        ),
        admitted AS (
            SELECT *, {_admitted(source)} AS _admitted FROM judged
        ),
        items AS (
            SELECT * EXCLUDE (_number, _position, _record, _suspect, _admitted)
            FROM admitted
            WHERE _admitted
            {_BARRIER}
        )
    """


def _admitted(source: Source) -> str:
    """Whether a record is in the relation: a CASE, for the order matters.

    What lies outside of the range, or is plainly not asked for, is nobody's business, however odd.
    """
    return f"""CASE
        WHEN {_outside(source)} OR {_unwanted(source)} THEN false
        WHEN _suspect THEN admit('{source.name}', _number, _position)
        ELSE true
    END"""


_EDGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"instant": ("range_start", "range_end"), "day": ("first_day", "end_day")}
)
"""Type of a range attribute to the variables that bound it, half-open."""


def _outside(source: Source) -> str:
    column = source.range.column
    first, end = _EDGES[source.range.type]
    outside = f"\"{column}\" < getvariable('{first}') OR \"{column}\" >= getvariable('{end}')"
    if CREATED in source.columns:
        outside += f" OR {CREATED} >= getvariable('as_of')"
    return outside


def _unwanted(source: Source) -> str:
    by_column = {one.column: one for one in source.attributes}
    return (
        " OR ".join(
            _excluded(name, by_column[column], comparison)
            for name, (column, comparison) in FILTERS.items()
            if column in by_column
        )
        or "false"
    )


def _excluded(name: str, one: Attribute, comparison: str) -> str:
    """Whether a filter excludes a record. A value that cannot be read may be the one that is asked
    for: its record is judged."""
    asked = f"getvariable('{name}')"
    missing = "false" if one.required else f"({_attribute(one)} IS NULL OR {_attribute(one)}.NULL)"
    return (
        f"({asked} IS NOT NULL AND"
        f' coalesce(NOT ("{one.column}" {comparison} {asked}), {missing}, false))'
    )


def _shape(source: Source) -> dict[str, Any]:
    return {one.name: _shape_of(one) for one in source.attributes}


def _shape_of(one: Attribute) -> Any:
    """What is read of an attribute: where a filter looks at it, also whether it is a NULL, which is
    as good as missing."""
    shape = _READERS[one.type].shape
    return {**shape, "NULL": "BOOLEAN"} if one.column in _FILTERED else shape


def _read(shape: Any) -> str:
    return f"json_transform(_page, '{json.dumps({'Items': [shape]})}').Items"


def _others(attributes: bool) -> str:
    return f", {_read('JSON')} AS _others" if attributes else ""


def _attributes(source: Source, attributes: bool) -> str:
    if not attributes:
        return "NULL::VARCHAR"
    declared = [source.partition, *(one.name for one in source.attributes)]
    names = ", ".join(f"'{name}'" for name in declared)
    return f"other_attributes(_other, [{names}])"


def _value(one: Attribute) -> str:
    return _READERS[one.type].value.format(raw=_raw(one))


def _raw(one: Attribute) -> str:
    return _READERS[one.type].raw.format(attribute=_attribute(one))


def _attribute(one: Attribute) -> str:
    return f'_record."{one.name}"'


def _suspect(one: Attribute) -> str:
    odd = _READERS[one.type].suspect.format(raw=_raw(one), column=f'"{one.column}"')
    if one.required:
        return f'("{one.column}" IS NULL OR {odd})'
    return f"({_attribute(one)} IS NOT NULL AND ({odd}))"

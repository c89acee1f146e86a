"""Sources: typed relations over a DynamoDB table, one `.sql` file in `include/sql/sources/` each.

    -- table: Payments
    -- index: gsi-merchant-created
    -- partition: merchantID
    -- range: createdAt
    -- statuses: pending succeeded failed
    -- attribute: id id text required
    -- attribute: amount amount integer required
    SELECT *, major(amount, currency) AS amount_major FROM items

The head says where the records are and what their attributes mean: the attribute's name in
DynamoDB, the column's name, its type, and whether a record without it is malformed. Decoding is
the engine's (`remit.exports.decode`); the query sees the typed relation `items`, which has these
columns and `attributes` (JSON of what a record holds beside them), and may add to it.
Some columns' types are fixed (`KNOWN_COLUMNS`), because the engine looks at them.
`statuses`, where it is given, lists what a filter by status may ask for.
A report selects from the source by the name of the source's file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from remit.exports.reports.header import NAME, Entry, SqlFile, read_sql_file

ATTRIBUTE_TYPES = ("text", "integer", "instant", "day", "boolean", "json")
"""What an attribute may be read as; `remit.exports.decode` says how."""

RANGE_TYPES = ("instant", "day")

CREATED = "created_at"
"""The column with the time of creation; `as_of` bounds it."""

KNOWN_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        CREATED: "instant",
        "status": "text",
        "currency": "text",
        "customer_id": "text",
        "amount": "integer",
    }
)
"""Column that the engine itself looks at (the others are those of filters) to the type that it has
to have."""

OTHERS = "attributes"
"""The column that every source has: JSON of the attributes that it does not declare."""

_KEYS = frozenset({"table", "index", "partition", "range", "statuses", "attribute"})
_ATTRIBUTE = re.compile(r"([A-Za-z_]\w*) +([a-z][a-z0-9_]*) +([a-z]+)( +required)?", re.ASCII)


@dataclass(frozen=True)
class Attribute:
    """One attribute of a record: its name in DynamoDB, its column, its type."""

    name: str
    column: str
    type: str
    required: bool


@dataclass(frozen=True)
class Source:
    """A source as its file declares it."""

    name: str
    path: Path
    table: str
    index: str
    partition: str
    range: Attribute
    attributes: tuple[Attribute, ...]
    statuses: tuple[str, ...]
    sql: str
    sql_line: int

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are attributes; the filters look at these."""
        return frozenset(attribute.column for attribute in self.attributes)

    @property
    def by_creation(self) -> bool:
        """Whether its range is about the time of creation, which `as_of` bounds."""
        return self.range.column == CREATED


def load_source(path: Path) -> Source:
    """Read one source file.

    Raises:
        ReportError: the file is wrong.
    """
    file = read_sql_file(path, _KEYS)
    attributes = _attributes(file)
    ranged = file.one("range")
    by_name = {attribute.name: attribute for attribute in attributes}
    if (over := by_name.get(ranged.value)) is None or over.type not in RANGE_TYPES:
        kinds = " or ".join(RANGE_TYPES)
        raise ranged.wrong(f"{ranged.value!r} is not an attribute of the type {kinds}")
    if not over.required:
        raise ranged.wrong(f"{ranged.value!r} has to be a required attribute")
    statuses = file.optional("statuses")
    if not file.sql:
        raise file.wrong("a source has a query, at the least SELECT * FROM items")
    return Source(
        name=path.stem,
        path=path,
        table=file.one("table").value,
        index=file.one("index").value,
        partition=file.one("partition").value,
        range=over,
        attributes=attributes,
        statuses=tuple(statuses.value.split()) if statuses else (),
        sql=file.sql,
        sql_line=file.sql_line,
    )


def _attributes(file: SqlFile) -> tuple[Attribute, ...]:
    attributes: list[Attribute] = []
    for entry in file.all("attribute"):
        attribute = _attribute(entry)
        for other in attributes:
            if other.name == attribute.name or other.column == attribute.column:
                raise entry.wrong(f"{entry.value!r} is declared twice")
        attributes.append(attribute)
    if not any(attribute.name == "id" for attribute in attributes):
        raise file.wrong("the header lacks '-- attribute: id …': rejects name their record by it")
    return tuple(attributes)


def _attribute(entry: Entry) -> Attribute:
    match = _ATTRIBUTE.fullmatch(entry.value)
    if match is None or not NAME.fullmatch(match[2]):
        raise entry.wrong(f"{entry.value!r} is not '<attribute> <column> <type> [required]'")
    name, column, kind, required = match.groups()
    if column == OTHERS:
        raise entry.wrong(f"the column {OTHERS!r} holds what the source does not declare")
    if kind not in ATTRIBUTE_TYPES:
        raise entry.wrong(f"unknown type {kind!r}; known: {', '.join(ATTRIBUTE_TYPES)}")
    if kind != (needed := KNOWN_COLUMNS.get(column, kind)):
        raise entry.wrong(f"the column {column!r} has the type {needed!r}, not {kind!r}")
    return Attribute(name, column, kind, required is not None)

"""Reports: one `.sql` file in `include/sql` each, described by the comment lines at its head.

    -- title: Payments
    -- description: One row per payment created in the range.
    -- permission: payments
    -- sources: payments
    -- sliced: yes
    -- sort: created_at_utc
    -- column: payment_id text
    -- column: amount_minor integer [minor units of currency]
    -- column: amount major(currency) [major units of currency]
    SELECT … FROM payments

The file's name is the report's name, `sources` names the typed relations that it selects from
(`include/sql/sources/`), `permission` is what a caller needs to ask for it, `sliced` says whether
the report of a range is the reports of its parts laid end to end, `sort`, if given, names the
column by which the rows come sorted, and the columns are the result's, in order, with their types
and units. A column that is `optional` is left out unless it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from remit.exports.reports.header import NAME, Entry, ReportError, SqlFile, read_sql_file
from remit.exports.reports.source import Source, load_source

COLUMN_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "text": "VARCHAR",
        "integer": "BIGINT",
        "major": "DECIMAL(24,4)",
        "boolean": "BOOLEAN",
        "date": "DATE",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "json": "VARCHAR",
        "attribute": "VARCHAR",
        "attributes": "VARCHAR",
    }
)
"""Type of a report's column to the DuckDB type that its SQL has to yield.

`json` is JSON that the SQL has made; `attribute` is a source's `json` attribute as it is there, an
AttributeValue of DynamoDB, which becomes plain JSON (`plain_json(…)` does it within the SQL).

`major` is an amount in the major units of the currency in another column, exact at the four
decimals that ISO 4217 knows at most. `attributes` is JSON of what a record holds beside the
attributes that its source declares.
"""

FILTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "status": ("status", "="),
        "currency": ("currency", "="),
        "customer_id": ("customer_id", "="),
        "min_amount": ("amount", ">="),
        "max_amount": ("amount", "<="),
    }
)
"""Filter of a request to the source's column and the comparison. A report has the filters whose
column all of its sources have."""

_UNIT_NEEDED = frozenset({"integer", "major"})
_KEYS = frozenset({"title", "description", "permission", "sources", "sliced", "sort", "column"})
_COLUMN = re.compile(
    r"(?P<name>\S+) +(?P<type>[a-z]+)(?:\((?P<currency>\w+)\))?(?P<optional> +optional)?"
    r"(?: +\[(?P<unit>[^\]]+)\])?"
)
_YES_OR_NO: Mapping[str, bool] = MappingProxyType({"yes": True, "no": False})


@dataclass(frozen=True)
class Column:
    """One column of a report: its name, its type (a key of `COLUMN_TYPES`) and its unit.

    `currency` names the column with the currency code of a `major` amount.
    """

    name: str
    type: str
    unit: str | None = None
    optional: bool = False
    currency: str | None = None


@dataclass(frozen=True)
class Report:
    """A report as its file declares it."""

    name: str
    path: Path
    title: str
    description: str
    permission: str
    columns: tuple[Column, ...]
    sources: tuple[Source, ...]
    sliced: bool
    sort: str | None
    sql: str
    sql_line: int

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters that a request for this report may have."""
        return tuple(
            name
            for name, (column, _) in FILTERS.items()
            if all(column in source.columns for source in self.sources)
        )

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that a filter may ask for; none: any."""
        return tuple(dict.fromkeys(one for source in self.sources for one in source.statuses))

    def select(self, names: Sequence[str] | None) -> tuple[Column, ...]:
        """The columns of these names in this order; by default those that are not optional.

        Raises:
            KeyError: there is no such column.
        """
        if names is None:
            return tuple(column for column in self.columns if not column.optional)
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in names)


def load_report(path: Path) -> Report:
    """Read one report file and its sources; the SQL is checked by `remit.exports.engine`.

    Raises:
        ReportError: a file is wrong.
    """
    file = read_sql_file(path, _KEYS)
    columns = _columns(file)
    if not columns or not file.sql:
        raise file.wrong("a report has at least one column and a query")
    return Report(
        name=path.stem,
        path=path,
        title=file.one("title").value,
        description=file.one("description").value,
        permission=file.one("permission").value,
        columns=columns,
        sources=_sources(file),
        sliced=_sliced(file),
        sort=_sort(file, columns),
        sql=file.sql,
        sql_line=file.sql_line,
    )


def _sources(file: SqlFile) -> tuple[Source, ...]:
    entry = file.one("sources")
    sources = []
    for name in entry.value.split():
        path = file.path.parent / "sources" / f"{name}.sql"
        if not path.is_file():
            raise entry.wrong(f"there is no source {path}")
        sources.append(load_source(path))
    return tuple(sources)


def _sliced(file: SqlFile) -> bool:
    entry = file.one("sliced")
    if entry.value not in _YES_OR_NO:
        raise entry.wrong(f"sliced is 'yes' or 'no', not {entry.value!r}")
    sliced = _YES_OR_NO[entry.value]
    if sliced and len(file.one("sources").value.split()) > 1:
        raise entry.wrong("a report of several sources cannot be sliced")
    return sliced


def _sort(file: SqlFile, columns: Sequence[Column]) -> str | None:
    if (entry := file.optional("sort")) is None:
        return None
    if not any(column.name == entry.value for column in columns):
        raise entry.wrong(f"there is no column {entry.value!r} to sort by")
    return entry.value


def _columns(file: SqlFile) -> tuple[Column, ...]:
    columns: list[Column] = []
    for entry in file.all("column"):
        column = _column(entry)
        if any(other.name == column.name for other in columns):
            raise entry.wrong(f"the column {column.name!r} is declared twice")
        columns.append(column)
    texts = {column.name for column in columns if column.type == "text"}
    for column, entry in zip(columns, file.all("column"), strict=True):
        if column.type == "major" and column.currency not in texts:
            raise entry.wrong(
                f"'major(…)' names the text column of the currency, not {column.currency!r}"
            )
    return tuple(columns)


def _column(entry: Entry) -> Column:
    match = _COLUMN.fullmatch(entry.value)
    if match is None:
        raise entry.wrong(f"{entry.value!r} is not '<name> <type> [optional] [<unit>]'")
    name, kind = match["name"], match["type"]
    if not NAME.fullmatch(name):
        raise entry.wrong(f"{name!r} is not a column name (a-z, 0-9 and _)")
    if kind not in COLUMN_TYPES:
        raise entry.wrong(f"unknown type {kind!r}; known: {', '.join(COLUMN_TYPES)}")
    if kind in _UNIT_NEEDED and not match["unit"]:
        raise entry.wrong(f"an {kind} column states its unit: '{entry.value} [minor units]'")
    if match["currency"] and kind != "major":
        raise entry.wrong(f"only a major column has a currency, not {kind}")
    if kind == "timestamp" and not name.endswith("_utc"):
        raise entry.wrong(f"the name of a timestamp says its zone: {name}_utc")
    optional = match["optional"] is not None
    return Column(name, kind, match["unit"], optional, match["currency"])


__all__ = ["COLUMN_TYPES", "FILTERS", "Column", "Report", "ReportError", "load_report"]

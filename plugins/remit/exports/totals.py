"""What the amounts of an export add up to, per amount column and currency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import pandas as pd
import pyarrow as pa

from remit.exports.render.arrow import table_of
from remit.exports.render.cells import with_currencies
from remit.exports.reports import Column

Sums = Mapping[str, Mapping[str, str]]
"""Amount column to currency to the sum in major units, as decimal text."""


class Totals:
    """Adds up the frames of one file; a row without a known currency counts nowhere."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = with_currencies([one for one in columns if one.type == "major"])
        self._sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)

    def add(self, frame: pd.DataFrame) -> None:
        """Count one frame."""
        if not self._columns:
            return
        table = table_of(frame, self._columns)
        for column in self._columns:
            if column.currency:
                self._add(table, column.name, column.currency)

    def _add(self, table: pa.Table, amount: str, currency: str) -> None:
        summed = table.group_by(currency, use_threads=False).aggregate([(amount, "sum")])
        for row in summed.to_pylist():
            if row[currency] is not None and row[f"{amount}_sum"] is not None:
                self._sums[amount, row[currency]] += row[f"{amount}_sum"]

    def sums(self) -> Sums:
        """The sums so far."""
        return merged(
            {amount: {currency: str(value)}} for (amount, currency), value in self._items()
        )

    def _items(self) -> Iterable[tuple[tuple[str, str], Decimal]]:
        return sorted(self._sums.items())


def merged(parts: Iterable[Sums]) -> dict[str, dict[str, str]]:
    """The sums of several parts of a file."""
    result: dict[str, dict[str, str]] = {}
    for part in parts:
        for amount, by_currency in part.items():
            sums = result.setdefault(amount, {})
            for currency, value in by_currency.items():
                sums[currency] = str(Decimal(sums.get(currency, "0")) + Decimal(value))
    return {amount: dict(sorted(sums.items())) for amount, sums in sorted(result.items())}

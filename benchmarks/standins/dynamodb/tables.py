"""All tables of a stand-in, and what is mounted in the place of some."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.standins.answers import PageSource
from benchmarks.standins.dynamodb.errors import InUse, InvalidRequest, NotFound
from benchmarks.standins.dynamodb.table import Table


class Tables:
    """Tables by name. `lock` is held around whatever reads or changes them."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        self._tables: dict[str, Table] = {}
        self._sources: dict[str, PageSource] = {}

    def mount(self, name: str, source: PageSource) -> None:
        """Answer reads of a table with a source's pages from now on; it takes no writes."""
        with self.lock:
            self._sources[name] = source

    def unmount(self, name: str) -> None:
        """The table that was there before is there again, if there was one."""
        with self.lock:
            del self._sources[name]

    def source(self, name: str) -> PageSource | None:
        """What is mounted there."""
        return self._sources.get(name)

    def names(self) -> list[str]:
        """In order."""
        return sorted({*self._tables, *self._sources})

    def table(self, name: object) -> Table:
        """The table with that name (or ARN).

        Raises:
            NotFound: there is none.
            InvalidRequest: it is a mounted one, which has no items of its own.
        """
        plain = str(name).rpartition("/")[2]
        if plain in self._sources:
            raise InvalidRequest(f"{plain} is mounted: it answers reads of pages only")
        try:
            return self._tables[plain]
        except KeyError:
            raise NotFound(f"Requested resource not found: Table: {plain} not found") from None

    def create(self, request: Mapping[str, Any]) -> Table:
        """A new, empty table.

        Raises:
            InUse: the name is taken.
        """
        name = str(request.get("TableName"))
        if name in self._tables or name in self._sources:
            raise InUse(f"Table already exists: {name}")
        table = self._tables[name] = Table(request, self._clock())
        return table

    def delete(self, name: object) -> Table:
        """Forget a table and its items."""
        table = self.table(name)
        return self._tables.pop(table.name)

    def describe(self, name: object) -> dict[str, Any]:
        """The description of a table, or of what is mounted in its place."""
        source = self.source(str(name))
        return self.table(name).describe() if source is None else source.describe()

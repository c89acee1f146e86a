"""DuckDB connections that compute and reach nothing outside: no files, network, extensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

_LIMITS: Mapping[str, Any] = {
    "memory_limit": "256MB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
    "python_enable_replacements": False,
}


def connect(threads: int) -> duckdb.DuckDBPyConnection:
    """A new in-memory database, in UTC."""
    connection = duckdb.connect(config={**_LIMITS, "threads": threads})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection

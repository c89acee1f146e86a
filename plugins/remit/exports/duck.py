"""DuckDB connections that compute and reach nothing outside: no files, network, extensions.

What does not fit into memory (a sort, a large aggregate) is spilled into a folder of the
connection's own. A sort holds some 120,000 rows at a time, however much it spills: rows of more
than 2 KB do not fit into the memory there is.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from remit.errors import OutOfRoom


@dataclass(frozen=True)
class Room:
    """Memory, and disk for what does not fit into it, as DuckDB writes sizes.

    DuckDB holds tables to the limit of the disk and does not count what sorts and aggregates spill;
    for these the disk itself is the limit.
    """

    memory: str
    disk: str


ROOM = Room("256MB", "16GB")

_CLOSED: Mapping[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "enable_external_access": False,
    "python_enable_replacements": False,
}

_CHECK_SECONDS = 0.5

_NO_ROOM = ("Out of Memory Error", "IO Error")
"""How DuckDB's errors begin when memory and the spill folder, or its disk, are full. Errors that
come through Arrow have no other mark."""


@contextmanager
def connect(threads: int, room: Room = ROOM) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new in-memory database, in UTC, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="remit-spill-") as folder:
        config = {
            **_CLOSED,
            "threads": threads,
            "memory_limit": room.memory,
            "max_temp_directory_size": room.disk,
            "temp_directory": folder,
        }
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_progress_bar = false")
            yield connection


@contextmanager
def watched(connection: duckdb.DuckDBPyConnection, check: Callable[[], None]) -> Iterator[None]:
    """Call `check` twice a second while the block runs, from a thread of its own. What it raises
    interrupts the connection's query, which may compute for long without yielding a row, and is
    raised in place of DuckDB's error."""
    over = threading.Event()
    raised: list[Exception] = []

    def watch() -> None:
        while not over.wait(_CHECK_SECONDS):
            try:
                check()
            except Exception as error:  # noqa: BLE001 - handed over to the block
                raised.append(error)
                connection.interrupt()
                return

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    except Exception:
        if raised:
            raise raised[0] from None
        raise
    finally:
        over.set()
        thread.join()


def check_room(error: Exception) -> None:
    """Raise `OutOfRoom` if that is what DuckDB's error says."""
    if str(error).startswith(_NO_ROOM):
        raise OutOfRoom(f"no room to work in: {error}") from error

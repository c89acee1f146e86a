"""DuckDB connections that compute and reach nothing outside: no files, network, extensions.

What does not fit into memory (a sort, a large aggregate) is spilled into a folder of the
connection's own; what killed processes have spilled is removed by the next connection. A sort holds
some 120,000 rows at a time, however much it spills: rows of more than 2 KB do not fit into the
memory there is.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from remit.errors import OutOfRoom
from remit.stop import CHECK_SECONDS


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

_SPILL = "remit-spill-"
_NEW = "remit-new-"

_NO_ROOM = ("Out of Memory Error", "IO Error")
"""How DuckDB's errors begin when memory and the spill folder, or its disk, are full. Errors that
come through Arrow have no other mark."""


@contextmanager
def connect(threads: int, room: Room = ROOM) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new in-memory database, in UTC, for the length of the block.

    Raises:
        OutOfRoom: there is no place to spill to.
    """
    with _spill_folder() as folder:
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
def _spill_folder() -> Iterator[str]:
    """A new folder, locked while its process lives: one that is not locked has been left behind."""
    try:
        _sweep()
        folder, lock = _locked_folder()
    except OSError as error:
        raise OutOfRoom(f"no room to work in: {error}") from error
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what stays is swept by the next
        os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    """The folder and the descriptor with its lock. It has no name to be swept by until then."""
    new = Path(tempfile.mkdtemp(prefix=_NEW))
    lock = os.open(new, os.O_RDONLY)
    with suppress(OSError):  # a file system without locks, where nothing is swept either
        fcntl.flock(lock, fcntl.LOCK_EX)
    return new.rename(new.with_name(_SPILL + new.name.removeprefix(_NEW))), lock


def _sweep() -> None:
    """Remove the folders whose process was killed: each may hold gigabytes."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SPILL}*"):
        with suppress(OSError):  # in use, another user's, gone
            _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


@contextmanager
def watched(
    connection: duckdb.DuckDBPyConnection,
    check: Callable[[], None],
    every_seconds: float = CHECK_SECONDS,
) -> Iterator[None]:
    """Call `check` twice a second while the block runs, from a thread of its own. What it raises
    interrupts the connection's query, which may compute for long without yielding a row, and is
    raised in place of DuckDB's error, or at the end of the block."""
    over = threading.Event()
    raised: list[Exception] = []

    def watch() -> None:
        while not over.wait(every_seconds):
            try:
                if not raised:
                    check()
            except Exception as error:  # noqa: BLE001 - handed over to the block
                raised.append(error)
            if raised:  # time and again: between two queries there is nothing to interrupt
                connection.interrupt()

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
    if raised:
        raise raised[0]


def check_room(error: Exception) -> None:
    """Raise `OutOfRoom` if that is what DuckDB's error says."""
    if str(error).startswith(_NO_ROOM):
        raise OutOfRoom(f"no room to work in: {error}") from error

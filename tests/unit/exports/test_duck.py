from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from remit.errors import LeaseLost, OutOfRoom
from remit.exports.duck import connect, watched

ENDLESS = "SELECT sum(a.range * b.range) FROM range(10_000_000) a, range(10_000_000) b"
"""No row for hours."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, in which nobody else has any."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def spill_folder(connection: duckdb.DuckDBPyConnection) -> Path:
    (found,) = connection.execute("SELECT current_setting('temp_directory')").fetchone() or ()
    return Path(found)


def left_behind(folder: Path, name: str = "remit-spill-abcd1234") -> Path:
    """What a process that was killed leaves."""
    left = folder / name
    left.mkdir()
    (left / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"spilled")
    return left


def compute_after(event: threading.Event, connection: duckdb.DuckDBPyConnection) -> None:
    event.wait()
    connection.execute(ENDLESS).fetchall()


def test_what_killed_processes_have_spilled_is_removed(temporary: Path) -> None:
    left, empty = left_behind(temporary), temporary / "remit-spill-empty"
    empty.mkdir()
    with connect(1) as connection:
        assert not left.exists()
        assert not empty.exists()
        assert spill_folder(connection).parent == temporary
    assert list(temporary.iterdir()) == []


def test_what_another_connection_spills_is_left_alone(temporary: Path) -> None:
    with connect(1) as first:
        spilled = spill_folder(first) / "part.tmp"
        spilled.write_bytes(b"spilled")
        with connect(1) as second:
            assert spilled.exists()
            assert spill_folder(second) != spill_folder(first)
        assert spilled.exists()
    assert list(temporary.iterdir()) == []


def test_a_folder_has_its_name_only_when_it_is_locked(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = fcntl.flock

    def watched_lock(lock: int, operation: int) -> None:
        assert not list(temporary.glob("remit-spill-*"))
        locked(lock, operation)

    monkeypatch.setattr(fcntl, "flock", watched_lock)
    with connect(1):
        assert list(temporary.glob("remit-spill-*"))


def test_what_is_no_spill_folder_is_left_alone(temporary: Path) -> None:
    other = left_behind(temporary, "another-abcd1234")
    file = temporary / "remit-spill-file"
    file.touch()
    link = temporary / "remit-spill-link"
    link.symlink_to(other)
    with connect(1):
        assert file.exists()
        assert link.exists()
        assert list(other.iterdir())


def test_without_room_for_the_folder_the_worker_is_out_of_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(OutOfRoom, match=r"no room to work in: .*No space left"), connect(1):
        pytest.fail("there is no connection")


def test_what_the_check_raises_ends_a_query_that_yields_no_row() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise LeaseLost("it is another's")

    with (
        connect(1) as connection,
        pytest.raises(LeaseLost, match="another's"),
        watched(connection, check, every_seconds=0.001),
    ):
        connection.execute(ENDLESS).fetchall()
    assert len(calls) == 3, "what has been raised is raised once"


@pytest.mark.parametrize(
    "work",
    [compute_after, lambda raised, _: raised.wait()],
    ids=["a-query-begins", "nothing-is-asked"],
)
def test_what_the_check_raises_ends_what_begins_after_it_and_the_block_at_the_latest(
    work: Callable[[threading.Event, duckdb.DuckDBPyConnection], object],
) -> None:
    raised = threading.Event()

    def check() -> None:
        raised.set()
        raise LeaseLost("it is another's")

    with (
        connect(1) as connection,
        pytest.raises(LeaseLost),
        watched(connection, check, every_seconds=0.001),
    ):
        work(raised, connection)


def test_while_the_check_is_content_an_error_stays_what_it_is() -> None:
    with (
        connect(1) as connection,
        pytest.raises(duckdb.ConversionException),
        watched(connection, lambda: None, every_seconds=0.001),
    ):
        connection.execute("SELECT 'x'::BIGINT").fetchall()


def test_nothing_is_checked_after_the_block() -> None:
    checked = threading.Event()
    with connect(1) as connection:
        with watched(connection, checked.set, every_seconds=0.001):
            checked.wait()
        assert [one for one in threading.enumerate() if one.name == "watch"] == []
        assert connection.execute("SELECT 1").fetchall() == [(1,)]

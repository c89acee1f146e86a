"""The head of an `.sql` file: comment lines of the form `-- key: value`, then the query."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from remit.errors import ConfigurationError

_LINE = re.compile(r"--\s*([a-z]+):\s*(\S.*)")
NAME = re.compile(r"[a-z][a-z0-9_]*")
"""What reports, sources and columns may be called."""


class ReportError(ConfigurationError):
    """A report file is wrong: the message says file, line and reason."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")


@dataclass(frozen=True)
class Entry:
    """One line of the head."""

    path: Path
    line: int
    key: str
    value: str

    def wrong(self, reason: str) -> ReportError:
        """An error that points at this line."""
        return ReportError(self.path, self.line, reason)


@dataclass(frozen=True)
class SqlFile:
    """A file's head, its query, and the line on which the query starts."""

    path: Path
    entries: tuple[Entry, ...]
    sql: str
    sql_line: int

    def wrong(self, reason: str) -> ReportError:
        """An error that points at the end of the head, where something is missing."""
        return ReportError(self.path, len(self.entries) + 1, reason)

    def one(self, key: str) -> Entry:
        """The entry of a key that a file has to have once."""
        if (entry := self.optional(key)) is None:
            raise self.wrong(f"the header lacks '-- {key}: …'")
        return entry

    def optional(self, key: str) -> Entry | None:
        """The entry of a key that a file may have once."""
        found = self.all(key)
        if len(found) > 1:
            raise found[1].wrong(f"{key!r} is given twice")
        return found[0] if found else None

    def all(self, key: str) -> list[Entry]:
        """The entries of a key, in order."""
        return [entry for entry in self.entries if entry.key == key]


def read_sql_file(path: Path, keys: Collection[str]) -> SqlFile:
    """Read a file whose head may have these keys.

    Raises:
        ReportError: the name or a line of the head is wrong.
    """
    if not NAME.fullmatch(path.stem):
        raise ReportError(path, 1, "the file's name is made of a-z, 0-9 and _")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # editors may write a mark
    except UnicodeDecodeError as error:
        raise ReportError(path, 1, f"the file is not UTF-8: {error}") from None
    except OSError as error:
        raise ReportError(path, 1, f"the file cannot be read: {error.strerror}") from None
    entries = tuple(_entries(path, lines))
    for entry in entries:
        if entry.key not in keys:
            raise entry.wrong(f"unknown key {entry.key!r}; known: {', '.join(sorted(keys))}")
    body = "\n".join(lines[len(entries) :])
    blank = len(body) - len(body.lstrip())
    sql_line = len(entries) + 1 + body[:blank].count("\n")
    return SqlFile(path, entries, body.strip(), sql_line)


def _entries(path: Path, lines: Iterable[str]) -> Iterable[Entry]:
    for number, line in enumerate(lines, start=1):
        if (match := _LINE.fullmatch(line.rstrip())) is None:
            return
        yield Entry(path, number, match[1], match[2])

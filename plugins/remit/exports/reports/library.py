"""The reports of a folder, as they are now: a file that is dropped in or changed counts at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from remit.errors import ConfigurationError
from remit.exports.reports.report import Report, ReportError, load_report

log = logging.getLogger(__name__)

Check = Callable[[Report], None]
"""Binds a report's SQL; raises `ReportError` if it is wrong."""

_Stamp = tuple[str, int, int]
_State = tuple[_Stamp, ...]


@dataclass(frozen=True)
class Reports:
    """The reports that can be asked for, and what is wrong with the other files."""

    usable: Mapping[str, Report]
    refused: Mapping[str, ReportError]


class ReportLibrary:
    """Loads a folder of report files, and again only when a file has changed.

    A wrong file does not take the others down: it is refused, by file, line and reason, in the log
    and to whoever asks for its report.
    """

    def __init__(self, directory: Path, check: Check) -> None:
        self._directory = directory
        self._check = check
        self._loaded: tuple[_State, Reports] | None = None

    def current(self) -> Reports:
        """The reports as the files are now.

        Raises:
            ConfigurationError: the folder holds no report.
        """
        state = self._state()
        if self._loaded is None or self._loaded[0] != state:
            self._loaded = (state, self._load())
        return self._loaded[1]

    def get(self, name: str) -> Report:
        """One report.

        Raises:
            ReportError: its file is wrong.
            ConfigurationError: there is no such report.
        """
        reports = self.current()
        if (refused := reports.refused.get(name)) is not None:
            raise refused
        if name not in reports.usable:
            raise ConfigurationError(f"there is no report {name!r} in {self._directory}")
        return reports.usable[name]

    def _state(self) -> _State:
        files = sorted([*self._directory.glob("*.sql"), *self._directory.glob("sources/*.sql")])
        return tuple(_stamp(path) for path in files)

    def _load(self) -> Reports:
        usable: dict[str, Report] = {}
        refused: dict[str, ReportError] = {}
        for path in sorted(self._directory.glob("*.sql")):
            try:
                report = load_report(path)
                self._check(report)
            except ReportError as error:
                log.error("report refused: %s", error)  # noqa: TRY400 - it says all there is
                refused[path.stem] = error
            else:
                usable[path.stem] = report
        if not usable and not refused:
            raise ConfigurationError(
                f"{self._directory} holds no report (REMIT_REPORTS names the folder)"
            )
        return Reports(usable, refused)


def _stamp(path: Path) -> _Stamp:
    """What tells that a file has changed; one that has just gone, or leads nowhere, has none."""
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size

"""The reports as callers see them: what they may ask for, and what is wrong with the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from remit.auth import Caller
from remit.errors import NotFound, NotPermitted
from remit.exports.job import DEFAULT_REPORT
from remit.exports.reports import Column, Report, ReportLibrary, Reports
from remit.exports.request import COMPRESSIONS, FORMATS, ExportRequest, parse_request

LATELY_SECONDS = 1.0
"""So old may be what the permission to read an export is judged by."""


class ReportCatalog:
    """One library of reports, for all threads of the hook."""

    def __init__(self, directory: Path, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._library = ReportLibrary(directory, _check)
        self._loading = threading.Lock()
        self._stopwatch = stopwatch
        self._seen: tuple[Reports, float] | None = None

    def list(self, caller: Caller) -> dict[str, Any]:
        """The reports that the caller's permissions allow."""
        usable = self._current().usable
        return {
            "reports": [_document(one) for one in usable.values() if caller.may(one.permission)]
        }

    def one(self, caller: Caller, name: str) -> dict[str, Any]:
        """One report.

        Raises:
            NotFound: there is none of that name.
            NotPermitted: the caller lacks its permission.
            ReportError: its file is wrong.
        """
        if (report := self._usable(name).get(name)) is None:
            raise NotFound(f"there is no report {name!r}")
        _check_permission(caller, name, report.permission)
        return _document(report)

    def parse(self, caller: Caller, values: Mapping[str, Any]) -> ExportRequest:
        """Validate a caller's request for an export.

        Raises:
            InvalidRequest: a field is wrong.
            NotPermitted: the caller lacks the report's permission.
            ReportError: the report's file is wrong.
        """
        name = values.get("report", DEFAULT_REPORT)
        usable = self._usable(name)
        if isinstance(name, str) and (report := usable.get(name)) is not None:
            _check_permission(caller, name, report.permission)
        return parse_request(values, usable)

    def check_permission(self, caller: Caller, name: str) -> None:
        """Hold a caller to the permission of the report that a file was made by. A report that is
        gone, or whose file is wrong, still guards the files that it made, under its own name.

        Raises:
            NotPermitted: the caller lacks it.
        """
        _check_permission_of(self._current(), caller, name)

    def check_permission_lately(self, caller: Caller, name: str) -> bool:
        """The same by what the files were a moment ago, without a look at them. False: that is too
        long ago, and nothing was checked.

        Raises:
            NotPermitted: the caller lacks it.
        """
        if self._seen is None or self._stopwatch() - self._seen[1] >= LATELY_SECONDS:
            return False
        _check_permission_of(self._seen[0], caller, name)
        return True

    def readable(self, caller: Caller) -> Callable[[str], bool]:
        """By the names of reports, whether the caller may have the files that they made."""
        usable = self._current().usable

        def may_read(name: str) -> bool:
            report = usable.get(name)
            return caller.may(report.permission if report else name)

        return may_read

    def _usable(self, name: Any) -> Mapping[str, Report]:
        """The reports that can be asked for; `name` is the one that is.

        Raises:
            ReportError: its file is wrong.
        """
        reports = self._current()
        if isinstance(name, str) and (refused := reports.refused.get(name)) is not None:
            raise refused.with_traceback(None)  # it is raised again and again
        return reports.usable

    def _current(self) -> Reports:
        with self._loading:  # to load takes a moment: once, not once for every waiting thread
            reports = self._library.current()
            self._seen = reports, self._stopwatch()
            return reports


def _check(report: Report) -> None:
    from remit.exports.engine import check_report  # the engine is slow to import

    check_report(report)


def _check_permission_of(reports: Reports, caller: Caller, name: str) -> None:
    report = reports.usable.get(name)
    _check_permission(caller, name, report.permission if report else name)


def _check_permission(caller: Caller, name: str, permission: str) -> None:
    if not caller.may(permission):
        raise NotPermitted(f"the report {name!r} needs the permission {permission!r}")


def _document(report: Report) -> dict[str, Any]:
    return {
        "name": report.name,
        "title": report.title,
        "description": report.description,
        "permission": report.permission,
        "sliced": report.sliced,
        "filters": report.filters,
        "statuses": report.statuses,
        "columns": [_column(column) for column in report.columns],
        "formats": FORMATS,
        "compressions": COMPRESSIONS,
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "unit": column.unit,
        "optional": column.optional,
    }

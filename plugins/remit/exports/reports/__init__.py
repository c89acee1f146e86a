"""Reports and the sources that they select from: what `include/sql` declares."""

from __future__ import annotations

from remit.exports.reports.header import ReportError
from remit.exports.reports.library import ReportLibrary, Reports
from remit.exports.reports.report import COLUMN_TYPES, FILTERS, Column, Report, load_report
from remit.exports.reports.source import CREATED, Attribute, Source, load_source

__all__ = [
    "COLUMN_TYPES",
    "CREATED",
    "FILTERS",
    "Attribute",
    "Column",
    "Report",
    "ReportError",
    "ReportLibrary",
    "Reports",
    "Source",
    "load_report",
    "load_source",
]

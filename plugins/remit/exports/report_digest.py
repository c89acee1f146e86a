"""What rows are made by, as a digest: the slices of one export must agree on it.

Workers read the report files that they were deployed with. While a deploy goes on, two of them may
differ, and a file of both would have the columns of one and the rows of the other.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from remit import __version__
from remit.errors import Transient
from remit.exports.reports import Report


class ReportChanged(Transient):
    """The report, or what comes after it, is not what the export was begun with."""


def report_digest(report: Report, transform: str) -> str:
    """SHA-256, in hex, of what a report's file and those of its sources say, of the name of the
    transform, and of the version that renders. Where the files lie does not matter."""
    sources = tuple(replace(source, path=Path()) for source in report.sources)
    parts = (replace(report, path=Path(), sources=sources), transform, __version__)
    return hashlib.sha256(repr(parts).encode()).hexdigest()

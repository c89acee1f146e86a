from __future__ import annotations

import io

import pytest

from remit.client.progress import DownloadLine, ExportLine, Line, bar_of, size_of
from tests.unit.client.scripts import export_document


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 KB"),
        (12_345_678, "12.3 MB"),
        (5 * 10**9, "5.0 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_a_size_is_for_people(size: int, text: str) -> None:
    assert size_of(size) == text


@pytest.mark.parametrize(
    ("percent", "full"), [(-5, 0), (0, 0), (4, 0), (50, 12), (99.9, 23), (100, 24), (250, 24)]
)
def test_a_bar_is_never_shorter_or_longer_than_it_is(percent: float, full: int) -> None:
    assert bar_of(percent) == f"[{'#' * full}{'.' * (24 - full)}]"


def test_elsewhere_a_download_is_a_line_for_every_tenth() -> None:
    stream = io.StringIO()
    shown = DownloadLine(Line("export-1", stream))
    for done in range(0, 1002, 7):
        shown(done, 1001)
    assert len(stream.getvalue().splitlines()) == 11


def test_a_download_of_an_unknown_size_has_no_share() -> None:
    stream = io.StringIO()
    DownloadLine(Line("export-1", stream))(5, 0)
    assert stream.getvalue() == "export-1  downloaded 5 B\n"


def test_a_document_that_another_service_has_made_is_shown_as_far_as_it_goes() -> None:
    stream = io.StringIO()
    ExportLine(Line("export-1", stream))({"status": "processing"})
    ExportLine(Line("export-1", stream))(export_document("completed", rows=1234, progress=None))
    assert stream.getvalue().splitlines() == [
        "export-1  0 %  processing 0 rows",
        "export-1  100 %  completed 1,234 rows",
    ]


def test_a_line_that_has_shown_nothing_ends_with_nothing() -> None:
    stream = io.StringIO()
    Line("export-1", stream).end()
    assert stream.getvalue() == ""

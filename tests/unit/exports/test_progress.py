from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from remit.exports.progress import Progress, SliceProgress, progress_of


def entry(rows: int, size: int, percent: Any) -> dict[str, Any]:
    return {"rows": rows, "bytes": size, "percent": percent}


def test_an_export_that_nobody_has_begun_is_one_slice_of_which_nothing_is_done() -> None:
    assert progress_of({"status": "pending"}) == Progress(0, 0, 1, 0, 0)


def test_rows_and_bytes_are_sums_and_percent_is_the_mean_over_all_slices() -> None:
    item = {
        "status": "processing",
        "slices": 4,
        "slicesDone": frozenset({0}),
        # A slice that is done counts in full, whatever its last beat has said.
        "progress": {"0": entry(100, 1000, 40), "2": entry(50, 400, Decimal("30.5"))},
    }
    assert progress_of(item) == Progress(150, 1400, 4, 1, 32)


def test_all_slices_done_is_all_of_it_before_the_file_is_composed() -> None:
    done = {"status": "processing", "slices": 2, "slicesDone": frozenset({0, 1}), "progress": {}}
    assert progress_of(done) == Progress(0, 0, 2, 2, 100)


def test_a_completed_export_has_its_result_though_its_last_beat_told_less() -> None:
    small = {"status": "completed", "rows": 7, "bytes": 70, "progress": {"0": entry(5, 50, 70)}}
    assert progress_of(small) == Progress(7, 70, 1, 1, 100)
    assert progress_of({**small, "slices": 3}) == Progress(7, 70, 3, 3, 100)


@pytest.mark.parametrize("odd", [0, "half", None, {"0": "half"}, {"0": {"percent": 101}}])
def test_what_another_service_calls_progress_does_no_harm(odd: Any) -> None:
    assert progress_of({"status": "processing", "progress": odd}).percent in {0, 100}


def test_a_slice_says_how_far_it_is_in_the_log_and_in_its_own_entry() -> None:
    progress = SliceProgress(120_000, 47_100_000, 38)
    assert str(progress) == "120,000 rows, 47.1 MB, 38 %"
    assert progress.entry(3) == {"progress.3": entry(120_000, 47_100_000, 38)}

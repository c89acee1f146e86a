from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from remit.aws.compose import Span, plan_parts
from remit.aws.objects import StoredObject

MIN, MAX = 5, 50


def segments(sizes: list[int]) -> list[StoredObject]:
    return [StoredObject(f"staged-{n}", size, "", 0) for n, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 300), max_size=30))
@example([51])
@example([54, 1])
@example([4, 51])
@example([4, 1, 0, 3, 200])
def test_the_parts_are_the_segments_end_to_end_within_the_limits(sizes: list[int]) -> None:
    parts = plan_parts(segments(sizes), min_part=MIN, max_part=MAX)

    bytes_in = [(f"staged-{n}", at) for n, size in enumerate(sizes) for at in range(size)]
    spans = [span for part in parts for span in part]
    assert [(span.key, at) for span in spans for at in range(span.start, span.end)] == bytes_in
    lengths = [sum(span.end - span.start for span in part) for part in parts]
    assert all(MIN <= length <= MAX for length in lengths[:-1])
    assert all(0 < length <= MAX for length in lengths)
    merged = [part for part in parts if len(part) > 1]
    assert all(sum(s.end - s.start for s in part) <= MIN for part in merged), "more than needed"


def test_a_span_is_an_http_range_with_both_ends_inclusive() -> None:
    assert Span("k", 0, 5).header == "bytes=0-4"

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st

from remit.aws.compose import LARGEST_COPY, Span, compose, plan_parts
from remit.aws.multipart import MAX_PARTS, MIN_PART
from remit.aws.objects import ObjectRefused, StoredObject, Target
from remit.errors import LeaseLost

MIN, MAX = 5, 50
PATIENCE = 5
TARGET = Target("exports", "exports/file.csv", "text/csv")


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


class Bucket:
    """A client that copies parts; `before_copy` may hold or refuse one by number."""

    def __init__(self, before_copy: Callable[[int], None] = lambda number: None) -> None:
        self._before_copy = before_copy
        self._lock = threading.Lock()
        self._copying = 0
        self.most_at_once = 0
        self.copied: list[int] = []
        self.log: list[str] = []

    def create_multipart_upload(self, **request: Any) -> dict[str, Any]:
        return {"UploadId": "upload-1"}

    def upload_part_copy(self, **request: Any) -> dict[str, Any]:
        number = request["PartNumber"]
        with self._lock:
            self._copying += 1
            self.most_at_once = max(self.most_at_once, self._copying)
        try:
            self._before_copy(number)
        finally:
            with self._lock:
                self._copying -= 1
        self.copied.append(number)
        return {"CopyPartResult": {"ETag": f"etag-{number}"}}

    def complete_multipart_upload(self, **request: Any) -> dict[str, Any]:
        self.parts = request["MultipartUpload"]["Parts"]
        self.log.append("complete")
        return {}

    def abort_multipart_upload(self, **request: Any) -> dict[str, Any]:
        assert self._copying == 0, "a part could arrive after the abort"
        self.log.append("abort")
        return {}


def large(count: int) -> list[StoredObject]:
    return segments([MIN_PART + 1] * count)


def test_parts_are_copied_at_once_up_to_a_bound_and_listed_in_order() -> None:
    together = threading.Barrier(3)
    bucket = Bucket(lambda number: together.wait(PATIENCE) and None)

    compose(bucket, large(9), TARGET, threads=3)

    assert bucket.most_at_once == 3
    assert bucket.parts == [{"PartNumber": n, "ETag": f"etag-{n}"} for n in range(1, 10)]
    assert bucket.log == ["complete"]


def test_a_part_that_is_refused_ends_the_others_before_the_abort() -> None:
    answer = {"Error": {"Code": "AccessDenied"}}

    copies = threading.Event()

    def refuse(number: int) -> None:
        if number == 2:
            raise ClientError(answer, "UploadPartCopy")
        copies.wait(0.001)  # a thousand at once would be there before anybody sees the refusal

    bucket = Bucket(refuse)
    with pytest.raises(ObjectRefused, match=r"copy staged-1 as part 2 of exports/file\.csv"):
        compose(bucket, large(1000), TARGET)

    assert bucket.log == ["abort"]
    assert len(bucket.copied) < 999


def test_what_the_check_raises_ends_the_work_even_during_a_long_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remit.aws.at_once.CHECK_SECONDS", 0.01)
    copying, lost = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number == 2:
            copying.set()
            lost.wait(PATIENCE)

    def check() -> None:
        if copying.is_set():
            lost.set()
            raise LeaseLost("another worker has it")

    bucket = Bucket(hold)
    with pytest.raises(LeaseLost):
        compose(bucket, large(1000), TARGET, check=check, threads=1)

    assert bucket.log == ["abort"]
    assert len(bucket.copied) < 1000


def test_copies_that_hang_keep_nobody_and_their_upload_is_aborted_once_they_have_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remit.aws.at_once.CHECK_SECONDS", 0.01)
    monkeypatch.setattr("remit.aws.compose.LEAVE_SECONDS", 0.01)
    gate, copying = threading.Event(), threading.Barrier(3)
    aborts = threading.Semaphore(0)

    def hold(number: int) -> None:
        copying.wait(PATIENCE)
        gate.wait(PATIENCE)

    class Aborted(Bucket):
        def abort_multipart_upload(self, **request: Any) -> dict[str, Any]:
            self.log.append(f"abort after {sorted(self.copied)}")
            aborts.release()
            return {}

    def check() -> None:
        copying.wait(PATIENCE)
        raise LeaseLost("it was canceled")

    bucket = Aborted(hold)
    with pytest.raises(LeaseLost):
        compose(bucket, large(1000), TARGET, check=check, threads=2)
    assert bucket.log == ["abort after []"]
    gate.set()
    assert all(aborts.acquire(timeout=PATIENCE) for _ in range(3))
    assert bucket.log[-1] == "abort after [1, 2]"


def test_a_long_segment_is_copied_in_parts_that_answer_in_time() -> None:
    bucket = Bucket()
    compose(bucket, segments([5 * LARGEST_COPY]), TARGET)
    assert len(bucket.parts) == 5
    largest_object = 5 * 1024**4
    assert largest_object / LARGEST_COPY < MAX_PARTS

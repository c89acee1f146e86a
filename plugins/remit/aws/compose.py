"""One object from several: large segments are copied inside S3, small ones merged into parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from remit.aws.at_once import results_of
from remit.aws.multipart import MAX_PART, MIN_PART, Part, Upload
from remit.aws.object_errors import object_errors
from remit.aws.target import StoredObject, Target, combine_crc64, crc64
from remit.aws.write_behind import LEAVE_SECONDS

LARGEST_COPY = 1024**3
"""Bytes of the largest part that is copied. S3 would copy 5 GiB at once, and take longer than the
client waits for an answer; 10,000 parts of 1 GiB are more than the largest object."""

THREADS = 4
"""Parts on their way at once."""


@dataclass(frozen=True)
class Span:
    """Bytes `start` (inclusive) to `end` (exclusive) of an object."""

    key: str
    start: int
    end: int

    @property
    def length(self) -> int:
        """Its bytes."""
        return self.end - self.start

    @property
    def header(self) -> str:
        """The span as an HTTP byte range (both ends inclusive)."""
        return f"bytes={self.start}-{self.end - 1}"


def plan_parts(
    segments: Sequence[StoredObject], *, min_part: int = MIN_PART, max_part: int = MAX_PART
) -> list[list[Span]]:
    """Cut the segments, end to end, into parts that S3 accepts.

    Every part but the last is `min_part` to `max_part` bytes. A part of one span can be copied
    inside S3; only a part of several spans (at most `min_part` bytes) passes through this process.
    """
    parts: list[list[Span]] = []
    pending: list[Span] = []
    for segment in segments:
        start = 0
        if pending:
            missing = min_part - sum(span.length for span in pending)
            start = min(missing, segment.bytes)
            if start:
                pending.append(Span(segment.key, 0, start))
            if start < missing:
                continue
            parts.append(pending)
            pending = []
        spans = list(_cut(segment.key, start, segment.bytes, min_part, max_part))
        if spans and spans[-1].length < min_part:
            pending = [spans.pop()]
        parts.extend([span] for span in spans)
    return [*parts, pending] if pending else parts


def _cut(key: str, start: int, end: int, min_part: int, max_part: int) -> Iterator[Span]:
    """Spans of at most `max_part`, the last two balanced so that neither is too small."""
    while end - start > max_part:
        step = max_part if end - start >= max_part + min_part else (end - start) // 2
        yield Span(key, start, start + step)
        start += step
    if end > start:
        yield Span(key, start, end)


def compose(
    s3: Any,
    segments: Sequence[StoredObject],
    target: Target,
    *,
    check: Callable[[], None] = lambda: None,
    threads: int = THREADS,
) -> tuple[int, int]:
    """Write the segments, end to end, as one object; returns its size and CRC64NVME.

    `check` is called between parts, and twice a second while one takes longer; what it raises ends
    the work.

    Raises:
        StoreUnavailable, UploadGone, ObjectRefused: S3 did not take it; nothing is visible.
    """
    crc, size = 0, sum(segment.bytes for segment in segments)
    for segment in segments:
        crc = combine_crc64(crc, segment.crc64nvme, segment.bytes)
    if size == 0:  # a multipart upload has at least one part, and no part is empty
        with object_errors(f"store {target.key}"):
            s3.put_object(**target.arguments(), Body=b"")
        return 0, crc
    upload = Upload.start(s3, target)
    try:
        plan = plan_parts(segments, max_part=LARGEST_COPY)
        upload.complete(_upload_all(upload, plan, check, threads), size, crc)
    except BaseException:
        upload.abort()
        raise
    return size, crc


def _upload_all(
    upload: Upload, plan: Sequence[list[Span]], check: Callable[[], None], threads: int
) -> list[Part]:
    """Every part of the plan.

    After an error, a part on its way that arrives when its upload was aborted would stay in the
    bucket unseen: it is waited for, and if that takes long, the upload is aborted once more when it
    has arrived."""
    executor = ThreadPoolExecutor(threads, thread_name_prefix="compose")
    parts = [
        executor.submit(_upload, upload, number, spans)
        for number, spans in enumerate(plan, start=1)
    ]
    try:
        return results_of(parts, check)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for late in wait([one for one in parts if not one.cancelled()], LEAVE_SECONDS).not_done:
            late.add_done_callback(lambda _: upload.abort())
        raise
    finally:
        executor.shutdown(wait=False)


def _upload(upload: Upload, number: int, spans: Sequence[Span]) -> Part:
    # S3 copies a range only of objects larger than 5 MiB; a longer span is always of such a one.
    if len(spans) == 1 and spans[0].length > MIN_PART:
        return upload.copy(number, spans[0].key, spans[0].header)
    body = b"".join(_read(upload, span) for span in spans)
    return upload.send(number, body, crc64(body))


def _read(upload: Upload, span: Span) -> bytes:
    with object_errors(f"read {span.key} for {upload.target.key}"):
        answer = upload.s3.get_object(Bucket=upload.target.bucket, Key=span.key, Range=span.header)
        content: bytes = answer["Body"].read()
    return content

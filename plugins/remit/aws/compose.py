"""One object from several: large segments are copied inside S3, small ones merged into parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from remit.aws.objects import (
    MAX_PART,
    MIN_PART,
    StoredObject,
    Target,
    abort_upload,
    combine_crc64,
    complete_upload,
    create_upload,
)
from remit.aws.session import store_errors


@dataclass(frozen=True)
class Span:
    """Bytes `start` (inclusive) to `end` (exclusive) of an object."""

    key: str
    start: int
    end: int

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
            missing = min_part - sum(span.end - span.start for span in pending)
            start = min(missing, segment.bytes)
            if start:
                pending.append(Span(segment.key, 0, start))
            if start < missing:
                continue
            parts.append(pending)
            pending = []
        spans = list(_cut(segment.key, start, segment.bytes, min_part, max_part))
        if spans and spans[-1].end - spans[-1].start < min_part:
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


def compose(s3: Any, segments: Sequence[StoredObject], target: Target) -> tuple[int, int]:
    """Write the segments, end to end, as one object; returns its size and CRC64NVME.

    Raises:
        StoreUnavailable: S3 did not take it; nothing is visible.
    """
    crc, size = 0, sum(segment.bytes for segment in segments)
    for segment in segments:
        crc = combine_crc64(crc, segment.crc64nvme, segment.bytes)
    with store_errors(f"compose {target.key}"):
        if size == 0:  # a multipart upload has at least one part, and no part is empty
            s3.put_object(**target.arguments(), Body=b"")
            return 0, crc
        upload_id = create_upload(s3, target)
        try:
            parts = [
                {"PartNumber": number, "ETag": _upload(s3, target, upload_id, number, spans)}
                for number, spans in enumerate(plan_parts(segments), start=1)
            ]
            complete_upload(s3, target, upload_id, parts, crc)
        except BaseException:
            abort_upload(s3, target, upload_id)
            raise
    return size, crc


def _upload(s3: Any, target: Target, upload_id: str, number: int, spans: list[Span]) -> str:
    place = {
        "Bucket": target.bucket,
        "Key": target.key,
        "UploadId": upload_id,
        "PartNumber": number,
    }
    if len(spans) == 1 and spans[0].end - spans[0].start >= MIN_PART:
        (span,) = spans
        source = {"Bucket": target.bucket, "Key": span.key}
        answer = s3.upload_part_copy(**place, CopySource=source, CopySourceRange=span.header)
        return str(answer["CopyPartResult"]["ETag"])
    body = b"".join(
        s3.get_object(Bucket=target.bucket, Key=span.key, Range=span.header)["Body"].read()
        for span in spans
    )
    return str(s3.upload_part(**place, Body=body, ChecksumAlgorithm="CRC64NVME")["ETag"])

"""S3 objects: written as a stream, encrypted and checked, nothing visible before it is whole.

Up to one part (16 MiB) a stream is a single `PutObject` with its SHA-256; beyond, a multipart
upload whose parts carry their CRC64NVME and whose completion carries that of the whole. S3 compares
each with what arrived
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
"""

from __future__ import annotations

import base64
import hashlib
import io
import queue
from collections.abc import Callable
from types import TracebackType
from typing import Any

from remit.aws.multipart import MAX_PART, MIN_PART, Part, Upload, check_answer, part_size
from remit.aws.object_errors import ObjectRefused, UploadGone, object_errors
from remit.aws.target import (
    Encryption,
    StoredObject,
    Target,
    combine_crc64,
    crc64,
    encode_crc64,
)
from remit.aws.write_behind import WriteBehind

__all__ = [
    "MAX_PART",
    "MIN_PART",
    "Encryption",
    "ObjectRefused",
    "ObjectWriter",
    "StoredObject",
    "Target",
    "UploadGone",
    "combine_crc64",
    "encode_crc64",
]

_COMMITTED, _ABORTED = "committed", "aborted"


class ObjectWriter(io.RawIOBase):
    """A file-like object that streams into one S3 object.

    A thread of its own checks and sends the parts, while the caller goes on writing. There are at
    most three buffers (one that fills, one that waits, one on its way), which are used in turn:
    48 MiB for the first 16 GB, and three of `part_size` from then on.

    `check` is called twice a second while a part is waited for: what it raises ends the wait.
    As a context manager it aborts when the block raises or ends without a commit. What is written
    after an abort goes nowhere: compressors and Parquet's writer write their ends as late as they
    are collected, and there would be nobody to abort that.
    """

    def __init__(self, s3: Any, target: Target, check: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._s3 = s3
        self._target = target
        self._check = check
        self._left = False
        self._size = 0
        self._end = ""
        self._buffer = io.BytesIO()
        self._room = part_size(0)
        self._handed_over = 0
        self._behind: WriteBehind[io.BytesIO] | None = None
        self._free: queue.SimpleQueue[io.BytesIO] = queue.SimpleQueue()
        # From here on it is the thread's until that has ended.
        self._upload: Upload | None = None
        self._parts: list[Part] = []
        self._sha256 = hashlib.sha256()
        self._crc = 0

    @property
    def bytes_written(self) -> int:
        """Bytes taken so far."""
        return self._size

    def writable(self) -> bool:
        """Always: it is a sink."""
        return True

    def tell(self) -> int:
        """Bytes taken so far; Parquet writers ask for it."""
        return self._size

    def write(self, data: Any, /) -> int:
        """Take bytes (whatever has the buffer protocol), copied: the caller may reuse its memory.

        Blocks while one part is on its way and another waits.

        Raises:
            StoreUnavailable, UploadGone, ObjectRefused: an earlier part could not be sent.
            ValueError: the object is committed.
        """
        if self._end:
            return self._discard(data)
        if self._behind is not None:
            self._behind.check()
        with memoryview(data) as view:
            size = view.nbytes
            if size <= self._room:
                self._buffer.write(view)
                self._room -= size
            else:
                self._write_over_parts(view.cast("B"))
        self._size += size
        return size

    def commit(self) -> StoredObject:
        """Make the object visible.

        Raises:
            StoreUnavailable, UploadGone, ObjectRefused: S3 did not take it; nothing is visible.
            ValueError: the object is committed or aborted.
        """
        if self._end:
            raise self._over()
        if self._behind is None:
            self._put_object()
        else:
            self._behind.put(self._buffer)
            self._behind.finish()
            if self._upload is not None:
                self._upload.complete(self._parts, self._size, self._crc)
        self._end = _COMMITTED
        return StoredObject(self._target.key, self._size, self._sha256.hexdigest(), self._crc)

    def abort(self) -> None:
        """Drop what was uploaded. A part on its way that arrives after its upload was aborted would
        stay in the bucket unseen: it is waited for, and if that takes long, the thread aborts the
        upload once more when it has arrived."""
        self._end = _ABORTED
        if self._behind is not None:
            self._behind.abort()
        self._left = True
        if self._upload is not None:
            self._upload.abort()

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._end:
            self.abort()

    def _discard(self, data: Any) -> int:
        if self._end == _COMMITTED:
            raise self._over()
        with memoryview(data) as view:
            return view.nbytes

    def _over(self) -> ValueError:
        return ValueError(f"{self._target.key} is {self._end}")

    def _write_over_parts(self, view: memoryview) -> None:
        """Fill parts. Only what comes after a part sends it off: the last one is never empty."""
        start = 0
        while view.nbytes - start > self._room:
            start += self._buffer.write(view[start : start + self._room])
            if self._behind is None:
                self._behind = WriteBehind(self._send, self._check)
            self._behind.put(self._buffer)
            self._buffer = self._empty_buffer()
            self._handed_over += 1
            self._room = part_size(self._handed_over)
        self._room -= self._buffer.write(view[start:])

    def _empty_buffer(self) -> io.BytesIO:
        """One that came back, whose memory is overwritten, or a new one."""
        try:
            return self._free.get_nowait()
        except queue.Empty:
            return io.BytesIO()

    def _send(self, buffer: io.BytesIO) -> None:
        """Runs in the thread. The hashes release the GIL: the caller goes on meanwhile."""
        self._send_part(_content(buffer))
        buffer.seek(0)
        self._free.put(buffer)

    def _send_part(self, body: bytes) -> None:
        crc = self._digest(body)
        if self._upload is None:
            self._upload = Upload.start(self._s3, self._target)
        try:
            self._parts.append(self._upload.send(len(self._parts) + 1, body, crc))
        finally:
            if self._left:
                self._upload.abort()

    def _digest(self, body: bytes) -> int:
        """Take the next bytes into the checksums of the whole; returns their own CRC64NVME."""
        self._sha256.update(body)
        crc = crc64(body)
        self._crc = combine_crc64(self._crc, crc, len(body))
        return crc

    def _put_object(self) -> None:
        body = _content(self._buffer)
        self._digest(body)
        checksum = base64.b64encode(self._sha256.digest()).decode()
        action = f"store {self._target.key}"
        with object_errors(action):
            answer = self._s3.put_object(
                **self._target.arguments(), Body=body, ChecksumSHA256=checksum
            )
        check_answer(answer, "ChecksumSHA256", checksum, action)


def _content(buffer: io.BytesIO) -> bytes:
    """What was written into a buffer since it was empty. `bytes`, because botocore copies anything
    else to sign it, and `BytesIO` gives its memory away as such without a copy."""
    buffer.truncate()
    return buffer.getvalue()

"""S3 objects: written as a stream, composed from others, nothing visible before it is whole.

Limits of S3 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): at most 10,000
parts, each 5 MiB to 5 GiB but the last.
"""

from __future__ import annotations

import base64
import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from awscrt import checksums
from botocore.exceptions import BotoCoreError, ClientError

from remit.aws.session import store_errors

log = logging.getLogger(__name__)

MIN_PART = 5 * 1024**2
MAX_PART = 5 * 1024**3
_FIRST_PARTS = 8 * 1024**2
_PARTS_PER_SIZE = 500  # after so many parts the part size doubles: 10,000 parts reach 5 TiB


@dataclass(frozen=True)
class Target:
    """Where an object goes and how a browser shall treat it."""

    bucket: str
    key: str
    content_type: str
    content_disposition: str | None = None

    def arguments(self) -> dict[str, str]:
        """The target as arguments of `PutObject` and `CreateMultipartUpload`."""
        arguments = {"Bucket": self.bucket, "Key": self.key, "ContentType": self.content_type}
        if self.content_disposition:
            arguments["ContentDisposition"] = self.content_disposition
        return arguments


@dataclass(frozen=True)
class StoredObject:
    """An object as written: size in bytes, SHA-256 in hex, CRC64NVME as an integer."""

    key: str
    bytes: int
    sha256: str
    crc64nvme: int


class ObjectWriter(io.RawIOBase):
    """A file-like object that streams into one S3 object.

    Up to one part it is a single `PutObject`; beyond, a multipart upload that is completed by
    `commit` and aborted by `abort`. As a context manager it aborts when the block raises or ends
    without a commit.
    """

    def __init__(self, s3: Any, target: Target) -> None:
        super().__init__()
        self._s3 = s3
        self._target = target
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._sha256 = hashlib.sha256()
        self._crc = 0
        self._size = 0
        self._done = False

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
        """Take bytes; uploads a part whenever one is full."""
        chunk = bytes(data)
        self._sha256.update(chunk)
        self._crc = checksums.crc64nvme(chunk, self._crc)
        self._size += len(chunk)
        self._buffer += chunk
        while len(self._buffer) > (size := _part_size(len(self._parts))):
            self._upload_part(bytes(self._buffer[:size]))
            del self._buffer[:size]
        return len(chunk)

    def commit(self) -> StoredObject:
        """Make the object visible.

        Raises:
            StoreUnavailable: S3 did not take it; nothing is visible.
        """
        with store_errors(f"store {self._target.key}"):
            if self._upload_id is None:
                self._s3.put_object(
                    **self._target.arguments(),
                    Body=bytes(self._buffer),
                    ChecksumSHA256=base64.b64encode(self._sha256.digest()).decode(),
                )
            else:
                self._upload_part(bytes(self._buffer))
                complete_upload(self._s3, self._target, self._upload_id, self._parts, self._crc)
        self._done = True
        return StoredObject(self._target.key, self._size, self._sha256.hexdigest(), self._crc)

    def abort(self) -> None:
        """Drop what was uploaded."""
        self._done = True
        if self._upload_id is not None:
            abort_upload(self._s3, self._target, self._upload_id)

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._done:
            self.abort()

    def _upload_part(self, body: bytes) -> None:
        with store_errors(f"upload a part of {self._target.key}"):
            if self._upload_id is None:
                self._upload_id = create_upload(self._s3, self._target)
            number = len(self._parts) + 1
            answer = self._s3.upload_part(
                Bucket=self._target.bucket,
                Key=self._target.key,
                UploadId=self._upload_id,
                PartNumber=number,
                Body=body,
                ChecksumAlgorithm="CRC64NVME",
            )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})


def create_upload(s3: Any, target: Target) -> str:
    """Start a multipart upload whose checksum covers the whole object; returns its id."""
    answer = s3.create_multipart_upload(
        **target.arguments(), ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT"
    )
    return str(answer["UploadId"])


def complete_upload(
    s3: Any, target: Target, upload_id: str, parts: Sequence[dict[str, Any]], crc64nvme: int
) -> None:
    """Complete an upload; S3 compares the checksum with what it stored and refuses a mismatch."""
    s3.complete_multipart_upload(
        Bucket=target.bucket,
        Key=target.key,
        UploadId=upload_id,
        MultipartUpload={"Parts": list(parts)},
        ChecksumCRC64NVME=encode_crc64(crc64nvme),
        ChecksumType="FULL_OBJECT",
    )


def abort_upload(s3: Any, target: Target, upload_id: str) -> None:
    """Abort an upload and drop its parts.

    It is what is left to do after an error, and must not hide that error: an abort that fails is
    logged, and the bucket's lifecycle rule drops the parts a day later.
    """
    try:
        s3.abort_multipart_upload(Bucket=target.bucket, Key=target.key, UploadId=upload_id)
    except (BotoCoreError, ClientError) as error:
        log.warning("the upload of %s is left to the lifecycle rule: %s", target.key, error)


def encode_crc64(value: int) -> str:
    """A CRC64NVME as S3 writes it: base64 of eight big-endian bytes."""
    return base64.b64encode(value.to_bytes(8, "big")).decode()


def combine_crc64(first: int, second: int, second_length: int) -> int:
    """The CRC64NVME of two byte strings one after the other, from their own and a length."""
    combined: int = checksums.combine_crc64nvme(first, second, second_length)
    return combined


def _part_size(parts_so_far: int) -> int:
    return min(MAX_PART, _FIRST_PARTS << (parts_so_far // _PARTS_PER_SIZE))

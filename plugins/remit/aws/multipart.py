"""A multipart upload of S3: parts, sent or copied, that become visible all at once or never.

Limits (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): at most 10,000 parts,
each 5 MiB to 5 GiB but the last.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from remit.aws.object_errors import Damaged, UploadGone, object_errors
from remit.aws.target import Target, encode_crc64

log = logging.getLogger(__name__)

MIN_PART = 5 * 1024**2
MAX_PART = 5 * 1024**3
MAX_PARTS = 10_000
_FIRST_PARTS = 16 * 1024**2
_PARTS_PER_SIZE = 1000


def part_size(parts_so_far: int) -> int:
    """Bytes of the next part of a stream whose length nobody knows yet.

    It doubles every 1,000 parts: 8,283 parts hold the 5 TiB of the largest object, and a stream
    needs the memory of long parts only when it is long.

        written    1 GB    10 GB   100 GB   1 TB      5 TiB
        part       16 MiB  16 MiB  64 MiB   512 MiB   4 GiB
    """
    return min(_FIRST_PARTS << (parts_so_far // _PARTS_PER_SIZE), MAX_PART)


Part = Mapping[str, Any]
"""A part as `CompleteMultipartUpload` takes it."""


@dataclass(frozen=True)
class Upload:
    """An upload that was started. Whoever starts one must `complete` or `abort` it.

    Its methods raise what `object_errors` raises.
    """

    s3: Any
    target: Target
    id: str

    @classmethod
    def start(cls, s3: Any, target: Target) -> Upload:
        """Start an upload whose checksum covers the whole object."""
        with object_errors(f"start the upload of {target.key}"):
            answer = s3.create_multipart_upload(
                **target.arguments(), ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT"
            )
        return cls(s3, target, str(answer["UploadId"]))

    def send(self, number: int, body: bytes, crc64nvme: int) -> Part:
        """Send a part; S3 compares it with its checksum. A part that was damaged on its way is
        sent once more."""
        try:
            return self._send(number, body, crc64nvme)
        except Damaged as damaged:
            log.warning("%s: it is sent once more", damaged)
            return self._send(number, body, crc64nvme)

    def copy(self, number: int, key: str, byte_range: str) -> Part:
        """Copy bytes of an object of the same bucket as a part, inside S3."""
        with object_errors(f"copy {key} as part {number} of {self.target.key}"):
            answer = self.s3.upload_part_copy(
                **self._place,
                PartNumber=number,
                CopySource={"Bucket": self.target.bucket, "Key": key},
                CopySourceRange=byte_range,
            )
        return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

    def complete(self, parts: Sequence[Part], size: int, crc64nvme: int) -> None:
        """Make the object visible; S3 compares it with the checksum and refuses a mismatch."""
        action = f"complete the upload of {self.target.key}"
        try:
            with object_errors(action):
                answer = self.s3.complete_multipart_upload(
                    **self._place,
                    MultipartUpload={"Parts": list(parts)},
                    MpuObjectSize=size,
                    ChecksumCRC64NVME=encode_crc64(crc64nvme),
                    ChecksumType="FULL_OBJECT",
                )
        except UploadGone:
            # If an answer was lost on its way, the repetition finds what the first attempt did.
            if not self._is_stored(size, crc64nvme):
                raise
        else:
            check_answer(answer, "ChecksumCRC64NVME", encode_crc64(crc64nvme), action)

    def abort(self) -> None:
        """Abort the upload and drop its parts; one that is gone already is as good.

        It is what is left to do after an error, and must not hide that error: an abort that fails
        is logged, and the bucket's lifecycle rule drops the parts a day later.
        """
        try:
            self.s3.abort_multipart_upload(**self._place)
        except (BotoCoreError, ClientError) as error:
            if _code(error) != "NoSuchUpload":
                log.warning(
                    "the upload of %s is left to the lifecycle rule: %s", self.target.key, error
                )

    @property
    def _place(self) -> dict[str, str]:
        return {"Bucket": self.target.bucket, "Key": self.target.key, "UploadId": self.id}

    def _send(self, number: int, body: bytes, crc64nvme: int) -> Part:
        action = f"upload part {number} of {self.target.key}"
        checksum = encode_crc64(crc64nvme)
        with object_errors(action):
            answer = self.s3.upload_part(
                **self._place, PartNumber=number, Body=body, ChecksumCRC64NVME=checksum
            )
        check_answer(answer, "ChecksumCRC64NVME", checksum, action)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _is_stored(self, size: int, crc64nvme: int) -> bool:
        try:
            answer = self.s3.head_object(
                Bucket=self.target.bucket, Key=self.target.key, ChecksumMode="ENABLED"
            )
        except (BotoCoreError, ClientError):
            return False
        stored = (answer["ContentLength"], answer.get("ChecksumCRC64NVME"))
        return stored == (size, encode_crc64(crc64nvme))


def check_answer(answer: Mapping[str, Any], name: str, expected: str, action: str) -> None:
    """Compare the checksum that S3 returns, if it does, with the one that was sent.

    Raises:
        Damaged: they differ.
    """
    if (found := answer.get(name, expected)) != expected:
        raise Damaged(f"could not {action}: S3 has {name} {found} and {expected} was sent")


def _code(error: BotoCoreError | ClientError) -> str | None:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else None

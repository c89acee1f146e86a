"""What is said of an S3 object before and after it is written; its CRC64NVME."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from awscrt import checksums


@dataclass(frozen=True)
class Encryption:
    """How S3 encrypts an object at rest.

    `kms_key` is the id, ARN or alias of a KMS key (SSE-KMS); empty: a key of S3's own (SSE-S3).
    """

    kms_key: str = ""

    def arguments(self) -> dict[str, Any]:
        """The encryption as arguments of `PutObject` and `CreateMultipartUpload`.

        With a bucket key, S3 asks KMS once in a while instead of once per object
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html).
        """
        if not self.kms_key:
            return {"ServerSideEncryption": "AES256"}
        return {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": self.kms_key,
            "BucketKeyEnabled": True,
        }


@dataclass(frozen=True)
class Target:
    """Where an object goes, how a browser shall treat it, and how it is encrypted."""

    bucket: str
    key: str
    content_type: str
    content_disposition: str | None = None
    encryption: Encryption = Encryption()

    def arguments(self) -> dict[str, Any]:
        """The target as arguments of `PutObject` and `CreateMultipartUpload`."""
        arguments = {
            "Bucket": self.bucket,
            "Key": self.key,
            "ContentType": self.content_type,
            **self.encryption.arguments(),
        }
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


def crc64(data: bytes) -> int:
    """The CRC64NVME of bytes."""
    value: int = checksums.crc64nvme(data)
    return value


def encode_crc64(value: int) -> str:
    """A CRC64NVME as S3 writes it: base64 of eight big-endian bytes."""
    return base64.b64encode(value.to_bytes(8, "big")).decode()


def combine_crc64(first: int, second: int, second_length: int) -> int:
    """The CRC64NVME of two byte strings one after the other, from their own and a length."""
    combined: int = checksums.combine_crc64nvme(first, second, second_length)
    return combined

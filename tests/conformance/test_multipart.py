"""Multipart uploads: parts, copies, checksums, listings."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from awscrt import checksums
from botocore.exceptions import ClientError

from tests.conformance.backends import Backend
from tests.conformance.tables import error_code

Unique = Callable[[str], str]

MIB = 1024**2
PARTS = [b"a" * (5 * MIB), b"b" * (6 * MIB), b"c" * 17]


class Upload:
    """An upload under way: the calls of S3 with its name filled in."""

    def __init__(self, s3: Any, bucket: str, key: str = "k", **more: Any) -> None:
        self.s3 = s3
        self.place = {"Bucket": bucket, "Key": key}
        answer = s3.create_multipart_upload(**self.place, **more)
        self.name = {**self.place, "UploadId": answer["UploadId"]}
        self.parts: list[dict[str, Any]] = []

    def send(self, number: int, content: bytes, **more: Any) -> dict[str, Any]:
        """Upload a part and remember it for the completion."""
        answer = self.s3.upload_part(**self.name, PartNumber=number, Body=content, **more)
        sums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"], **sums})
        return dict(answer)

    def copy(self, number: int, source: str, **more: Any) -> None:
        """Copy a part from another object of the bucket."""
        answer = self.s3.upload_part_copy(
            **self.name,
            PartNumber=number,
            CopySource={"Bucket": self.place["Bucket"], "Key": source},
            **more,
        )
        self.parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})

    def complete(self, **more: Any) -> dict[str, Any]:
        """Complete it with the parts as they were sent."""
        answer: dict[str, Any] = self.s3.complete_multipart_upload(
            **self.name, MultipartUpload={"Parts": self.parts}, **more
        )
        return answer

    def content(self) -> bytes:
        """What is there now."""
        body: bytes = self.s3.get_object(**self.place)["Body"].read()
        return body


def crc64(content: bytes) -> str:
    """A CRC64NVME as S3 writes it."""
    return base64.b64encode(checksums.crc64nvme(content).to_bytes(8, "big")).decode()


WHOLE_CRC = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}


def test_parts_in_any_order_are_one_object(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket, ContentType="text/csv", Metadata={"n": "1"})
    for number in (3, 1, 2):
        upload.send(number, PARTS[number - 1])
    upload.parts.sort(key=lambda part: part["PartNumber"])
    answer = upload.complete()
    got = s3.get_object(**upload.place)
    assert got["ETag"] == answer["ETag"]
    assert answer["ETag"].endswith('-3"')
    assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"n": "1"})
    assert got["Body"].read() == b"".join(PARTS)
    ranged = s3.get_object(**upload.place, Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")
    assert ranged["Body"].read() == b"aabb"


def test_a_part_that_is_sent_again_replaces_the_first(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    upload.send(1, b"first")
    upload.parts.clear()
    upload.send(1, b"second")
    upload.complete()
    assert upload.content() == b"second"


def test_nothing_is_there_before_the_end(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    upload.send(1, b"x")
    with pytest.raises(ClientError, match="NoSuchKey"):
        upload.content()


def test_a_part_of_less_than_5_mib_is_the_last(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    upload.send(1, b"x" * (5 * MIB - 1))
    upload.send(2, b"y")
    with pytest.raises(ClientError) as error:
        upload.complete()
    assert error_code(error) == "EntityTooSmall"


def test_a_part_is_named_by_its_etag(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    upload.send(1, b"x")
    upload.parts[0]["ETag"] = '"0123456789abcdef0123456789abcdef"'
    with pytest.raises(ClientError) as error:
        upload.complete()
    assert error_code(error) == "InvalidPart"


def test_parts_are_named_in_order(standins: Backend, own_bucket: str) -> None:
    # Moto puts them in order.
    upload = Upload(standins.s3, own_bucket)
    upload.send(2, PARTS[0])
    upload.send(1, PARTS[1])
    with pytest.raises(ClientError) as error:
        upload.complete()
    assert error_code(error) == "InvalidPartOrder"


def test_an_aborted_upload_is_gone(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    upload.send(1, b"x")
    s3.abort_multipart_upload(**upload.name)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with pytest.raises(ClientError, match="NoSuchKey"):
        upload.content()


def test_an_aborted_upload_takes_nothing_more(standins: Backend, own_bucket: str) -> None:
    # Moto fails on it itself (500).
    upload = Upload(standins.s3, own_bucket)
    upload.send(1, b"x")
    standins.s3.abort_multipart_upload(**upload.name)
    attempts: list[Callable[[], object]] = [upload.complete, lambda: upload.send(2, b"y")]
    for attempt in attempts:
        with pytest.raises(ClientError) as error:
            attempt()
        assert error_code(error) == "NoSuchUpload"


def test_to_complete_again_is_the_same_success(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)  # the first answer may be lost on its way
    upload.send(1, b"x")
    assert upload.complete()["ETag"] == upload.complete()["ETag"]


def test_parts_are_copied_whole_and_by_range(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=PARTS[1] + PARTS[0])
    upload = Upload(s3, bucket)
    upload.copy(1, "source")
    upload.copy(2, "source", CopySourceRange=f"bytes={6 * MIB - 1}-{6 * MIB + 2}")
    upload.complete()
    assert upload.content() == PARTS[1] + PARTS[0] + b"baaa"


@pytest.mark.parametrize("wrong", [False, True])
def test_the_checksum_of_the_whole_is_compared(
    standins: Backend, own_bucket: str, wrong: bool
) -> None:
    # Moto looks at no checksum of a multipart upload.
    standins.s3.put_object(Bucket=own_bucket, Key="source", Body=PARTS[0])
    upload = Upload(standins.s3, own_bucket, **WHOLE_CRC)
    upload.copy(1, "source")
    upload.send(2, PARTS[1], ChecksumAlgorithm="CRC64NVME")
    upload.send(3, PARTS[2], ChecksumCRC64NVME=crc64(PARTS[2]))
    whole = crc64(b"".join(PARTS) + (b"!" if wrong else b""))
    claim = {"ChecksumCRC64NVME": whole, "ChecksumType": "FULL_OBJECT"}
    if wrong:
        with pytest.raises(ClientError) as error:
            upload.complete(**claim)
        assert error_code(error) == "BadDigest"
        assert standins.s3.list_parts(**upload.name)["Parts"]
        return
    answer = upload.complete(**claim)
    head = standins.s3.head_object(**upload.place, ChecksumMode="ENABLED")
    assert answer["ChecksumCRC64NVME"] == head["ChecksumCRC64NVME"] == whole
    assert answer["ChecksumType"] == head["ChecksumType"] == "FULL_OBJECT"


def test_the_checksum_of_checksums(standins: Backend, own_bucket: str) -> None:
    # As above.
    upload = Upload(standins.s3, own_bucket, ChecksumAlgorithm="SHA256")
    for number, content in enumerate(PARTS, start=1):
        upload.send(number, content, ChecksumAlgorithm="SHA256")
    answer = upload.complete()
    digests = b"".join(hashlib.sha256(content).digest() for content in PARTS)
    expected = base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-3"
    assert (answer["ChecksumSHA256"], answer["ChecksumType"]) == (expected, "COMPOSITE")


@pytest.mark.parametrize("kind", ["FULL_OBJECT", "COMPOSITE"])
def test_crc32_is_of_the_whole_or_of_checksums(
    standins: Backend, own_bucket: str, kind: str
) -> None:
    # As above.
    upload = Upload(standins.s3, own_bucket, ChecksumAlgorithm="CRC32", ChecksumType=kind)
    for number, content in enumerate(PARTS, start=1):
        upload.send(number, content, ChecksumAlgorithm="CRC32")
    answer = upload.complete()
    content, suffix = b"".join(PARTS), ""
    if kind == "COMPOSITE":
        content = b"".join(checksums.crc32(part).to_bytes(4, "big") for part in PARTS)
        suffix = "-3"
    expected = base64.b64encode(checksums.crc32(content).to_bytes(4, "big")).decode() + suffix
    assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (expected, kind)


def test_a_part_with_a_wrong_checksum_is_refused(standins: Backend, own_bucket: str) -> None:
    # Moto takes any.
    upload = Upload(standins.s3, own_bucket, **WHOLE_CRC)
    with pytest.raises(ClientError) as error:
        upload.send(1, b"x", ChecksumCRC64NVME=crc64(b"y"))
    assert error_code(error) == "BadDigest"
    assert "Parts" not in standins.s3.list_parts(**upload.name)


@pytest.mark.parametrize(
    "arguments",
    [
        {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"},
        {"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"},
    ],
)
def test_checksums_that_do_not_go_with_their_type_are_refused(
    standins: Backend, own_bucket: str, arguments: dict[str, str]
) -> None:
    # Moto takes any.
    with pytest.raises(ClientError) as error:
        Upload(standins.s3, own_bucket, **arguments)
    assert error_code(error) == "InvalidRequest"


def test_a_part_has_the_algorithm_of_its_upload(standins: Backend, own_bucket: str) -> None:
    # Moto takes any.
    upload = Upload(standins.s3, own_bucket, ChecksumAlgorithm="SHA256")
    with pytest.raises(ClientError) as error:
        upload.send(1, b"x", ChecksumAlgorithm="CRC32")
    assert error_code(error) == "InvalidRequest"


def test_parts_are_listed(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    for number in (1, 4, 9):
        upload.send(number, b"x" * number)
    parts = s3.list_parts(**upload.name)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(1, 1), (4, 4), (9, 9)]
    assert [part["ETag"] for part in parts] == [part["ETag"] for part in upload.parts]


def test_parts_are_listed_in_pages(standins: Backend, own_bucket: str) -> None:
    # Moto goes on by position and not by number, and so loses parts between the pages.
    s3 = standins.s3
    upload = Upload(s3, own_bucket)
    for number in (1, 4, 9):
        upload.send(number, b"x" * number)
    pages = s3.get_paginator("list_parts").paginate(**upload.name, PaginationConfig={"PageSize": 2})
    listed = [(part["PartNumber"], part["Size"]) for page in pages for part in page["Parts"]]
    assert listed == [(1, 1), (4, 4), (9, 9)]


def test_uploads_are_listed_by_prefix(s3: Any, bucket: str) -> None:
    for key in ("exports/1", "exports/2", "staging/1"):
        Upload(s3, bucket, key)
    listed = s3.list_multipart_uploads(Bucket=bucket, Prefix="exports/")["Uploads"]
    assert [upload["Key"] for upload in listed] == ["exports/1", "exports/2"]

"""Single objects, their listing, and buckets."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen

import pytest
from awscrt import checksums
from botocore.exceptions import ClientError

from tests.conformance.backends import Backend
from tests.conformance.tables import error_code

Unique = Callable[[str], str]

CONTENT = bytes(range(256)) * 40


def body(answer: dict[str, Any]) -> bytes:
    """The content of an answer to GetObject."""
    content: bytes = answer["Body"].read()
    return content


def test_an_object_comes_back_with_its_metadata(s3: Any, bucket: str) -> None:
    put = s3.put_object(
        Bucket=bucket,
        Key="a/b c+é.csv",
        Body=CONTENT,
        ContentType="text/csv",
        ContentDisposition='attachment; filename="b.csv"',
        Metadata={"rows": "3"},
        ServerSideEncryption="AES256",
    )
    for answer in (
        s3.get_object(Bucket=bucket, Key="a/b c+é.csv"),
        s3.head_object(Bucket=bucket, Key="a/b c+é.csv"),
    ):
        assert answer["ETag"] == put["ETag"]
        assert answer["ContentLength"] == len(CONTENT)
        assert answer["ContentType"] == "text/csv"
        assert answer["ContentDisposition"] == 'attachment; filename="b.csv"'
        assert answer["Metadata"] == {"rows": "3"}
        assert answer["ServerSideEncryption"] == "AES256"
    assert body(s3.get_object(Bucket=bucket, Key="a/b c+é.csv")) == CONTENT


def test_an_object_is_replaced(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"one")
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert body(s3.get_object(Bucket=bucket, Key="k")) == b""


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=100-", 100, len(CONTENT)),
        ("bytes=-5", len(CONTENT) - 5, len(CONTENT)),
        ("bytes=10-999999", 10, len(CONTENT)),
        ("bytes=7-7", 7, 8),
    ],
)
def test_a_range_is_answered_with_206(
    s3: Any, bucket: str, header: str, start: int, end: int
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=CONTENT)
    answer = s3.get_object(Bucket=bucket, Key="k", Range=header)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert answer["ContentRange"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert body(answer) == CONTENT[start:end]


def test_a_range_beyond_the_end_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=3-5")
    assert error_code(error) == "InvalidRange"


def test_what_is_not_there_has_no_key_and_no_bucket(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="none")
    assert error_code(error) == "NoSuchKey"
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket=bucket, Key="none")
    assert error_code(error) == "404"
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="no-such-bucket-anywhere", Key="k", Body=b"")
    assert error_code(error) == "NoSuchBucket"
    with pytest.raises(ClientError) as error:
        s3.head_bucket(Bucket="no-such-bucket-anywhere")
    assert error_code(error) == "404"


def test_deleting_what_is_not_there_succeeds(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_several_objects_are_deleted_at_once(s3: Any, bucket: str) -> None:
    for key in ("a", "b&<>", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b&<>"}, {"Key": "none"}]}
    )
    assert {entry["Key"] for entry in answer["Deleted"]} == {"a", "b&<>", "none"}
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["c"]


def sums(content: bytes) -> dict[str, str]:
    """The checksums of a content, as arguments of PutObject."""
    crc64 = checksums.crc64nvme(content).to_bytes(8, "big")
    crc32 = checksums.crc32(content).to_bytes(4, "big")
    return {
        "ChecksumCRC64NVME": base64.b64encode(crc64).decode(),
        "ChecksumCRC32": base64.b64encode(crc32).decode(),
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(content).digest()).decode(),
    }


@pytest.mark.parametrize("name", ["ChecksumCRC64NVME", "ChecksumCRC32", "ChecksumSHA256"])
def test_a_checksum_is_kept(standins: Backend, own_bucket: str, name: str) -> None:
    # Moto's answer to the upload does not have it.
    right = {name: sums(CONTENT)[name]}
    put = standins.s3.put_object(Bucket=own_bucket, Key="k", Body=CONTENT, **right)
    got = standins.s3.get_object(Bucket=own_bucket, Key="k", ChecksumMode="ENABLED")
    assert put[name] == got[name] == right[name]
    assert body(got) == CONTENT


@pytest.mark.parametrize("name", ["ChecksumCRC64NVME", "ChecksumCRC32", "ChecksumSHA256"])
def test_a_wrong_checksum_is_refused(standins: Backend, own_bucket: str, name: str) -> None:
    # Moto keeps whatever checksum it is sent.
    with pytest.raises(ClientError) as error:
        standins.s3.put_object(
            Bucket=own_bucket, Key="k", Body=CONTENT, **{name: sums(b"other")[name]}
        )
    assert error_code(error) == "BadDigest"
    assert standins.s3.list_objects_v2(Bucket=own_bucket)["KeyCount"] == 0


def test_a_wrong_md5_is_refused(standins: Backend, own_bucket: str) -> None:
    # Moto does not look at it.
    md5 = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    with pytest.raises(ClientError) as error:
        standins.s3.put_object(Bucket=own_bucket, Key="k", Body=CONTENT, ContentMD5=md5)
    assert error_code(error) == "BadDigest"


def test_an_object_without_a_checksum_gets_one(standins: Backend, own_bucket: str) -> None:
    # botocore sends one by itself, so this is a request as other clients send it; moto has none.
    link = standins.s3.generate_presigned_url("put_object", {"Bucket": own_bucket, "Key": "k"})
    urlopen(Request(link, data=CONTENT, method="PUT"), timeout=5).close()  # noqa: S310
    head = standins.s3.head_object(Bucket=own_bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == sums(CONTENT)["ChecksumCRC64NVME"]
    assert head["ChecksumType"] == "FULL_OBJECT"


def test_a_link_decides_how_a_browser_takes_it(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"abc")
    parameters = {"Bucket": bucket, "Key": "k", "ResponseContentDisposition": "attachment"}
    link = s3.generate_presigned_url("get_object", parameters)
    with urlopen(link, timeout=5) as answer:  # noqa: S310
        assert answer.read() == b"abc"
        assert answer.headers["Content-Disposition"] == "attachment"


def test_an_object_is_written_once_if_asked(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"one", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfNoneMatch="*")
    assert error_code(error) == "PreconditionFailed"
    assert body(s3.get_object(Bucket=bucket, Key="k")) == b"one"


def test_a_copy_has_the_metadata_of_its_source_or_its_own(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "from é+x"}
    s3.put_object(**source, Body=CONTENT, ContentType="text/csv", Metadata={"n": "1"})
    s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
    s3.copy_object(
        Bucket=bucket,
        Key="other",
        CopySource=source,
        MetadataDirective="REPLACE",
        ContentType="text/plain",
    )
    same = s3.get_object(Bucket=bucket, Key="same")
    other = s3.get_object(Bucket=bucket, Key="other")
    assert (same["ContentType"], same["Metadata"]) == ("text/csv", {"n": "1"})
    assert (other["ContentType"], other["Metadata"]) == ("text/plain", {})
    assert body(same) == body(other) == CONTENT


def test_a_copy_of_nothing_is_refused(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "none"})
    assert error_code(error) == "NoSuchKey"


@pytest.fixture
def keys(s3: Any, bucket: str) -> list[str]:
    """Seven keys, in order."""
    names = ["a", "b/1", "b/2", "b/c/3", "b0", "é/4", "\U0001f600"]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
    return names


def test_a_listing_in_pages_has_every_key_in_order(s3: Any, bucket: str, keys: list[str]) -> None:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 2}
    )
    listed = [[entry["Key"] for entry in page["Contents"]] for page in pages]
    assert [len(page) for page in listed] == [2, 2, 2, 1]
    assert [key for page in listed for key in page] == keys


def test_a_listing_by_prefix(s3: Any, bucket: str, keys: list[str]) -> None:
    answer = s3.list_objects_v2(Bucket=bucket, Prefix="b/")
    assert [(e["Key"], e["Size"]) for e in answer["Contents"]] == [
        ("b/1", 3),
        ("b/2", 3),
        ("b/c/3", 5),
    ]
    assert not answer["IsTruncated"]


def test_a_listing_by_folder(s3: Any, bucket: str, keys: list[str]) -> None:
    answer = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [entry["Key"] for entry in answer["Contents"]] == ["a", "b0", "\U0001f600"]
    assert [entry["Prefix"] for entry in answer["CommonPrefixes"]] == ["b/", "é/"]
    within = s3.list_objects_v2(Bucket=bucket, Delimiter="/", Prefix="b/")
    assert [entry["Prefix"] for entry in within["CommonPrefixes"]] == ["b/c/"]


def test_folders_in_pages(s3: Any, bucket: str, keys: list[str]) -> None:
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    listed = [
        entry.get("Key") or entry.get("Prefix")
        for page in pages
        for entry in [*page.get("Contents", []), *page.get("CommonPrefixes", [])]
    ]
    assert listed == ["a", "b/", "b0", "é/", "\U0001f600"]


def test_a_listing_after_a_key(s3: Any, bucket: str, keys: list[str]) -> None:
    answer = s3.list_objects_v2(Bucket=bucket, StartAfter="b/2")
    assert [entry["Key"] for entry in answer["Contents"]] == keys[3:]


def test_a_bucket_is_listed_and_deleted_when_it_is_empty(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert error_code(error) == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert bucket not in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]


def test_the_configuration_of_a_bucket_is_stored(s3: Any, bucket: str) -> None:
    rule = {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"Prefix": "old/"},
        "Expiration": {"Days": 3},
    }
    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": False,
    }
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [rule]
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == block
    s3.delete_bucket_lifecycle(Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    with pytest.raises(ClientError) as error:
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert error_code(error) == "NoSuchLifecycleConfiguration"
    with pytest.raises(ClientError) as error:
        s3.get_public_access_block(Bucket=bucket)
    assert error_code(error) == "NoSuchPublicAccessBlockConfiguration"


def test_the_encryption_of_a_bucket_is_that_of_its_objects(s3: Any, bucket: str) -> None:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/exports"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    stored = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert stored["Rules"][0]["ApplyServerSideEncryptionByDefault"] == default
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ServerSideEncryption"] == "aws:kms"


def test_every_bucket_is_encrypted(standins: Backend, own_bucket: str) -> None:
    # Since January 2023; moto says that a new bucket has no such configuration.
    stored = standins.s3.get_bucket_encryption(Bucket=own_bucket)
    (rule,) = stored["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    put = standins.s3.put_object(Bucket=own_bucket, Key="k", Body=b"")
    assert put["ServerSideEncryption"] == "AES256"

from __future__ import annotations

from awscrt import checksums
from hypothesis import given
from hypothesis import strategies as st

from remit.aws.target import Encryption, Target, combine_crc64, crc64, encode_crc64


def test_without_a_key_s3_encrypts_with_its_own() -> None:
    assert Target("b", "k", "text/csv").arguments() == {
        "Bucket": "b",
        "Key": "k",
        "ContentType": "text/csv",
        "ServerSideEncryption": "AES256",
    }


def test_with_a_key_kms_is_asked_once_per_bucket_key() -> None:
    target = Target("b", "k", "text/csv", 'attachment; filename="k"', Encryption("alias/exports"))
    assert target.arguments() == {
        "Bucket": "b",
        "Key": "k",
        "ContentType": "text/csv",
        "ContentDisposition": 'attachment; filename="k"',
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/exports",
        "BucketKeyEnabled": True,
    }


def test_a_checksum_is_big_endian_in_base64() -> None:
    # The check value of CRC-64/NVME: https://reveng.sourceforge.io/crc-catalogue/all.htm
    assert crc64(b"123456789") == 0xAE8B14860A799888
    assert encode_crc64(0xAE8B14860A799888) == "rosUhgp5mIg="


@given(st.binary(), st.binary())
def test_checksums_combine(first: bytes, second: bytes) -> None:
    combined = combine_crc64(crc64(first), crc64(second), len(second))
    assert combined == checksums.crc64nvme(first + second)

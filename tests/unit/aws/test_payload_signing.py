"""What an S3 client signs, seen on requests that never leave the process."""

from __future__ import annotations

import hashlib
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from remit.aws.session import Aws

BODY = b"one part"


class _Raw:
    def stream(self, *args: Any, **kwargs: Any) -> Any:
        yield b""


def sent(endpoint: str | None) -> dict[str, str]:
    """The headers of an upload to an endpoint."""
    session = botocore.session.Session()
    session.set_credentials("testing", "testing")
    client = Aws(session, "eu-west-1", {"s3": endpoint} if endpoint else {}).client("s3")
    headers: dict[str, str] = {}

    def answer(request: Any, **kwargs: Any) -> AWSResponse:
        headers.update({name.lower(): text(value) for name, value in request.headers.items()})
        return AWSResponse(request.url, 200, {"ETag": '"e"'}, _Raw())

    client.meta.events.register("before-send.s3.UploadPart", answer)
    part = {"Bucket": "b", "Key": "k", "UploadId": "u", "PartNumber": 1}
    client.upload_part(**part, Body=BODY, ChecksumCRC64NVME="rosUhgp5mIg=")
    return headers


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize("endpoint", [None, "https://s3.example"])
def test_over_tls_the_body_is_not_hashed_again_and_its_checksum_is_signed(
    endpoint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(variable, raising=False)
    headers = sent(endpoint)
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert "x-amz-checksum-crc64nvme;" in headers["authorization"]
    assert headers["x-amz-checksum-crc64nvme"] == "rosUhgp5mIg="
    assert "x-amz-checksum-crc32" not in headers


def test_without_tls_the_body_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sent("http://s3.example")["x-amz-content-sha256"] == hashlib.sha256(BODY).hexdigest()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.example")
    assert sent(None)["x-amz-content-sha256"] == hashlib.sha256(BODY).hexdigest()

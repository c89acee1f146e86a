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


@pytest.fixture(autouse=True)
def no_endpoint_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(variable, raising=False)


SAFE = [
    None,
    "https://s3.example",
    "http://127.0.0.1:9000",
    "http://localhost:9000",
    "http://[::1]:9000",
]
UNSAFE = [
    "http://s3.example",
    "http://10.0.0.7:9000",
    "http://127.0.0.1.example",
    "http://localhost.example:9000",
]


@pytest.mark.parametrize("endpoint", SAFE)
def test_a_body_that_nobody_can_change_is_not_hashed_again(endpoint: str | None) -> None:
    """Over TLS, or to this very machine."""
    assert sent(endpoint)["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


@pytest.mark.parametrize("endpoint", UNSAFE)
def test_without_tls_the_body_is_signed(endpoint: str) -> None:
    assert sent(endpoint)["x-amz-content-sha256"] == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("endpoint", [SAFE[0], SAFE[2], UNSAFE[0]])
def test_the_checksum_of_the_body_is_always_signed(endpoint: str | None) -> None:
    headers = sent(endpoint)
    assert "x-amz-checksum-crc64nvme;" in headers["authorization"]
    assert headers["x-amz-checksum-crc64nvme"] == "rosUhgp5mIg="
    assert "x-amz-checksum-crc32" not in headers


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_endpoint_of_the_environment_counts(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://s3.example")
    assert sent(None)["x-amz-content-sha256"] == hashlib.sha256(BODY).hexdigest()
    monkeypatch.setenv(variable, "http://127.0.0.1:9000")
    assert sent(None)["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


def test_the_endpoint_that_is_nearest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://all.example")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example")
    assert sent(None)["x-amz-content-sha256"] == hashlib.sha256(BODY).hexdigest()
    assert sent("https://own.example")["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"

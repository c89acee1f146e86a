from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from remit.aws.signature import CONTENT_TYPE, RequestSigner

TARGET = "DynamoDB_20120810.TransactWriteItems"

printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
tokens = st.one_of(st.none(), printable)


@given(
    keys=st.tuples(printable, printable, tokens),
    region=st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1"]),
    url=st.sampled_from(
        [
            "https://dynamodb.us-east-1.amazonaws.com/",
            "https://dynamodb.us-east-1.amazonaws.com:443/",
            "http://localhost:80/",
            "http://127.0.0.1:4566/",
            "https://[::1]:8443/",
            "https://vpce-1.dynamodb.us-east-1.vpce.amazonaws.com/some/path%20x",
        ]
    ),
    body=st.binary(max_size=300),
)
def test_signs_as_botocore_does(
    keys: tuple[str, str, str | None], region: str, url: str, body: bytes
) -> None:
    credentials = ReadOnlyCredentials(*keys)
    headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Target": TARGET}
    request = AWSRequest("POST", url, headers=headers, data=body)
    SigV4Auth(credentials, "dynamodb", region).add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    at = datetime.strptime(theirs["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = RequestSigner(credentials, "dynamodb", region, url).headers(TARGET, body, at)
    assert ours == theirs


@pytest.mark.parametrize("hours", [0, 1, 23, 24, 25])
def test_the_key_is_that_of_the_day(hours: int) -> None:
    """One signer signs past midnight."""
    credentials = ReadOnlyCredentials("key", "secret", None)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    signer = RequestSigner(credentials, "dynamodb", "us-east-1", "https://localhost/")
    signer.headers(TARGET, b"{}", at)
    later = at + timedelta(hours=hours)
    fresh = RequestSigner(credentials, "dynamodb", "us-east-1", "https://localhost/")
    assert signer.headers(TARGET, b"{}", later) == fresh.headers(TARGET, b"{}", later)


def test_the_time_is_written_in_utc() -> None:
    credentials = ReadOnlyCredentials("key", "secret", None)
    signer = RequestSigner(credentials, "dynamodb", "us-east-1", "https://localhost/")
    at = datetime(2026, 1, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert signer.headers(TARGET, b"{}", at)["x-amz-date"] == "20260101T030000Z"

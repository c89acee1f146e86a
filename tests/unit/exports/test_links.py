from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import botocore.session
from botocore.credentials import RefreshableCredentials

from remit.aws.session import Aws
from remit.exports.links import Link, mint
from tests.support.aws import aws_at

NOW = datetime.now(UTC)


def link(aws: Aws, until: timedelta) -> Link:
    s3 = aws.client("s3")
    return mint(s3, aws, bucket="b", key="exports/m/e/1/f.csv", now=NOW, until=NOW + until)


def lifetime(found: Link) -> int:
    return int(parse_qs(urlsplit(found.url).query)["X-Amz-Expires"][0])


def test_a_link_says_when_it_ends() -> None:
    found = link(aws_at("http://127.0.0.1:9"), timedelta(hours=1))
    assert lifetime(found) == 3600
    assert found.expires_at == NOW + timedelta(hours=1)


def test_a_link_ends_with_the_credentials_that_signed_it() -> None:
    ends = NOW + timedelta(minutes=20)
    session = botocore.session.Session()
    session._credentials = RefreshableCredentials(
        "key", "secret", "token", ends, dict, "assume-role"
    )
    aws = Aws(session, "us-east-1", {"s3": "http://127.0.0.1:9"})

    found = link(aws, timedelta(hours=1))

    assert abs(found.expires_at - ends) <= timedelta(seconds=1)
    assert lifetime(found) in {1199, 1200}

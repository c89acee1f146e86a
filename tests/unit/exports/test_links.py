from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import botocore.session
from botocore.credentials import RefreshableCredentials

from remit.aws.session import Aws
from remit.exports.links import Link, mint
from tests.support.aws import aws_at


def link(aws: Aws, now: datetime, lifetime: timedelta) -> Link:
    s3 = aws.client("s3")
    return mint(s3, aws, bucket="b", key="exports/m/e/1/f.csv", now=now, until=now + lifetime)


def lifetime(found: Link) -> int:
    return int(parse_qs(urlsplit(found.url).query)["X-Amz-Expires"][0])


def test_a_link_says_when_it_ends() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    found = link(aws_at("http://127.0.0.1:9"), now, timedelta(hours=1))
    assert lifetime(found) == 3600
    assert found.expires_at == now + timedelta(hours=1)


def test_a_link_ends_with_the_credentials_that_signed_it() -> None:
    now = datetime.now(UTC)  # botocore refreshes by the real clock, from 15 minutes before the end
    ends = now + timedelta(minutes=40)
    session = botocore.session.Session()
    session._credentials = RefreshableCredentials(
        "key", "secret", "token", ends, dict, "assume-role"
    )
    aws = Aws(session, "us-east-1", {"s3": "http://127.0.0.1:9"})

    found = link(aws, now, timedelta(hours=1))

    assert abs(found.expires_at - ends) <= timedelta(seconds=1)
    assert lifetime(found) in {2399, 2400}

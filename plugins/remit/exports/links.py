"""Download links: presigned when they are asked for, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from remit.aws.session import Aws, store_errors


@dataclass(frozen=True)
class Link:
    """A presigned URL and the instant from which it no longer works."""

    url: str
    expires_at: datetime


def mint(s3: Any, aws: Aws, *, bucket: str, key: str, now: datetime, until: datetime) -> Link:
    """Presign a GET of one object.

    The link ends at `until`, or earlier, with the credentials that sign it: S3 refuses a URL whose
    session has ended, whatever the URL says.
    """
    expires_at = min(until, _credentials_end(aws) or until)
    lifetime = max(int((expires_at - now).total_seconds()), 1)
    with store_errors("presign a link"):
        url = s3.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=lifetime
        )
    return Link(url, now + timedelta(seconds=lifetime))


def _credentials_end(aws: Aws) -> datetime | None:
    """When temporary credentials end; None for permanent ones.

    botocore keeps it in a private attribute and offers no other way to learn it.
    """
    credentials = aws.session.get_credentials()
    end = getattr(credentials, "_expiry_time", None)
    return end.astimezone(UTC) if isinstance(end, datetime) else None

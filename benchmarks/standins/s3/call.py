"""A request to S3, taken apart: bucket, key, query, headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from time import gmtime, strftime
from urllib.parse import parse_qsl, unquote

from benchmarks.standins.http import Response
from benchmarks.standins.reading import Request
from benchmarks.standins.s3.errors import S3Error
from benchmarks.standins.s3.model import Bucket, Buckets

_KEPT_HEADERS = {
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "content-type": "Content-Type",
    "expires": "Expires",
}
ENCRYPTION = "x-amz-server-side-encryption"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Call:
    """A request with the buckets that it is about."""

    buckets: Buckets
    request: Request
    bucket_name: str
    key: str
    query: Mapping[str, str]

    @classmethod
    def of(cls, buckets: Buckets, request: Request) -> Call:
        """A request addressed by path."""
        path, _, query = request.target.partition("?")
        bucket, _, key = path.lstrip("/").partition("/")
        pairs = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
        return cls(buckets, request, unquote(bucket), unquote(key), pairs)

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in lower case."""
        return self.request.headers

    @property
    def bucket(self) -> Bucket:
        """The bucket.

        Raises:
            S3Error: NoSuchBucket.
        """
        return self.buckets.require(self.bucket_name)

    def object_headers(self) -> dict[str, str]:
        """What comes back with the object: metadata, and how it is encrypted."""
        kept = {_KEPT_HEADERS[n]: v for n, v in self.headers.items() if n in _KEPT_HEADERS}
        if encoding := kept.pop("Content-Encoding", None):
            codings = [coding.strip() for coding in encoding.split(",")]
            if own := [coding for coding in codings if coding != "aws-chunked"]:
                kept["Content-Encoding"] = ",".join(own)
        kept |= {n: v for n, v in self.headers.items() if n.startswith("x-amz-meta-")}
        return kept | self.encryption_headers()

    def encryption_headers(self) -> dict[str, str]:
        """How an object is encrypted: as asked for, or as the bucket has it."""
        asked = {n: v for n, v in self.headers.items() if n.startswith(ENCRYPTION)}
        return asked or dict(self.bucket.encryption)

    def copy_source(self) -> tuple[str, str]:
        """Bucket and key of `x-amz-copy-source`."""
        path = unquote(self.headers["x-amz-copy-source"].partition("?versionId=")[0])
        bucket, _, key = path.lstrip("/").partition("/")
        return bucket, key


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The range of a header as start (inclusive) and end (exclusive); None: all of it.

    Raises:
        S3Error: InvalidRange, if nothing lies in it.
    """
    match = None if header is None else _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return None  # as HTTP has it, what cannot be understood is not there
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), size if not last else min(size, int(last) + 1)
    if start >= end:
        raise S3Error("InvalidRange", "The requested range is not satisfiable")
    return start, end


def iso_time(seconds: float) -> str:
    """As XML has it."""
    return strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(seconds))


def http_time(seconds: float) -> str:
    """As headers have it."""
    return formatdate(seconds, usegmt=True)


def xml_response(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a document."""
    return Response(200, {"Content-Type": "application/xml", **(headers or {})}, [body])

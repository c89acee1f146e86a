"""Operations on single objects."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import replace
from hashlib import md5

from awscrt import checksums as crt

from benchmarks.standins.http import Response
from benchmarks.standins.s3 import checksums
from benchmarks.standins.s3.call import (
    ENCRYPTION,
    Call,
    byte_range,
    http_time,
    iso_time,
    xml_response,
)
from benchmarks.standins.s3.contents import Content, etag
from benchmarks.standins.s3.errors import S3Error
from benchmarks.standins.s3.model import StoredObject
from benchmarks.standins.s3.xml import document

_OVERRIDES = "response-"
_DEFAULT_TYPE = "binary/octet-stream"


def put_object(call: Call) -> Response:
    """`PutObject`."""
    with call.buckets.lock:
        headers = call.object_headers()
    content, sums = received(call, first=True)
    stored = StoredObject(
        call.key,
        content,
        etag(content),
        call.buckets.clock(),
        headers,
        sums,
        checksums.FULL_OBJECT,
    )
    with call.buckets.lock:
        bucket = call.bucket
        refuse_existing(call, bucket.get(call.key))
        bucket.put(stored)
    answer = {"ETag": stored.etag, **encryption_of(stored.headers), **checksum_headers(stored)}
    return Response(200, answer)


def get_object(call: Call) -> Response:
    """`GetObject`, a range included."""
    with call.buckets.lock:
        stored = call.bucket.require(call.key)
    _check_preconditions(call, stored)
    size = stored.content.size
    selected = byte_range(call.headers.get("range"), size)
    headers = _description(call, stored)
    if selected is None:
        if call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers |= checksum_headers(stored)
        headers["Content-Length"] = str(size)
        body = () if call.request.method == "HEAD" else stored.content.read(0, size)
        return Response(200, headers, body)
    start, end = selected
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    body = () if call.request.method == "HEAD" else stored.content.read(start, end)
    return Response(206, headers, body)


def delete_object(call: Call) -> Response:
    """`DeleteObject`: a success whether it was there or not."""
    with call.buckets.lock:
        call.bucket.delete(call.key)
    return Response(204)


def copy_object(call: Call) -> Response:
    """`CopyObject`: the same bytes, with the source's metadata or new."""
    with call.buckets.lock:
        source_bucket, source_key = call.copy_source()
        source = call.buckets.require(source_bucket).require(source_key)
        replaces = call.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        if (source_bucket, source_key) == (call.bucket_name, call.key) and not replaces:
            raise S3Error(
                "InvalidRequest",
                "This copy request is illegal because it is trying to copy an object to itself"
                " without changing the object's metadata, storage class, website redirect location"
                " or encryption attributes.",
            )
        headers = call.object_headers() if replaces else _unencrypted(source.headers)
        copy = replace(
            source,
            key=call.key,
            etag=etag(source.content),
            modified=call.buckets.clock(),
            headers={**headers, **call.encryption_headers()},
            checksums=_copied_checksums(call, source),
            checksum_type=checksums.FULL_OBJECT,
        )
        call.bucket.put(copy)
    result = {
        "LastModified": iso_time(copy.modified),
        "ETag": copy.etag,
        **checksum_elements(copy.checksums),
    }
    return xml_response(document("CopyObjectResult", result), encryption_of(copy.headers))


def received(call: Call, *, first: bool) -> tuple[Content, dict[str, str]]:
    """The content of an upload, with the checksums to keep of it, all of them verified.

    Raises:
        S3Error: BadDigest or InvalidDigest.
    """
    body = call.request.body
    claims = checksums.claimed({**call.headers, **call.request.trailers})
    check_md5(call)
    crc = crt.crc64nvme(body)
    sums = checksums.verified(body, crc, claims)
    return call.buckets.storage.take(body, crc, first=first), sums


def check_md5(call: Call) -> None:
    """Compare the body with `Content-MD5`, if there is one.

    Raises:
        S3Error: BadDigest or InvalidDigest.
    """
    claim = call.headers.get("content-md5")
    if claim is None:
        return
    try:
        digest = b64decode(claim, validate=True)
    except Base64Error:
        digest = b""
    if len(digest) != 16:
        raise S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if digest != md5(call.request.body, usedforsecurity=False).digest():
        raise S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.")


def refuse_existing(call: Call, existing: StoredObject | None) -> None:
    """`If-None-Match: *`: write only what is not there.

    Raises:
        S3Error: PreconditionFailed.
    """
    if call.headers.get("if-none-match") == "*" and existing is not None:
        raise _precondition("If-None-Match")


def _check_preconditions(call: Call, stored: StoredObject) -> None:
    wanted, known = call.headers.get("if-match"), call.headers.get("if-none-match")
    if wanted is not None and wanted not in {"*", stored.etag, stored.etag.strip('"')}:
        raise _precondition("If-Match")
    if known is not None and known in {"*", stored.etag, stored.etag.strip('"')}:
        raise S3Error("NotModified", "Not Modified")


def _precondition(condition: str) -> S3Error:
    return S3Error(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        Condition=condition,
    )


def _description(call: Call, stored: StoredObject) -> dict[str, str]:
    headers = {
        "Content-Type": _DEFAULT_TYPE,
        **stored.headers,
        "ETag": stored.etag,
        "Last-Modified": http_time(stored.modified),
        "Accept-Ranges": "bytes",
    }
    for name, value in call.query.items():  # of a presigned link
        if name.startswith(_OVERRIDES):
            headers[name.removeprefix(_OVERRIDES).title()] = value
    return headers


def _copied_checksums(call: Call, source: StoredObject) -> Mapping[str, str]:
    """A copy has the checksum of its whole, by the algorithm asked for or that of the source."""
    asked = call.headers.get("x-amz-checksum-algorithm")
    if asked is None and source.checksum_type == checksums.FULL_OBJECT:
        return source.checksums
    names = source.checksums if asked is None else [checksums.algorithm_named(asked).name]
    return {name: digest_of(source.content, name) for name in names}


def digest_of(content: Content, name: str) -> str:
    """A checksum of a content that is there already."""
    if name == checksums.CRC64NVME:
        return checksums.encoded(content.crc64nvme.to_bytes(8, "big"))
    parts = content.read(0, content.size)
    return checksums.encoded(checksums.ALGORITHMS[name].digest(parts))


def checksum_headers(stored: StoredObject) -> dict[str, str]:
    """The checksums of an object as headers."""
    headers = {checksums.ALGORITHMS[n].header: value for n, value in stored.checksums.items()}
    return headers | {"x-amz-checksum-type": stored.checksum_type}


def checksum_elements(sums: Mapping[str, str]) -> dict[str, str]:
    """Checksums as XML has them."""
    return {checksums.ALGORITHMS[name].element: value for name, value in sums.items()}


def encryption_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that say how it is encrypted."""
    return {name: value for name, value in headers.items() if name.startswith(ENCRYPTION)}


def _unencrypted(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not name.startswith(ENCRYPTION)}

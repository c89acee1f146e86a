"""Listings, in pages."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from urllib.parse import quote

from benchmarks.standins.http import Response
from benchmarks.standins.s3.call import Call, iso_time, xml_response
from benchmarks.standins.s3.errors import S3Error
from benchmarks.standins.s3.model import Bucket, StoredObject, Upload, UploadedPart
from benchmarks.standins.s3.objects import checksum_elements
from benchmarks.standins.s3.xml import Value, document

_MOST = 1000
_LAST_CHARACTER = chr(0x10FFFF)


def list_buckets(call: Call) -> Response:
    """`ListBuckets`."""
    with call.buckets.lock:
        found = [
            {"Name": bucket.name, "CreationDate": iso_time(bucket.created)}
            for bucket in call.buckets.all()
        ]
    owner = {"ID": "stand-in", "DisplayName": "stand-in"}
    result: dict[str, Value] = {"Owner": owner, "Buckets": {"Bucket": found}}
    return xml_response(document("ListAllMyBucketsResult", result))


def list_objects_v2(call: Call) -> Response:
    """`ListObjectsV2`."""
    query = call.query
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    most = min(_most(call, "max-keys"), _MOST)
    token = query.get("continuation-token")
    after = query.get("start-after", "") if token is None else _start_of(token)
    with call.buckets.lock:
        objects, groups, last = _page(call.bucket, prefix, delimiter, after, most)
    encode = _encoder(call)
    result: dict[str, Value] = {
        "Name": call.bucket_name,
        "Prefix": encode(prefix),
        "Delimiter": encode(delimiter) if delimiter else None,
        "EncodingType": query.get("encoding-type"),
        "StartAfter": encode(query["start-after"]) if "start-after" in query else None,
        "ContinuationToken": token,
        "MaxKeys": most,
        "KeyCount": len(objects) + len(groups),
        "IsTruncated": last is not None,
        "NextContinuationToken": None if last is None else _token_of(last),
        "Contents": [_object(stored, encode) for stored in objects],
        "CommonPrefixes": [{"Prefix": encode(group)} for group in groups],
    }
    return xml_response(document("ListBucketResult", result))


def _page(
    bucket: Bucket, prefix: str, delimiter: str, after: str, most: int
) -> tuple[list[StoredObject], list[str], str | None]:
    """Objects, common prefixes, and what to go on after if there are more."""
    objects: list[StoredObject] = []
    groups: list[str] = []
    last = None
    for key in bucket.keys_from(max(prefix, after)):
        if not key.startswith(prefix):
            break
        if key <= after:
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        group = prefix + head + delimiter if found else None
        if group is not None and groups[-1:] == [group]:
            continue
        if len(objects) + len(groups) == most:
            return objects, groups, last
        if group is None:
            objects.append(bucket.require(key))
            last = key
        else:
            groups.append(group)
            last = group + _LAST_CHARACTER
    return objects, groups, None


def _object(stored: StoredObject, encode: Callable[[str], str]) -> dict[str, Value]:
    return {
        "Key": encode(stored.key),
        "LastModified": iso_time(stored.modified),
        "ETag": stored.etag,
        "ChecksumAlgorithm": list(stored.checksums),
        "ChecksumType": stored.checksum_type,
        "Size": stored.content.size,
        "StorageClass": "STANDARD",
    }


def list_multipart_uploads(call: Call) -> Response:
    """`ListMultipartUploads`."""
    query, prefix = call.query, call.query.get("prefix", "")
    most = min(_most(call, "max-uploads"), _MOST)
    marker = (query.get("key-marker", ""), query.get("upload-id-marker", _LAST_CHARACTER))
    with call.buckets.lock:
        uploads = sorted(call.bucket.uploads.values(), key=lambda each: (each.key, each.id))
    found = [u for u in uploads if u.key.startswith(prefix) and (u.key, u.id) > marker]
    page, encode = found[:most], _encoder(call)
    result: dict[str, Value] = {
        "Bucket": call.bucket_name,
        "KeyMarker": encode(query.get("key-marker", "")),
        "UploadIdMarker": query.get("upload-id-marker", ""),
        "Prefix": encode(prefix),
        "EncodingType": query.get("encoding-type"),
        "MaxUploads": most,
        "IsTruncated": len(found) > len(page),
        "NextKeyMarker": encode(page[-1].key) if len(found) > len(page) else None,
        "NextUploadIdMarker": page[-1].id if len(found) > len(page) else None,
        "Upload": [_upload(upload, encode) for upload in page],
    }
    return xml_response(document("ListMultipartUploadsResult", result))


def _upload(upload: Upload, encode: Callable[[str], str]) -> dict[str, Value]:
    return {
        "Key": encode(upload.key),
        "UploadId": upload.id,
        "StorageClass": "STANDARD",
        "Initiated": iso_time(upload.initiated),
        "ChecksumAlgorithm": None if upload.algorithm is None else upload.algorithm.name,
        "ChecksumType": upload.checksum_type,
    }


def list_parts(call: Call) -> Response:
    """`ListParts`."""
    most = min(_most(call, "max-parts"), _MOST)
    marker = int(call.query.get("part-number-marker", "0"))
    with call.buckets.lock:
        upload = call.bucket.upload(call.query["uploadId"], call.key)
        found = [part for number, part in sorted(upload.parts.items()) if number > marker]
    page = found[:most]
    result: dict[str, Value] = {
        "Bucket": call.bucket_name,
        "Key": call.key,
        "UploadId": upload.id,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": most,
        "IsTruncated": len(found) > len(page),
        "Part": [_part(part) for part in page],
        "StorageClass": "STANDARD",
        "ChecksumAlgorithm": None if upload.algorithm is None else upload.algorithm.name,
        "ChecksumType": upload.checksum_type,
    }
    return xml_response(document("ListPartsResult", result))


def _part(part: UploadedPart) -> dict[str, Value]:
    return {
        "PartNumber": part.number,
        "LastModified": iso_time(part.modified),
        "ETag": part.etag,
        "Size": part.content.size,
        **checksum_elements(part.checksums),
    }


def _most(call: Call, name: str) -> int:
    text = call.query.get(name, str(_MOST))
    if not text.isdigit():
        raise S3Error("InvalidArgument", f"Provided {name} not an integer or within integer range")
    return int(text)


def _encoder(call: Call) -> Callable[[str], str]:
    if call.query.get("encoding-type") == "url":
        return lambda text: quote(text, safe="/-_.~")
    return lambda text: text


def _token_of(last: str) -> str:
    return urlsafe_b64encode(last.encode()).decode()


def _start_of(token: str) -> str:
    try:
        return urlsafe_b64decode(token).decode()
    except (Base64Error, UnicodeDecodeError):
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect") from None

"""Multipart uploads.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html and the API reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from itertools import pairwise

from benchmarks.standins.http import Response
from benchmarks.standins.s3 import checksums
from benchmarks.standins.s3.call import Call, byte_range, iso_time, xml_response
from benchmarks.standins.s3.contents import etag
from benchmarks.standins.s3.errors import S3Error
from benchmarks.standins.s3.model import Bucket, StoredObject, Upload, UploadedPart
from benchmarks.standins.s3.objects import (
    checksum_elements,
    digest_of,
    encryption_of,
    received,
    refuse_existing,
)
from benchmarks.standins.s3.xml import document, parse, texts

MIN_PART = 5 * 1024**2
_MOST_PARTS = 10_000
_COMBINING = frozenset(name for name, each in checksums.ALGORITHMS.items() if each.combine)


def create_multipart_upload(call: Call) -> Response:
    """`CreateMultipartUpload`."""
    name = call.headers.get("x-amz-checksum-algorithm")
    algorithm = None if name is None else checksums.algorithm_named(name)
    kind = _checksum_type(call, algorithm)
    with call.buckets.lock:
        upload = Upload(
            secrets.token_urlsafe(24),
            call.key,
            call.buckets.clock(),
            call.object_headers(),
            algorithm,
            kind,
        )
        call.bucket.uploads[upload.id] = upload
    result = {"Bucket": call.bucket_name, "Key": call.key, "UploadId": upload.id}
    headers = encryption_of(upload.headers)
    if algorithm is not None:
        headers |= {"x-amz-checksum-algorithm": algorithm.name, "x-amz-checksum-type": kind}
    return xml_response(document("InitiateMultipartUploadResult", result), headers)


def _checksum_type(call: Call, algorithm: checksums.Algorithm | None) -> str:
    """As asked for, or as the algorithm has it: CRC64NVME is always of the whole object."""
    whole = algorithm is None or algorithm.name == checksums.CRC64NVME
    default = checksums.FULL_OBJECT if whole else checksums.COMPOSITE
    kind = call.headers.get("x-amz-checksum-type", default)
    combines = algorithm is None or algorithm.name in _COMBINING
    if (kind == checksums.COMPOSITE and whole) or (kind == checksums.FULL_OBJECT and not combines):
        raise S3Error(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the"
            f" {algorithm.name if algorithm else checksums.CRC64NVME} checksum algorithm.",
        )
    return kind


def upload_part(call: Call) -> Response:
    """`UploadPart`."""
    number = _part_number(call)
    with call.buckets.lock:
        upload = _upload(call)
    claims = checksums.claimed({**call.headers, **call.request.trailers})
    _refuse_other_algorithms(upload, claims)
    content, sums = received(call, first=number == 1)
    if upload.algorithm is not None and upload.algorithm.name not in sums:
        sums = {upload.algorithm.name: _digest(call, upload.algorithm)}
    part = UploadedPart(number, content, etag(content), call.buckets.clock(), sums)
    with call.buckets.lock:
        _upload(call).parts[number] = part
    names = {checksums.ALGORITHMS[name].header: value for name, value in claims.items()}
    return Response(200, {"ETag": part.etag, **encryption_of(upload.headers), **names})


def _digest(call: Call, algorithm: checksums.Algorithm) -> str:
    return checksums.encoded(algorithm.digest([call.request.body]))


def upload_part_copy(call: Call) -> Response:
    """`UploadPartCopy`, a range included."""
    number = _part_number(call)
    with call.buckets.lock:
        upload = _upload(call)
        bucket, key = call.copy_source()
        source = call.buckets.require(bucket).require(key).content
    selected = byte_range(call.headers.get("x-amz-copy-source-range"), source.size)
    start, end = selected or (0, source.size)
    content = source.cut(start, end)
    name = checksums.CRC64NVME if upload.algorithm is None else upload.algorithm.name
    sums = {name: digest_of(content, name)}
    part = UploadedPart(number, content, etag(content), call.buckets.clock(), sums)
    with call.buckets.lock:
        _upload(call).parts[number] = part
    result = {"LastModified": iso_time(part.modified), "ETag": part.etag}
    if upload.algorithm is not None:
        result |= checksum_elements(sums)
    body = document("CopyPartResult", result)
    return xml_response(body, encryption_of(upload.headers))


def complete_multipart_upload(call: Call) -> Response:
    """`CompleteMultipartUpload`; again for what is complete, it gives the same answer."""
    wanted = [texts(element) for element in parse(call.request.body).iter("Part")]
    with call.buckets.lock:
        bucket = call.bucket
        done = bucket.completed.get(call.query["uploadId"])
        if done is None or done.key != call.key:
            upload = _upload(call)
            refuse_existing(call, bucket.get(call.key))
            done = _completed(call, upload, _chosen(upload, wanted))
            _finish(bucket, upload, done)
    result = {
        "Location": f"http://{call.headers.get('host', '')}/{call.bucket_name}/{call.key}",
        "Bucket": call.bucket_name,
        "Key": call.key,
        "ETag": done.etag,
        **checksum_elements(done.checksums),
        "ChecksumType": done.checksum_type,
    }
    body = document("CompleteMultipartUploadResult", result)
    return xml_response(body, encryption_of(done.headers))


def _finish(bucket: Bucket, upload: Upload, done: StoredObject) -> None:
    bucket.put(done)
    bucket.completed[upload.id] = done
    del bucket.uploads[upload.id]


def _chosen(upload: Upload, wanted: Sequence[Mapping[str, str]]) -> list[UploadedPart]:
    """The parts that the request names.

    Raises:
        S3Error: InvalidPart, InvalidPartOrder or EntityTooSmall.
    """
    if not wanted:
        raise S3Error("MalformedXML", "You must specify at least one part")
    numbers = [int(part["PartNumber"]) for part in wanted]
    if any(second <= first for first, second in pairwise(numbers)):
        raise S3Error(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. The parts list must be specified in"
            " order by part number.",
        )
    parts = [_named(upload, number, part) for number, part in zip(numbers, wanted, strict=True)]
    for part in parts[:-1]:
        if part.content.size < MIN_PART:
            raise S3Error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                ProposedSize=str(part.content.size),
                MinSizeAllowed=str(MIN_PART),
                PartNumber=str(part.number),
            )
    return parts


def _named(upload: Upload, number: int, wanted: Mapping[str, str]) -> UploadedPart:
    part = upload.parts.get(number)
    claims = {
        name: wanted[algorithm.element]
        for name, algorithm in checksums.ALGORITHMS.items()
        if algorithm.element in wanted
    }
    if (
        part is None
        or wanted.get("ETag", "").strip('"') != part.etag.strip('"')
        or any(part.checksums.get(name, claim) != claim for name, claim in claims.items())
    ):
        raise S3Error(
            "InvalidPart",
            "One or more of the specified parts could not be found. The part may not have been"
            " uploaded, or the specified entity tag may not match the part's entity tag.",
            PartNumber=str(number),
        )
    return part


def _completed(call: Call, upload: Upload, parts: Sequence[UploadedPart]) -> StoredObject:
    content = call.buckets.storage.join([part.content for part in parts])
    algorithm = upload.algorithm or checksums.ALGORITHMS[checksums.CRC64NVME]
    sums = [_part_checksum(part, algorithm) for part in parts]
    if upload.checksum_type == checksums.COMPOSITE:
        value = checksums.composite(algorithm, sums)
    else:
        sizes = [part.content.size for part in parts]
        value = checksums.full_object(algorithm, zip(sums, sizes, strict=True))
    _compare(call, algorithm, value, content.size)
    return StoredObject(
        upload.key,
        content,
        f'{etag(content)[:-1]}-{len(parts)}"',
        call.buckets.clock(),
        upload.headers,
        {algorithm.name: value},
        upload.checksum_type,
    )


def _part_checksum(part: UploadedPart, algorithm: checksums.Algorithm) -> str:
    known = part.checksums.get(algorithm.name)
    return digest_of(part.content, algorithm.name) if known is None else known


def _compare(call: Call, algorithm: checksums.Algorithm, value: str, size: int) -> None:
    """What the request claims about the object, with what it is.

    Raises:
        S3Error: BadDigest or InvalidRequest.
    """
    for name, claim in checksums.claimed(call.headers).items():
        if name != algorithm.name or claim.partition("-")[0] != value.partition("-")[0]:
            raise checksums.bad_digest(name)
    claimed_size = call.headers.get("x-amz-mp-object-size")
    if claimed_size is not None and int(claimed_size) != size:
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {claimed_size} does not match what"
            f" was computed: {size}",
        )


def abort_multipart_upload(call: Call) -> Response:
    """`AbortMultipartUpload`."""
    with call.buckets.lock:
        del call.bucket.uploads[_upload(call).id]
    return Response(204)


def _upload(call: Call) -> Upload:
    return call.bucket.upload(call.query["uploadId"], call.key)


def _part_number(call: Call) -> int:
    text = call.query["partNumber"]
    if not text.isdigit() or not 1 <= int(text) <= _MOST_PARTS:
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {_MOST_PARTS}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=text,
        )
    return int(text)


def _refuse_other_algorithms(upload: Upload, claims: Mapping[str, str]) -> None:
    for name in claims:
        if upload.algorithm is not None and name != upload.algorithm.name:
            raise S3Error(
                "InvalidRequest",
                "Checksum Type mismatch occurred, expected checksum Type:"
                f" {upload.algorithm.name.lower()}, actual checksum Type: {name.lower()}",
            )

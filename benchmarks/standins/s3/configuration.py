"""Buckets themselves, and their configuration: stored as sent, returned as stored."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.standins.http import Response
from benchmarks.standins.s3.call import ENCRYPTION, Call, xml_response
from benchmarks.standins.s3.errors import S3Error
from benchmarks.standins.s3.objects import check_md5
from benchmarks.standins.s3.xml import document, parse, texts

_REGION = "us-east-1"
_DEFAULT_ENCRYPTION = {"x-amz-server-side-encryption": "AES256"}
_DEFAULTS = {
    # Since 2023 every bucket is encrypted, whether or not it says so.
    "encryption": document(
        "ServerSideEncryptionConfiguration",
        {
            "Rule": {
                "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                "BucketKeyEnabled": False,
            }
        },
    ),
}
_MISSING = {
    "lifecycle": (
        "NoSuchLifecycleConfiguration",
        "The lifecycle configuration does not exist",
    ),
    "publicAccessBlock": (
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
}
KINDS = ("encryption", "lifecycle", "publicAccessBlock")
"""The parts of a bucket's configuration, by the names that requests have for them."""


def create_bucket(call: Call) -> Response:
    """`CreateBucket`."""
    with call.buckets.lock:
        call.buckets.create(call.bucket_name)
    return Response(200, {"Location": f"/{call.bucket_name}"})


def head_bucket(call: Call) -> Response:
    """`HeadBucket`."""
    with call.buckets.lock:
        call.buckets.require(call.bucket_name)
    return Response(200, {"x-amz-bucket-region": _REGION})


def delete_bucket(call: Call) -> Response:
    """`DeleteBucket`."""
    with call.buckets.lock:
        call.buckets.delete(call.bucket_name)
    return Response(204)


def delete_objects(call: Call) -> Response:
    """`DeleteObjects`."""
    check_md5(call)
    root = parse(call.request.body)
    keys = [texts(element)["Key"] for element in root.iter("Object")]
    quiet = (root.findtext("Quiet") or "").strip() == "true"
    with call.buckets.lock:
        for key in keys:
            call.bucket.delete(key)
    deleted = [] if quiet else [{"Key": key} for key in keys]
    return xml_response(document("DeleteResult", {"Deleted": deleted}))


def put_configuration(kind: str) -> Callable[[Call], Response]:
    """`PutBucketEncryption` and the like."""

    def put(call: Call) -> Response:
        check_md5(call)
        root = parse(call.request.body)
        with call.buckets.lock:
            call.bucket.configuration[kind] = bytes(call.request.body)
            if kind == "encryption":
                call.bucket.encryption = _encryption(texts(root.iter()))
        return Response(200)

    return put


def _encryption(rule: dict[str, str]) -> dict[str, str]:
    headers = {ENCRYPTION: rule.get("SSEAlgorithm", "AES256")}
    if key := rule.get("KMSMasterKeyID"):
        headers[f"{ENCRYPTION}-aws-kms-key-id"] = key
    if rule.get("BucketKeyEnabled") == "true":
        headers[f"{ENCRYPTION}-bucket-key-enabled"] = "true"
    return headers


def get_configuration(kind: str) -> Callable[[Call], Response]:
    """`GetBucketEncryption` and the like."""

    def get(call: Call) -> Response:
        with call.buckets.lock:
            body = call.bucket.configuration.get(kind, _DEFAULTS.get(kind))
        if body is None:
            raise S3Error(*_MISSING[kind], BucketName=call.bucket_name)
        return xml_response(body)

    return get


def delete_configuration(kind: str) -> Callable[[Call], Response]:
    """`DeleteBucketEncryption` and the like."""

    def delete(call: Call) -> Response:
        with call.buckets.lock:
            call.bucket.configuration.pop(kind, None)
            if kind == "encryption":
                call.bucket.encryption = dict(_DEFAULT_ENCRYPTION)
        return Response(204)

    return delete

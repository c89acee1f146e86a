"""What a worker that was killed leaves in a bucket: open multipart uploads and staged objects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from remit.aws.session import store_errors

log = logging.getLogger(__name__)

_DELETED_AT_ONCE = 1000  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html


def abort_uploads(s3: Any, bucket: str, prefix: str, keep: Callable[[str], bool]) -> list[str]:
    """Abort the open uploads under a prefix but those whose key is kept; returns their keys.

    Whoever still writes to one of them gets `UploadGone`. A part that such a writer has on its way
    may arrive after the abort; the bucket's lifecycle rule drops it.

    Raises:
        StoreUnavailable: S3 did not answer or asked to slow down.
        ClientError: S3 refuses, for want of a permission.
    """
    aborted = []
    for upload in _open_uploads(s3, bucket, prefix):
        key = upload["Key"]
        if keep(key):
            continue
        try:
            with store_errors(f"abort the upload of {key}"):
                s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload["UploadId"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
            continue  # its writer, or another successor, was faster
        aborted.append(key)
    return aborted


def delete_objects(s3: Any, bucket: str, prefix: str, keep: Callable[[str], bool]) -> list[str]:
    """Delete the objects under a prefix but those whose key is kept; returns their keys.

    Raises:
        StoreUnavailable: S3 did not answer, asked to slow down, or could not delete one of them.
        ClientError: S3 refuses, for want of a permission.
    """
    deleted = []
    keys = (key for key in _keys(s3, bucket, prefix) if not keep(key))
    while batch := list(islice(keys, _DELETED_AT_ONCE)):
        _delete(s3, bucket, batch)
        deleted += batch
    return deleted


def _open_uploads(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    markers: dict[str, str] = {}
    while True:
        with store_errors(f"list the uploads under {prefix}"):
            answer = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **markers)
        yield from answer.get("Uploads", [])
        if not answer.get("IsTruncated"):
            return
        markers = {
            "KeyMarker": answer["NextKeyMarker"],
            "UploadIdMarker": answer["NextUploadIdMarker"],
        }


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    token: dict[str, str] = {}
    while True:
        with store_errors(f"list the objects under {prefix}"):
            answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **token)
        for entry in answer.get("Contents", []):
            yield entry["Key"]
        if not answer.get("IsTruncated"):
            return
        token = {"ContinuationToken": answer["NextContinuationToken"]}


def _delete(s3: Any, bucket: str, keys: Sequence[str]) -> None:
    """One request. Its answer is a success even if single keys could not be deleted: the first of
    them is raised as the error that it would have been alone."""
    request = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    with store_errors(f"delete {len(keys)} objects"):
        answer = s3.delete_objects(Bucket=bucket, Delete=request)
        for error in answer.get("Errors", []):
            log.warning("could not delete %s: %s", error["Key"], error.get("Message"))
        for error in answer.get("Errors", []):
            message = f"{error.get('Message')} ({error['Key']})"
            raise ClientError({"Error": {**error, "Message": message}}, "DeleteObjects")

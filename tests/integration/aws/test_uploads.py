from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from remit.aws.multipart import Upload
from remit.aws.objects import Target, UploadGone
from remit.aws.target import crc64
from remit.aws.uploads import abort_uploads, delete_objects
from remit.errors import StoreUnavailable
from remit.services import Services


def nothing(key: str) -> bool:
    return False


def open_upload(services: Services, key: str) -> None:
    """An upload as a worker that was killed leaves it."""
    bucket = services.settings.bucket
    started = services.s3.create_multipart_upload(Bucket=bucket, Key=key)
    place = {"Bucket": bucket, "Key": key, "UploadId": started["UploadId"]}
    services.s3.upload_part(**place, PartNumber=1, Body=b"half a file")


def uploads(services: Services) -> list[str]:
    answer = services.s3.list_multipart_uploads(Bucket=services.settings.bucket)
    return sorted(upload["Key"] for upload in answer.get("Uploads", []))


def store(services: Services, *keys: str) -> None:
    for key in keys:
        services.s3.put_object(Bucket=services.settings.bucket, Key=key, Body=b"")


def objects(services: Services) -> list[str]:
    answer = services.s3.list_objects_v2(Bucket=services.settings.bucket)
    return sorted(entry["Key"] for entry in answer.get("Contents", []))


def test_uploads_under_the_prefix_are_aborted_but_those_that_are_kept(services: Services) -> None:
    for key in ["exports/e1/1/a", "exports/e1/1/b", "exports/e1/2/a", "exports/e10/1/a"]:
        open_upload(services, key)

    aborted = abort_uploads(
        services.s3, services.settings.bucket, "exports/e1/", lambda key: "/2/" in key
    )

    assert sorted(aborted) == ["exports/e1/1/a", "exports/e1/1/b"]
    assert uploads(services) == ["exports/e1/2/a", "exports/e10/1/a"]


def test_several_uploads_of_one_key_are_all_aborted(services: Services) -> None:
    for _ in range(3):
        open_upload(services, "staging/e1/1/0000")
    aborted = abort_uploads(services.s3, services.settings.bucket, "staging/e1/", nothing)
    assert aborted == ["staging/e1/1/0000"] * 3
    assert uploads(services) == []


class Paged:
    """An S3 that lists two uploads per page, as S3 lists a thousand."""

    def __init__(self, *uploads: tuple[str, str]) -> None:
        self._uploads = sorted(uploads)
        self.aborted: list[tuple[str, str]] = []

    def list_multipart_uploads(self, **request: str) -> dict[str, Any]:
        marker = (request.get("KeyMarker", ""), request.get("UploadIdMarker", ""))
        after = [one for one in self._uploads if one > marker]
        page = after[:2]
        answer: dict[str, Any] = {"IsTruncated": len(after) > 2}
        if page:
            answer["Uploads"] = [{"Key": key, "UploadId": one} for key, one in page]
            answer["NextKeyMarker"], answer["NextUploadIdMarker"] = page[-1]
        return answer

    def abort_multipart_upload(self, **request: str) -> None:
        if request["UploadId"] == "gone":
            raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "AbortMultipartUpload")
        self.aborted.append((request["Key"], request["UploadId"]))


def test_every_page_is_read_and_an_upload_that_is_gone_is_no_error() -> None:
    open_ones = [("a", "1"), ("a", "2"), ("a", "3"), ("b", "4"), ("c", "5")]
    s3 = Paged(*open_ones, ("b", "gone"))
    assert abort_uploads(s3, "exports", "", nothing) == [key for key, _ in open_ones]
    assert s3.aborted == open_ones


def test_what_was_aborted_cannot_become_visible_any_more(services: Services) -> None:
    bucket = services.settings.bucket
    upload = Upload.start(services.s3, Target(bucket, "exports/file.csv", "text/csv"))
    body = b"a whole file"
    part = upload.send(1, body, crc64(body))

    abort_uploads(services.s3, bucket, "exports/", nothing)

    # S3 says NoSuchUpload, where moto's server fails with 500.
    with pytest.raises((UploadGone, StoreUnavailable)):
        upload.complete([part], len(body), crc64(body))
    upload.abort()
    assert objects(services) == []


def test_objects_under_the_prefix_are_deleted_but_those_that_are_kept(services: Services) -> None:
    store(services, "staging/e1/1/0000", "staging/e1/1/0001", "staging/e1/2/0000", "staging/e2/1/0")

    deleted = delete_objects(
        services.s3, services.settings.bucket, "staging/e1/", lambda key: "/2/" in key
    )

    assert sorted(deleted) == ["staging/e1/1/0000", "staging/e1/1/0001"]
    assert objects(services) == ["staging/e1/2/0000", "staging/e2/1/0"]
    assert delete_objects(services.s3, services.settings.bucket, "staging/e3/", nothing) == []


class Listing:
    """An S3 of many objects, which lists a thousand at a time and may refuse to delete some."""

    def __init__(self, count: int, **refused: str) -> None:
        self._keys = [f"k{n:04d}" for n in range(count)]
        self._refused = refused
        self.batches: list[int] = []

    def list_objects_v2(self, **request: str) -> dict[str, Any]:
        start = int(request.get("ContinuationToken", 0))
        page = [{"Key": key} for key in self._keys[start : start + 1000]]
        more = start + 1000 < len(self._keys)
        return {"Contents": page, "IsTruncated": more, "NextContinuationToken": str(start + 1000)}

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        keys = [one["Key"] for one in request["Delete"]["Objects"]]
        self.batches.append(len(keys))
        return {
            "Errors": [
                {"Key": key, "Code": self._refused[key], "Message": "No."}
                for key in keys
                if key in self._refused
            ]
        }


def test_objects_are_deleted_a_thousand_at_a_time() -> None:
    s3 = Listing(2500)
    assert len(delete_objects(s3, "exports", "", lambda key: key == "k0003")) == 2499
    assert s3.batches == [1000, 1000, 499]


def test_what_could_not_be_deleted_is_logged_and_raised_as_what_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(StoreUnavailable, match="k0001"):
        delete_objects(Listing(3, k0001="SlowDown"), "exports", "", nothing)
    with pytest.raises(ClientError, match="AccessDenied"):
        delete_objects(Listing(3, k0001="AccessDenied", k0002="SlowDown"), "exports", "", nothing)
    assert "could not delete k0002: No." in caplog.text


def test_an_outage_is_an_outage(services: Services) -> None:
    def reset(**request: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://s3")

    open_upload(services, "staging/e1/1/0000")
    store(services, "staging/e1/1/0001")
    bucket = services.settings.bucket
    services.s3.meta.events.register("before-call.s3.AbortMultipartUpload", reset)
    services.s3.meta.events.register("before-call.s3.DeleteObjects", reset)
    with pytest.raises(StoreUnavailable, match="abort the upload of staging/e1/1/0000"):
        abort_uploads(services.s3, bucket, "staging/", nothing)
    with pytest.raises(StoreUnavailable, match="delete 1 objects"):
        delete_objects(services.s3, bucket, "staging/", nothing)

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from remit.aws.multipart import MAX_PART, MAX_PARTS, MIN_PART, Upload, part_size
from remit.aws.object_errors import Damaged, UploadGone
from remit.aws.target import Target, crc64, encode_crc64

TARGET = Target("exports", "exports/file.csv", "text/csv")
BODY = b"payment_id,amount\r\n"
CRC = crc64(BODY)
TIB = 1024**4


def refusal(code: str, status: int = 404) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "AnOperation")


class Answering:
    """A client whose operations answer, or raise, what a test tells them, in turn."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = answers
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.requests.append((operation, request))
            answer = self._answers[operation].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def upload(**answers: list[Any]) -> tuple[Upload, Answering]:
    s3 = Answering(**answers)
    return Upload(s3, TARGET, "upload-1"), s3


def test_ten_thousand_parts_hold_the_largest_object_within_the_limits() -> None:
    sizes = [part_size(number) for number in range(MAX_PARTS)]
    assert sum(sizes) >= 5 * TIB
    assert min(sizes) >= MIN_PART
    assert max(sizes) <= MAX_PART
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("written", "mebibytes"),
    [(0, 16), (10**9, 16), (10**10, 16), (10**11, 64), (10**12, 512), (5 * TIB, 4096)],
)
def test_long_parts_come_late(written: int, mebibytes: int) -> None:
    parts, total = 0, 0
    while total + part_size(parts) <= written:
        total += part_size(parts)
        parts += 1
    assert part_size(parts) == mebibytes * 1024**2


def test_a_part_is_sent_with_its_own_checksum() -> None:
    one, s3 = upload(upload_part=[{"ETag": "e1", "ChecksumCRC64NVME": encode_crc64(CRC)}])
    assert one.send(1, BODY, CRC) == {"PartNumber": 1, "ETag": "e1"}
    ((_, request),) = s3.requests
    assert request["ChecksumCRC64NVME"] == encode_crc64(CRC)
    assert "ChecksumAlgorithm" not in request, "botocore would compute it again"


@pytest.mark.parametrize(
    "damage",
    [{"ETag": "e", "ChecksumCRC64NVME": encode_crc64(7)}, refusal("BadDigest", 400)],
    ids=["answer", "refusal"],
)
def test_a_part_that_was_damaged_on_its_way_is_sent_once_more(damage: Any) -> None:
    one, _ = upload(upload_part=[damage, {"ETag": "whole"}])
    assert one.send(1, BODY, CRC)["ETag"] == "whole"
    again, _ = upload(upload_part=[damage, damage])
    with pytest.raises(Damaged, match=r"part 1 of exports/file\.csv"):
        again.send(1, BODY, CRC)


def test_the_completion_says_what_the_whole_has_to_be() -> None:
    one, s3 = upload(complete_multipart_upload=[{"ChecksumCRC64NVME": encode_crc64(CRC)}])
    one.complete([{"PartNumber": 1, "ETag": "e"}], len(BODY), CRC)
    ((_, request),) = s3.requests
    assert request["ChecksumCRC64NVME"] == encode_crc64(CRC)
    assert request["ChecksumType"] == "FULL_OBJECT"
    assert request["MpuObjectSize"] == len(BODY)


@pytest.mark.parametrize("code", ["BadDigest", "InternalError"])
def test_a_completion_that_is_not_taken_may_pass(code: str) -> None:
    one, _ = upload(complete_multipart_upload=[refusal(code, 400)])
    with pytest.raises(Damaged.__base__, match=r"complete the upload of exports/file\.csv"):
        one.complete([], len(BODY), CRC)


def test_a_completion_whose_answer_was_lost_is_recognised_by_what_is_stored() -> None:
    stored = {"ContentLength": len(BODY), "ChecksumCRC64NVME": encode_crc64(CRC)}
    one, _ = upload(complete_multipart_upload=[refusal("NoSuchUpload")], head_object=[stored])
    one.complete([], len(BODY), CRC)


@pytest.mark.parametrize(
    "found",
    [
        refusal("404"),
        refusal("403", 403),
        {"ContentLength": len(BODY)},
        {"ContentLength": 1, "ChecksumCRC64NVME": encode_crc64(CRC)},
        {"ContentLength": len(BODY), "ChecksumCRC64NVME": encode_crc64(7)},
    ],
    ids=["nothing", "forbidden", "no checksum", "another size", "another checksum"],
)
def test_an_upload_that_a_successor_aborted_is_gone(found: Any) -> None:
    one, _ = upload(
        upload_part=[refusal("NoSuchUpload")],
        complete_multipart_upload=[refusal("NoSuchUpload")],
        head_object=[found],
    )
    with pytest.raises(UploadGone, match="aborted by another"):
        one.send(1, BODY, CRC)
    with pytest.raises(UploadGone, match="aborted by another"):
        one.complete([], len(BODY), CRC)


def test_an_abort_that_fails_is_logged_and_hides_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for answer in [{}, refusal("NoSuchUpload")]:
        one, _ = upload(abort_multipart_upload=[answer])
        one.abort()
    assert caplog.text == ""
    for answer in [refusal("AccessDenied", 403), EndpointConnectionError(endpoint_url="http://x")]:
        one, _ = upload(abort_multipart_upload=[answer])
        one.abort()
    assert caplog.text.count("the upload of exports/file.csv is left to the lifecycle rule") == 2

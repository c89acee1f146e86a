from __future__ import annotations

import hashlib
from typing import Any

import pytest
from awscrt import checksums
from botocore.exceptions import ClientError

from remit.aws.compose import compose
from remit.aws.multipart import part_size
from remit.aws.objects import ObjectWriter, StoredObject, Target
from remit.services import Services

MIB, PART = 1024**2, part_size(0)


def target(services: Services, key: str = "exports/file.csv") -> Target:
    return Target(services.settings.bucket, key, "text/csv", 'attachment; filename="file.csv"')


def write(services: Services, content: bytes, key: str = "exports/file.csv") -> StoredObject:
    with ObjectWriter(services.s3, target(services, key)) as sink:
        for at in range(0, len(content), 3 * MIB):
            sink.write(content[at : at + 3 * MIB])
        return sink.commit()


def read(services: Services, key: str = "exports/file.csv") -> dict[str, Any]:
    answer: dict[str, Any] = services.s3.get_object(Bucket=services.settings.bucket, Key=key)
    return answer


def uploads(services: Services) -> list[Any]:
    answer = services.s3.list_multipart_uploads(Bucket=services.settings.bucket)
    return list(answer.get("Uploads", []))


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART + 4 * MIB])
def test_what_is_written_is_stored_with_its_checksums(services: Services, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]

    stored = write(services, content)

    answer = read(services)
    assert answer["Body"].read() == content
    assert answer["ContentType"] == "text/csv"
    assert answer["ContentDisposition"] == 'attachment; filename="file.csv"'
    assert stored.bytes == size
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert stored.crc64nvme == checksums.crc64nvme(content)
    assert uploads(services) == []


@pytest.mark.parametrize("size", [10, 2 * PART + 4 * MIB])
def test_an_error_leaves_nothing_behind(services: Services, size: int) -> None:
    def fail_midway() -> None:
        with ObjectWriter(services.s3, target(services)) as sink:
            sink.write(b"x" * size)
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="full"):
        fail_midway()

    with pytest.raises(ClientError, match="NoSuchKey"):
        read(services)
    assert uploads(services) == []


@pytest.mark.parametrize(
    "sizes", [[10], [1, 2, 3], [6 * MIB, 7 * MIB], [6 * MIB, 10, 12 * MIB, 0, 3 * MIB, 3 * MIB, 1]]
)
def test_segments_are_composed_end_to_end(services: Services, sizes: list[int]) -> None:
    contents = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
    staged = [write(services, c, f"staging/{n}") for n, c in enumerate(contents)]

    size, crc = compose(services.s3, staged, target(services))

    whole = b"".join(contents)
    assert read(services)["Body"].read() == whole
    assert (size, crc) == (len(whole), checksums.crc64nvme(whole))
    assert uploads(services) == []


def test_a_segment_that_is_gone_leaves_no_upload_behind(services: Services) -> None:
    staged = [write(services, b"a" * 6 * MIB, "staging/0")]
    missing = StoredObject("staging/1", 6 * MIB, "", 0)

    with pytest.raises(ClientError):
        compose(services.s3, [*staged, missing], target(services))

    assert uploads(services) == []

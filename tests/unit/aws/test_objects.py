from __future__ import annotations

import array
import base64
import gc
import hashlib
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from remit.aws.objects import Encryption, ObjectRefused, ObjectWriter, Target, UploadGone
from remit.aws.target import crc64, encode_crc64
from remit.errors import StoreUnavailable

PATIENCE = 5
PART = 8
MIB = 1024**2
TARGET = Target("exports", "exports/file.csv", "text/csv", encryption=Encryption("alias/exports"))


def refusal(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "UploadPart")


class Bucket:
    """A client that keeps what it is sent; `before_part` may hold or refuse a part by number."""

    def __init__(self, before_part: Callable[[int], None] = lambda number: None) -> None:
        self._before_part = before_part
        self.log: list[str] = []
        self.requests: dict[str, dict[str, Any]] = {}
        self.parts: list[dict[str, Any]] = []
        self.visible: bytes | None = None

    def put_object(self, **request: Any) -> dict[str, Any]:
        self.requests["put"] = request
        self.visible = bytes(request["Body"])
        return {}

    def create_multipart_upload(self, **request: Any) -> dict[str, Any]:
        self.requests["create"] = request
        return {"UploadId": "upload-1"}

    def upload_part(self, **request: Any) -> dict[str, Any]:
        number = request["PartNumber"]
        self._before_part(number)
        self.parts.append(request)
        self.log.append(f"part {number}")
        return {"ETag": f"etag-{number}", "ChecksumCRC64NVME": request["ChecksumCRC64NVME"]}

    def complete_multipart_upload(self, **request: Any) -> dict[str, Any]:
        self.requests["complete"] = request
        self.log.append("complete")
        self.visible = b"".join(part["Body"] for part in self.parts)
        return {"ChecksumCRC64NVME": request["ChecksumCRC64NVME"]}

    def abort_multipart_upload(self, **request: Any) -> dict[str, Any]:
        self.log.append("abort")
        return {}


@pytest.fixture
def small_parts() -> Iterator[None]:
    with patch("remit.aws.objects.part_size", lambda so_far: PART):
        yield


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_the_object_is_what_was_written_and_every_part_but_the_last_is_full(
    pieces: list[bytes],
) -> None:
    bucket, written = Bucket(), b""
    with (
        patch("remit.aws.objects.part_size", lambda so_far: PART + so_far // 3),
        ObjectWriter(bucket, TARGET) as sink,
    ):
        for piece in pieces:
            assert sink.write(piece) == len(piece)
            written += piece
            assert sink.tell() == sink.bytes_written == len(written)
        stored = sink.commit()

    assert bucket.visible == written
    assert (stored.key, stored.bytes) == (TARGET.key, len(written))
    assert stored.sha256 == hashlib.sha256(written).hexdigest()
    assert stored.crc64nvme == crc64(written)
    assert ("put" in bucket.requests) == (len(written) <= PART)
    lengths = [len(part["Body"]) for part in bucket.parts]
    assert lengths[:-1] == [PART + n // 3 for n in range(len(lengths) - 1)]
    assert all(lengths)


@pytest.mark.parametrize(
    "piece",
    [
        b"0123456789abcdef",
        bytearray(b"0123456789abcdef"),
        memoryview(b"0123456789abcdef"),
        pa.py_buffer(b"0123456789abcdef"),
        array.array("i", b"0123456789abcdef"),
        array.array("i"),
    ],
    ids=lambda piece: type(piece).__name__,
)
@pytest.mark.usefixtures("small_parts")
def test_whatever_has_bytes_can_be_written(piece: Any) -> None:
    bucket, content = Bucket(), memoryview(piece).tobytes()
    with ObjectWriter(bucket, TARGET) as sink:
        assert sink.write(piece) == len(content)
        sink.commit()
    assert bucket.visible == content


@pytest.mark.usefixtures("small_parts")
def test_the_caller_may_reuse_its_memory() -> None:
    bucket, memory = Bucket(), bytearray(b"first...")
    with ObjectWriter(bucket, TARGET) as sink:
        sink.write(memory)
        memory[:] = b"second.."
        sink.write(memory)
        sink.commit()
    assert bucket.visible == b"first...second.."


@pytest.mark.usefixtures("small_parts")
def test_parts_carry_their_checksums_and_the_completion_that_of_the_whole() -> None:
    bucket, content = Bucket(), b"0123456789abcdefghi"
    with ObjectWriter(bucket, TARGET) as sink:
        sink.write(content)
        sink.commit()

    assert [part["ChecksumCRC64NVME"] for part in bucket.parts] == [
        encode_crc64(crc64(piece)) for piece in (b"01234567", b"89abcdef", b"ghi")
    ]
    create, complete = bucket.requests["create"], bucket.requests["complete"]
    assert (create["ChecksumAlgorithm"], create["ChecksumType"]) == ("CRC64NVME", "FULL_OBJECT")
    assert (create["ServerSideEncryption"], create["SSEKMSKeyId"]) == ("aws:kms", "alias/exports")
    assert complete["ChecksumCRC64NVME"] == encode_crc64(crc64(content))
    assert complete["MultipartUpload"]["Parts"] == [
        {"PartNumber": n, "ETag": f"etag-{n}"} for n in (1, 2, 3)
    ]


def test_a_single_request_carries_its_sha256() -> None:
    bucket = Bucket()
    with ObjectWriter(bucket, TARGET) as sink:
        sink.write(b"small")
        sink.commit()
    put = bucket.requests["put"]
    assert put["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"small").digest()).decode()
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", "alias/exports")


@pytest.mark.usefixtures("small_parts")
def test_the_caller_goes_on_while_a_part_is_on_its_way_and_waits_for_the_second() -> None:
    gate, all_written = threading.Event(), threading.Event()
    bucket = Bucket(lambda number: gate.wait(PATIENCE) and None)

    def write() -> None:
        with ObjectWriter(bucket, TARGET) as sink:
            sink.write(bytes(3 * PART))  # one on its way, one waits, one is full
            sink.write(b"")
            written.set()
            sink.write(bytes(PART))
            all_written.set()
            sink.commit()

    written = threading.Event()
    thread = threading.Thread(target=write)
    thread.start()
    assert written.wait(PATIENCE), "it has waited for S3"
    assert not all_written.wait(0.05), "nothing bounds the memory"
    gate.set()
    thread.join(PATIENCE)
    assert bucket.visible == bytes(4 * PART)


def test_three_parts_of_memory_are_enough() -> None:
    gate, blocked = threading.Event(), threading.Event()
    peak: list[int] = []
    piece = bytes(6 * MIB)

    def hold(number: int) -> None:
        if number == 1:
            gate.wait(PATIENCE)

    class Counting(Bucket):
        """Keeps no part."""

        def upload_part(self, **request: Any) -> dict[str, Any]:
            answer = super().upload_part(**request)
            self.parts.clear()
            return answer

    def write() -> None:
        with ObjectWriter(Counting(hold), TARGET) as sink:
            for number in range(20):
                if number == 8:
                    blocked.set()  # 48 MiB are in, and the next piece has no room
                sink.write(piece)
            sink.commit()

    tracemalloc.start()
    try:
        thread = threading.Thread(target=write)
        thread.start()
        assert blocked.wait(PATIENCE)
        gate.set()
        thread.join(PATIENCE)
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert not thread.is_alive()
    assert peak[0] < 64 * MIB


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refusal("SlowDown", 503), StoreUnavailable),
        (EndpointConnectionError(endpoint_url="http://s3"), StoreUnavailable),
        (refusal("NoSuchUpload", 404), UploadGone),
        (refusal("AccessDenied", 403), ObjectRefused),
    ],
    ids=str,
)
@pytest.mark.usefixtures("small_parts")
def test_a_part_that_is_refused_is_the_error_of_what_comes_next(
    error: Exception, kind: type[Exception]
) -> None:
    refused = threading.Event()

    def refuse(number: int) -> None:
        if number == 2:
            refused.set()
            raise error

    bucket = Bucket(refuse)

    def write() -> None:
        with ObjectWriter(bucket, TARGET) as sink:
            sink.write(bytes(2 * PART + 1))
            assert refused.wait(PATIENCE)
            while True:
                sink.write(b"x")

    with pytest.raises(kind, match=r"upload part 2 of exports/file\.csv"):
        write()

    assert bucket.log == ["part 1", "abort"]
    assert bucket.visible is None


@pytest.mark.usefixtures("small_parts")
def test_the_last_part_is_not_forgotten_by_the_commit() -> None:
    def refuse(number: int) -> None:
        if number == 2:
            raise refusal("SlowDown", 503)

    bucket = Bucket(refuse)
    with ObjectWriter(bucket, TARGET) as sink:
        sink.write(bytes(PART + 1))
        with pytest.raises(StoreUnavailable, match="part 2"):
            sink.commit()
    assert bucket.log == ["part 1", "abort"]


@pytest.mark.usefixtures("small_parts")
def test_an_abort_comes_after_the_part_on_its_way() -> None:
    gate, sending = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        sending.set()
        gate.wait(PATIENCE)

    bucket = Bucket(hold)
    sink = ObjectWriter(bucket, TARGET)
    sink.write(bytes(2 * PART + 1))
    assert sending.wait(PATIENCE)
    aborting = threading.Thread(target=sink.abort)
    aborting.start()
    aborting.join(0.05)
    assert aborting.is_alive()
    assert bucket.log == []
    gate.set()
    aborting.join(PATIENCE)
    assert bucket.log == ["part 1", "abort"]


class _Lost(Exception):
    pass


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_hangs_keeps_nobody_and_its_upload_is_aborted_once_it_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remit.aws.write_behind.CHECK_SECONDS", 0.01)
    monkeypatch.setattr("remit.aws.write_behind.LEAVE_SECONDS", 0.01)
    gate, sending = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        sending.set()
        gate.wait(PATIENCE)

    def check() -> None:
        if sending.is_set():
            raise _Lost

    bucket = Bucket(hold)
    sink = ObjectWriter(bucket, TARGET, check)
    with pytest.raises(_Lost), sink:
        sink.write(bytes(4 * PART))
    assert bucket.log == ["abort"]
    gate.set()
    assert sink._behind is not None
    sink._behind._thread.join(PATIENCE)
    assert bucket.log == ["abort", "part 1", "abort"]


def test_an_abort_without_an_upload_asks_nothing_of_s3() -> None:
    bucket = Bucket()
    with ObjectWriter(bucket, TARGET) as sink:
        sink.write(b"small")
    assert (bucket.log, bucket.visible) == ([], None)


def threads() -> int:
    """How many threads send parts."""
    return sum(one.name == "write-behind" for one in threading.enumerate())


@pytest.mark.parametrize("written", [b"small", bytes(PART), bytes(3 * PART)], ids=len)
@pytest.mark.usefixtures("small_parts")
def test_what_is_written_after_an_abort_goes_nowhere(written: bytes) -> None:
    """Arrow's writers write their ends when they are collected, whenever that is."""
    bucket = Bucket()
    sink = ObjectWriter(bucket, TARGET)
    sink.write(written)
    sink.abort()
    before = [*bucket.log], {*bucket.requests}, threads()

    for _ in range(5):
        assert sink.write(bytes(PART)) == PART

    assert ([*bucket.log], {*bucket.requests}, threads()) == before
    assert sink.bytes_written == len(written)


def test_a_writer_of_parquet_that_is_collected_after_an_abort_starts_no_upload() -> None:
    bucket, before = Bucket(), threads()
    with (
        patch("remit.aws.objects.part_size", lambda so_far: MIB),
        ObjectWriter(bucket, TARGET) as sink,
    ):
        writer = parquet.ParquetWriter(sink, pa.schema([("a", pa.int64())]))
        writer.write_table(pa.table({"a": [1]}))
        sink.write(bytes(MIB - sink.bytes_written))
    del writer
    gc.collect()
    assert (bucket.log, bucket.requests, threads()) == ([], {}, before)


@pytest.mark.usefixtures("small_parts")
def test_after_an_abort_there_is_no_commit() -> None:
    bucket = Bucket()
    sink = ObjectWriter(bucket, TARGET)
    sink.write(b"small")
    sink.abort()
    with pytest.raises(ValueError, match=r"exports/file\.csv is aborted"):
        sink.commit()
    assert bucket.requests == {}


@pytest.mark.usefixtures("small_parts")
def test_an_object_that_is_committed_takes_no_more() -> None:
    bucket = Bucket()
    with ObjectWriter(bucket, TARGET) as sink:
        sink.write(b"small")
        sink.commit()
        for call in (lambda: sink.write(bytes(2 * PART)), sink.commit):
            with pytest.raises(ValueError, match=r"exports/file\.csv is committed"):
                call()
    assert [*bucket.requests] == ["put"]
    assert bucket.visible == b"small"
